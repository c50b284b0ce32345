// Package pgserver runs a PostgreSQL server from installed binaries for as long
// as it is needed: for tests and for measurements. Nothing that it holds
// outlives it, and it waits for no disk unless it is to.
package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotInstalled is why there is no server where there are no binaries.
var ErrNotInstalled = errors.New("not installed")

// FolderVariable names the folder of PostgreSQL's programs, where it is
// another than packages have.
const FolderVariable = "TEST_POSTGRES_BIN"

// Binary finds one of PostgreSQL's programs: in the folder that FolderVariable
// names, else on the PATH, or the newest where packages put them.
func Binary(name string) (string, error) {
	if folder := os.Getenv(FolderVariable); folder != "" {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", path, ErrNotInstalled)
		}
		return path, nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/opt/homebrew/opt/postgresql*/bin/", "/usr/local/opt/postgresql*/bin/", "/usr/pgsql-*/bin/"} {
		found, err := filepath.Glob(pattern + name)
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNotInstalled)
}

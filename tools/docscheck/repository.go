package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// repository is a working tree: the files that git has or would add.
type repository struct {
	root  string   // absolute
	files []string // sorted, relative to root, with slashes
}

// openRepository lists the files at root. Deleted files are left out.
func openRepository(ctx context.Context, root string) (repository, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return repository{}, err
	}
	command := exec.CommandContext(ctx, "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return repository{}, fmt.Errorf("list the files of %s: %w: %s", root, err, stderr.Bytes())
	}
	var files []string
	for name := range strings.SplitSeq(string(output), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if name == "" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return repository{}, err
		}
		if info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return repository{root, slices.Compact(files)}, nil
}

func (r repository) read(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(r.root, name))
	return string(content), err
}

// isFile reports whether name is a file, in this spelling: links on GitHub are
// case-sensitive.
func (r repository) isFile(name string) bool {
	_, found := slices.BinarySearch(r.files, name)
	return found
}

// isFolder reports whether name is a folder with files in it.
func (r repository) isFolder(name string) bool {
	return name == "." || slices.ContainsFunc(r.files, func(file string) bool { return strings.HasPrefix(file, name+"/") })
}

// isPage reports whether readers find a file as a page. Markdown beside the
// commands is part of a page that go generate writes.
func isPage(name string) bool {
	return path.Ext(name) == ".md" && !strings.HasPrefix(name, "cmd/")
}

// pages parses the pages.
func (r repository) pages() ([]page, error) {
	var pages []page
	for _, name := range r.files {
		if !isPage(name) {
			continue
		}
		text, err := r.read(name)
		if err != nil {
			return nil, err
		}
		pages = append(pages, parsePage(name, text))
	}
	return pages, nil
}

// copyTo copies the files to a folder.
func (r repository) copyTo(folder string) error {
	for _, name := range r.files {
		from, to := filepath.Join(r.root, name), filepath.Join(folder, name)
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

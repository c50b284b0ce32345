package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgtest"
)

func TestRun_Cleanup(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "sessions.db") },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return pgtest.Empty(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"DATABASE_URL=" + database(t)} // they need no other setting
			what := strings.TrimPrefix(environ[0], "DATABASE_URL=sqlite:")
			if name == "PostgreSQL" {
				what = "the database"
			}
			for _, step := range []struct{ command, want string }{
				{"migrate", "the schema of " + what + " is up to date\n"},
				{"migrate", "the schema of " + what + " is up to date\n"},
				{"cleanup", "expired 0, purged 0, activity purged 0, sign-ins purged 0\n"},
			} {
				var out bytes.Buffer
				if err := run(t.Context(), []string{step.command}, environ, &out, io.Discard); err != nil || out.String() != step.want {
					t.Errorf("%s = %q, %v", step.command, out.String(), err)
				}
			}
		})
	}
}

// With a current schema, migrate does not wait for another program's migration on
// the same server.
func TestRun_Migrate_TakesNoLockForNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	other := pgtest.Open(t, url)
	other.SetMaxOpenConns(1)
	const gooseLock = 4097083626
	if _, err := other.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", gooseLock); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := run(ctx, []string{"migrate"}, testEnviron(t, "DATABASE_URL="+url), io.Discard, io.Discard); err != nil {
		t.Errorf("migrate = %v", err)
	}
}

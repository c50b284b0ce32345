// Package pgtest gives tests a PostgreSQL server and a fresh database each.
//
// The server is that of TEST_DATABASE_URL when it is set (a URL of a superuser
// or of a role that may create databases and roles), else a throw-away one
// started from installed binaries. Without either, tests are skipped, or fail
// when CI is true. A server that does not start or cannot be reached is a
// failure.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"chatkit-session/adapters/postgres/pgserver"
	"chatkit-session/db"
)

// server is where this process's tests have their databases.
type server struct {
	admin    *url.URL
	conn     *sql.DB
	template string
	strategy string // of copying the template
	stop     func()
}

var shared struct {
	once   sync.Once
	server *server
	err    error
}

// Main runs the tests of a package and then ends the server that they started.
// Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.close()
	}
	os.Exit(code)
}

// New returns the URL of a fresh and migrated database, as its owner. It is
// dropped when the test ends.
func New(t testing.TB) string {
	t.Helper()
	s := get(t)
	return s.create(t, "TEMPLATE "+pq.QuoteIdentifier(s.template)+s.strategy)
}

// Empty returns the URL of a fresh database without a schema.
func Empty(t testing.TB) string {
	t.Helper()
	return get(t).create(t, "TEMPLATE template0")
}

// Login makes a role that may log in and is a member of the given ones, and
// returns database's URL for it. The role goes when the test ends.
func Login(t testing.TB, database string, memberOf ...string) string {
	t.Helper()
	s := get(t)
	name := unique("login")
	s.exec(t, "CREATE ROLE "+name+" LOGIN PASSWORD 'test'")
	for _, role := range memberOf {
		s.exec(t, "GRANT "+pq.QuoteIdentifier(role)+" TO "+name)
	}
	t.Cleanup(func() { s.exec(t, "DROP ROLE "+name) })
	u := parse(t, database)
	u.User = url.UserPassword(name, "test")
	return u.String()
}

// Dump returns the whole database as pg_dump writes it, binary columns as text
// in hexadecimal.
func Dump(t testing.TB, database string) string {
	t.Helper()
	tool, err := pgserver.Binary("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	var out, complaint bytes.Buffer
	command := exec.CommandContext(t.Context(), tool, "--dbname", database) //nolint:gosec // a test's own tool
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, &complaint)
	}
	return out.String()
}

// Script runs a file of SQL with psql, as operators do, and returns what it
// printed. The environment is added to psql's.
func Script(t testing.TB, database, path string, environ ...string) string {
	t.Helper()
	tool, err := pgserver.Binary("psql")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), tool, "--no-psqlrc", "--quiet", "--dbname", database, "--file", path) //nolint:gosec // a test's own tool
	command.Env = append(os.Environ(), environ...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("psql --file %s: %v\n%s", path, err, out)
	}
	return string(out)
}

// Open returns a plain connection pool to database.
func Open(t testing.TB, database string) *sql.DB {
	t.Helper()
	conn, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func get(t testing.TB) *server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = begin() })
	if errors.Is(shared.err, pgserver.ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL: %v", shared.err)
	}
	if shared.err != nil {
		t.Fatalf("no PostgreSQL: %v", shared.err)
	}
	return shared.server
}

func begin() (*server, error) {
	s := &server{stop: func() {}, template: unique("template")}
	var err error
	if text := os.Getenv("TEST_DATABASE_URL"); text != "" {
		s.admin, err = url.Parse(text)
	} else {
		if s.admin, s.stop, err = pgserver.Start(); errors.Is(err, pgserver.ErrNotInstalled) {
			err = fmt.Errorf("%w, and TEST_DATABASE_URL is not set", err)
		}
	}
	if err != nil {
		return nil, err
	}
	if s.conn, err = sql.Open("postgres", s.admin.String()); err == nil {
		err = s.prepareTemplate()
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// prepareTemplate migrates the database that the others are copies of.
func (s *server) prepareTemplate() error {
	ctx := context.Background()
	if _, err := s.conn.ExecContext(ctx, "CREATE DATABASE "+s.template+" TEMPLATE template0"); err != nil {
		return err
	}
	conn, err := sql.Open("postgres", s.url(s.template))
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	migrator, err := db.Postgres(conn)
	if err != nil {
		return err
	}
	if _, err = migrator.Up(ctx); err != nil {
		return err
	}
	// Without a disk to wait for, files are copied in half of the time that the
	// log of them takes. Servers before version 15 know no other way.
	var version int
	if err := conn.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version >= 150000 {
		s.strategy = " STRATEGY FILE_COPY"
	}
	return nil
}

func (s *server) close() {
	_, _ = s.conn.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+s.template+" WITH (FORCE)")
	_ = s.conn.Close()
	s.stop()
}

// copying lets one copy of the template be made at a time: PostgreSQL refuses
// a template that is in use.
var copying sync.Mutex

func (s *server) create(t testing.TB, from string) string {
	t.Helper()
	name := unique("test")
	copying.Lock()
	defer copying.Unlock()
	s.exec(t, "CREATE DATABASE "+name+" "+from)
	t.Cleanup(func() { s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.url(name)
}

// exec runs an administrator's statement, also while a test is ending.
func (s *server) exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := s.conn.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

func (s *server) url(database string) string {
	u := *s.admin
	u.Path = "/" + database
	return u.String()
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// unique returns a name that no other process on the server uses.
func unique(prefix string) string {
	id := uuid.New()
	return fmt.Sprintf("chatkit_%s_%x", prefix, id[:8])
}

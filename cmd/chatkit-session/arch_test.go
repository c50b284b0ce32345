package main_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "chatkit-session/"

// arrow is one rule about imports. A folder or package also stands for
// everything below it, except in only, where it stands for itself alone. "*"
// stands for one path element.
type arrow struct {
	name string
	// in is the folder where the rule holds, and but lists the folders and files
	// below it where it does not. The rule holds in tests only if tests is set.
	in    string
	but   []string
	tests bool
	// only, unless empty, lists the packages that may be imported. never lists
	// packages that may not be.
	only, never []string
	// own lets a package import its own folder, which is as deep as in, even if
	// never forbids it.
	own bool
}

var sql = []string{
	"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "github.com/pressly/goose", "modernc.org/sqlite",
}

// arrows are the rules of the architecture: cmd → adapters → ports →
// core/session and core/access; core/lifecycle → ports; each technology in one
// place. No other file repeats them.
var arrows = []arrow{
	{name: "core/session is pure", in: "core/session", only: []string{
		"bytes", "cmp", "context", "crypto/sha256", "errors", "fmt", "iter", "maps", "math", "net/netip", "reflect", "regexp",
		"slices", "strconv", "strings", "sync", "time", "unicode", "unicode/utf8", "github.com/google/uuid",
	}},
	{name: "core/access is pure", in: "core/access", only: []string{
		"cmp", "errors", "fmt", "maps", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8", module + "core/session",
	}},
	{name: "core/lifecycle knows ports", in: "core/lifecycle", only: []string{
		"cmp", "context", "errors", "fmt", "maps", "slices", "strconv", "strings", "sync", "sync/atomic", "time",
		module + "core/session", module + "core/access", module + "ports",
	}},
	{name: "core has these parts", in: "core", but: []string{"core/session", "core/access", "core/lifecycle"}, only: []string{"nothing"}},
	{name: "ports speak the domain's words", in: "ports", but: []string{"ports/porttest", "ports/portmock"}, only: []string{
		"context", "time", module + "core/session", module + "core/access",
	}},
	{name: "adapters do not know the use cases", in: "adapters", never: []string{module + "core/lifecycle"}},
	{name: "adapters do not import each other", in: "adapters/*", tests: true, never: []string{module + "adapters"}, own: true},
	{name: "api depends on nothing of ours", in: "api", never: []string{module}, own: true},
	{name: "db depends on nothing of ours", in: "db", never: []string{module}, own: true},
	{name: "nothing imports cmd", but: []string{"cmd"}, tests: true, never: []string{module + "cmd"}},
	{
		name: "Echo stays in adapters/httpapi and api", but: []string{"adapters/httpapi", "api"}, tests: true,
		never: []string{"github.com/labstack"},
	},
	{
		name: "Clerk's SDK stays in adapters/clerk", but: []string{"adapters/clerk"}, tests: true,
		never: []string{"github.com/clerk"},
	},
	{
		name: "Redis stays in adapters/redis", but: []string{"adapters/redis"}, tests: true,
		never: []string{"github.com/redis", "github.com/go-redis"},
	},
	{name: "SQL stays in the stores and db", but: []string{"adapters/postgres", "adapters/sqlite", "db", "cmd"}, tests: true, never: sql},
	{name: "cmd leaves SQL to the stores and db", in: "cmd", never: sql},
	{
		name: "what mints tokens is for dev and tests", but: []string{"cmd/chatkit-session/dev.go", "cmd/loadgen", "adapters/clerk/fakeclerk"},
		never: []string{module + "adapters/clerk/fakeclerk"},
	},
	{
		name: "what only measures is no part of the service",
		but:  []string{"cmd/loadgen", "adapters/postgres/pgtest", "adapters/postgres/seed", "adapters/postgres/baseline", "adapters/postgres/pgserver"},
		never: []string{
			module + "adapters/postgres/seed", module + "adapters/postgres/baseline", module + "adapters/postgres/pgserver",
		},
	},
	{
		name: "test support is for tests", but: []string{"ports/porttest", "ports/portmock", "api/apitest"},
		never: []string{
			module + "ports/porttest", module + "ports/portmock", module + "api/apitest",
			"go.uber.org/mock", "pgregory.net/rapid", "github.com/getkin/kin-openapi",
		},
	},
}

// TestArchitecture checks the imports of every Go file of the module.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	files, wrong, err := checkImports(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range wrong {
		t.Error(line)
	}
	for _, folder := range []string{"core/session", "core/access", "core/lifecycle", "ports"} {
		if !slices.ContainsFunc(files, func(file string) bool { return path.Dir(file) == folder }) {
			t.Errorf("no Go file found in %s: nothing was checked there", folder)
		}
	}
}

// Each case plants one import in one file and lists the rules that it breaks.
func TestArchitecture_Catches(t *testing.T) {
	t.Parallel()
	const echo, stayEcho = "github.com/labstack/echo/v4", "Echo stays in adapters/httpapi and api"
	const sibling = "adapters do not import each other"
	cases := map[string]struct {
		file, imports string
		want          []string
	}{
		"EchoInSession":          {"core/session/x.go", echo, []string{"core/session is pure", stayEcho}},
		"EchoInAccess":           {"core/access/x.go", echo, []string{"core/access is pure", stayEcho}},
		"EchoInLifecycle":        {"core/lifecycle/x.go", echo, []string{"core/lifecycle knows ports", stayEcho}},
		"EchoInTestOfCore":       {"core/session/x_test.go", echo, []string{stayEcho}},
		"EchoInPorts":            {"ports/x.go", echo, []string{"ports speak the domain's words", stayEcho}},
		"EchoInStore":            {"adapters/sqlite/x.go", echo, []string{stayEcho}},
		"EchoInCmd":              {"cmd/chatkit-session/x.go", echo, []string{stayEcho}},
		"EchoInHTTP":             {"adapters/httpapi/x.go", echo, nil},
		"EchoInAPI":              {"api/x.go", echo, nil},
		"RandomnessInSession":    {"core/session/x.go", "math/rand/v2", []string{"core/session is pure"}},
		"HTTPInSession":          {"core/session/x.go", "net/http", []string{"core/session is pure"}},
		"JSONInSession":          {"core/session/x.go", "encoding/json", []string{"core/session is pure"}},
		"EnvironmentInLifecycle": {"core/lifecycle/x.go", "os", []string{"core/lifecycle knows ports"}},
		"LogInLifecycle":         {"core/lifecycle/x.go", "log/slog", []string{"core/lifecycle knows ports"}},
		"LifecycleInSession":     {"core/session/x.go", module + "core/lifecycle", []string{"core/session is pure"}},
		"SessionInAccess":        {"core/access/x.go", module + "core/session", nil},
		"AdapterInLifecycle":     {"core/lifecycle/x.go", module + "adapters/sqlite", []string{"core/lifecycle knows ports"}},
		"AdapterInLifecycleTest": {"core/lifecycle/x_test.go", module + "adapters/sqlite", nil},
		"MockInLifecycle":        {"core/lifecycle/x.go", module + "ports/portmock", []string{"core/lifecycle knows ports", "test support is for tests"}},
		"MockInLifecycleTest":    {"core/lifecycle/x_test.go", module + "ports/portmock", nil},
		"NewPartOfCore":          {"core/report/x.go", "fmt", []string{"core has these parts"}},
		"LifecycleInPorts":       {"ports/x.go", module + "core/lifecycle", []string{"ports speak the domain's words"}},
		"SQLInPorts":             {"ports/x.go", "database/sql", []string{"ports speak the domain's words", "SQL stays in the stores and db"}},
		"LifecycleInAdapter":     {"adapters/httpapi/x.go", module + "core/lifecycle", []string{"adapters do not know the use cases"}},
		"SiblingInAdapter":       {"adapters/httpapi/x.go", module + "adapters/clerk", []string{sibling}},
		"SiblingInAdapterTest":   {"adapters/httpapi/x_test.go", module + "adapters/sqlite", []string{sibling}},
		"SiblingOfLikeName":      {"adapters/sqlite/x.go", module + "adapters/sqlitex", []string{sibling}},
		"SiblingInSubpackage":    {"adapters/clerk/fakeclerk/x.go", module + "adapters/keyring", []string{sibling}},
		"OwnSubpackage":          {"adapters/httpapi/x.go", module + "adapters/httpapi/wire", nil},
		"OwnParent":              {"adapters/httpapi/wire/x.go", module + "adapters/httpapi", nil},
		"ClerkInHTTP":            {"adapters/httpapi/x.go", "github.com/clerk/clerk-sdk-go/v2/jwt", []string{"Clerk's SDK stays in adapters/clerk"}},
		"ClerkInClerk":           {"adapters/clerk/x.go", "github.com/clerk/clerk-sdk-go/v2", nil},
		"RedisInCmdTest":         {"cmd/chatkit-session/x_test.go", "github.com/redis/go-redis/v9", []string{"Redis stays in adapters/redis"}},
		"RedisInMemory":          {"adapters/memory/x.go", "github.com/go-redis/redis_rate/v10", []string{"Redis stays in adapters/redis"}},
		"RedisInRedis":           {"adapters/redis/x.go", "github.com/redis/go-redis/v9", nil},
		"DriverInHTTPTest":       {"adapters/httpapi/x_test.go", "github.com/lib/pq", []string{"SQL stays in the stores and db"}},
		"DriverInStore":          {"adapters/postgres/x.go", "github.com/lib/pq", nil},
		"DriverInCmd":            {"cmd/chatkit-session/x.go", "github.com/lib/pq", []string{"cmd leaves SQL to the stores and db"}},
		"DriverInCmdTest":        {"cmd/chatkit-session/x_test.go", "github.com/lib/pq", nil},
		"FakeInServe":            {"cmd/chatkit-session/serve.go", module + "adapters/clerk/fakeclerk", []string{"what mints tokens is for dev and tests"}},
		"FakeInClerk":            {"adapters/clerk/x.go", module + "adapters/clerk/fakeclerk", []string{"what mints tokens is for dev and tests"}},
		"FakeInDev":              {"cmd/chatkit-session/dev.go", module + "adapters/clerk/fakeclerk", nil},
		"FakeInLoad":             {"cmd/loadgen/x.go", module + "adapters/clerk/fakeclerk", nil},
		"SeedInLoad":             {"cmd/loadgen/x.go", module + "adapters/postgres/seed", nil},
		"SeedInStore":            {"adapters/postgres/x.go", module + "adapters/postgres/seed", []string{"what only measures is no part of the service"}},
		"ServerInServe":          {"cmd/chatkit-session/x.go", module + "adapters/postgres/pgserver", []string{"what only measures is no part of the service"}},
		"DriverInLoad":           {"cmd/loadgen/x.go", "github.com/lib/pq", []string{"cmd leaves SQL to the stores and db"}},
		"FakeInTest":             {"adapters/clerk/x_test.go", module + "adapters/clerk/fakeclerk", nil},
		"SuiteInAdapter":         {"adapters/sqlite/x.go", module + "ports/porttest", []string{"test support is for tests"}},
		"SuiteInAdapterTest":     {"adapters/sqlite/x_test.go", module + "ports/porttest", nil},
		"ContractTestInHTTP":     {"adapters/httpapi/x.go", module + "api/apitest", []string{"test support is for tests"}},
		"ContractTestInHTTPTest": {"adapters/httpapi/x_test.go", module + "api/apitest", nil},
		"CoreInDB":               {"db/x.go", module + "core/session", []string{"db depends on nothing of ours"}},
		"CoreInAPI":              {"api/x.go", module + "core/session", []string{"api depends on nothing of ours"}},
		"CommandLineInCmd":       {"cmd/loadgen/x.go", module + "cmd/internal/commandline", nil},
		"CommandLineInAdapter":   {"adapters/httpapi/x.go", module + "cmd/internal/commandline", []string{"nothing imports cmd"}},
		"CmdInAdapter":           {"adapters/httpapi/x.go", module + "cmd/chatkit-session", []string{"nothing imports cmd"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{test.file: {Data: []byte("package x\n\nimport _ " + strconv.Quote(test.imports) + "\n")}}
			_, got, err := checkImports(tree)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]string, 0, len(test.want))
			for _, rule := range test.want {
				want = append(want, complaint(test.file, test.imports, rule))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// checkImports returns the Go files of tree and a line for each import that
// breaks a rule. It skips folders that the go command ignores and folders that
// are other modules.
func checkImports(tree fs.FS) (files, wrong []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return enter(tree, name)
		case path.Ext(name) != ".go":
			return nil
		}
		imports, err := importsOf(tree, name)
		files, wrong = append(files, name), append(wrong, complaints(name, imports)...)
		return err
	})
	return files, wrong, err
}

func enter(tree fs.FS, folder string) error {
	base := path.Base(folder)
	_, noModule := fs.Stat(tree, path.Join(folder, "go.mod"))
	if folder != "." && (noModule == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
		return fs.SkipDir
	}
	return nil
}

func importsOf(tree fs.FS, file string) ([]string, error) {
	source, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, imported)
	}
	return imports, nil
}

func complaints(file string, imports []string) []string {
	var wrong []string
	for _, imported := range imports {
		for _, rule := range arrows {
			if rule.holdsIn(file) && rule.forbids(file, imported) {
				wrong = append(wrong, complaint(file, imported, rule.name))
			}
		}
	}
	return wrong
}

func complaint(file, imported, rule string) string {
	return fmt.Sprintf("%s imports %s: %s", file, imported, rule)
}

func (a arrow) holdsIn(file string) bool {
	if strings.HasSuffix(file, "_test.go") && !a.tests {
		return false
	}
	if slices.ContainsFunc(a.but, func(place string) bool { return within(file, place) }) {
		return false
	}
	return a.in == "" || within(file, a.in)
}

func (a arrow) forbids(file, imported string) bool {
	if a.only != nil {
		return !slices.Contains(a.only, imported)
	}
	if a.own && within(imported, module+first(file, depth(a.in))) {
		return false
	}
	return slices.ContainsFunc(a.never, func(place string) bool { return within(imported, place) })
}

// within reports whether name is place or lies below it.
func within(name, place string) bool {
	place = strings.TrimSuffix(place, "/")
	matched, err := path.Match(place, first(name, depth(place)))
	return err == nil && matched
}

func depth(name string) int { return strings.Count(name, "/") + 1 }

// first returns the first n elements of name.
func first(name string, n int) string {
	elements := strings.Split(name, "/")
	return strings.Join(elements[:min(n, len(elements))], "/")
}

package httpapi_test

import (
	"go/ast"
	"go/parser"
	syntax "go/token"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestErrorsDoc compares docs/errors.md with the errors that this package can
// answer: every code has one row, with its status, and no other code has one.
func TestErrorsDoc(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([0-9]{3}) \\| `([a-z_]+)` \\|(?: [^|]+ \\|){3}$").FindAllStringSubmatch(string(page), -1) {
		if _, twice := documented[row[2]]; twice {
			t.Errorf("docs/errors.md has two rows for %s", row[2])
		}
		documented[row[2]], _ = strconv.Atoi(row[1])
	}
	answered := errorsInSource(t)
	if len(answered) < 20 {
		t.Fatalf("found only %d errors in the source: %v", len(answered), answered)
	}
	for _, code := range slices.Sorted(maps.Keys(answered)) {
		if documented[code] != answered[code] {
			t.Errorf("docs/errors.md has the status %d for %s, want %d", documented[code], code, answered[code])
		}
	}
	for code := range documented {
		if _, known := answered[code]; !known {
			t.Errorf("docs/errors.md has the unknown code %s", code)
		}
	}
}

// errorsInSource returns the code and status of each problem and protocolError
// literal in the package, wherever it is.
func errorsInSource(t *testing.T) map[string]int {
	t.Helper()
	files := parsePackage(t)
	constants := map[string]string{}
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, is := node.(*ast.ValueSpec); is && len(spec.Values) == len(spec.Names) {
				for i, name := range spec.Names {
					constants[name.Name] = literalText(spec.Values[i])
				}
			}
			return true
		})
	}
	found := map[string]int{}
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			literal, is := node.(*ast.CompositeLit)
			if !is {
				return true
			}
			if kind, named := literal.Type.(*ast.Ident); !named || (kind.Name != "problem" && kind.Name != "protocolError") {
				return true
			}
			code, status := problemFields(literal, constants)
			if old, twice := found[code]; code == "" || status == 0 || (twice && old != status) {
				t.Errorf("cannot read the code %q and the status %d of an error: write them as constants", code, status)
			}
			found[code] = status
			return true
		})
	}
	return found
}

func parsePackage(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(syntax.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// problemFields returns the fields code and status of a problem literal.
func problemFields(literal *ast.CompositeLit, constants map[string]string) (code string, status int) {
	for _, element := range literal.Elts {
		field, _ := element.(*ast.KeyValueExpr)
		if field == nil {
			continue
		}
		switch name, _ := field.Key.(*ast.Ident); name.Name {
		case "code":
			code = literalText(field.Value)
			if constant, is := field.Value.(*ast.Ident); is {
				code = constants[constant.Name]
			}
		case "status":
			if constant, is := field.Value.(*ast.SelectorExpr); is {
				status = statusNamed(constant.Sel.Name)
			}
		}
	}
	return code, status
}

func literalText(value ast.Expr) string {
	if basic, is := value.(*ast.BasicLit); is && basic.Kind == syntax.STRING {
		text, _ := strconv.Unquote(basic.Value)
		return text
	}
	return ""
}

// statusNamed returns the status of a constant of net/http, 0 for none.
func statusNamed(name string) int {
	for status := 100; status < 600; status++ {
		if text := http.StatusText(status); text != "" && name == "Status"+strings.NewReplacer(" ", "", "-", "").Replace(text) {
			return status
		}
	}
	return 0
}

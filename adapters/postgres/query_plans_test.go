package postgres_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lib/pq"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/lifecycle"
)

// readsAll are the store's methods that read whole tables, and why they may.
// Nothing else may.
var readsAll = map[string]string{
	"Stats":     "counts all sessions, for admins",
	"HoldLease": "reads a table of one row",
}

// page is how many rows are found, listed or changed at most for a request.
const page = 20

// batches are the calls that take more rows at a time, as many as the service
// lets them.
var batches = map[string]int{
	"Touch":         lifecycle.TouchBatch,
	"ExpireDue":     lifecycle.CleanupBatch,
	"PurgeEnded":    lifecycle.CleanupBatch,
	"PurgeActivity": lifecycle.CleanupBatch,
	"PurgeSignIns":  lifecycle.CleanupBatch,
}

// budget is the most that a statement may visit: rows, and pages of tables and
// indexes.
type budget struct{ rows, pages float64 }

// budgetOf is that of a call.
func budgetOf(call string) budget {
	size := float64(max(page, batches[call]))
	rows := max(5*size, visitsMore[call])
	return budget{rows, max(50*size, 2*rows)}
}

// visitsMore are the calls that may visit more rows, all of a user's.
var visitsMore = map[string]float64{
	"List/Expired": 2010, // few of many; active ones are among them whose time is up
	"List/Revoked": 2010,
}

// Everything that the store sends for a request or for the clean-up finds its
// rows by an index that fits, among 100 thousand sessions, also those of a user
// who has had two thousand. The statements are what the methods send, with the
// values that they send along.
func TestStore_Plans(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	proxy := pgtest.NewProxy(t, c.url)
	store := open(t, proxy.URL, 1)
	want, ran := append(statementTexts(t), proxy.Take().Prepared...), map[string]bool{}
	calls := c.calls(store)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		if err := calls[name](t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		method, _, _ := strings.Cut(name, "/")
		why, exempt := readsAll[method]
		scans := false
		for _, statement := range proxy.Take().Ran {
			ran[statement.Text] = true
			for _, of := range c.plans(t, statement) {
				scans = scans || len(of.scanned()) > 0
				if complaint := of.complaint(budgetOf(name)); complaint != "" && !exempt {
					t.Errorf("%s %s:\n%s\n%s", name, complaint, statement.Text, of)
				}
			}
		}
		if exempt && !scans {
			t.Errorf("%s needs no exception (%s): it reads no whole table", name, why)
		}
	}
	for _, text := range want {
		if !ran[text] {
			t.Errorf("no call here runs this statement:\n%s", text)
		}
	}
	for _, method := range methods[*postgres.Store]() {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(calls)), func(name string) bool { return strings.HasPrefix(name+"/", method+"/") }) {
			t.Errorf("no call here is of the store's %s", method)
		}
	}
}

// methods are the names of T's, but Close.
func methods[T any]() (names []string) {
	of := reflect.TypeFor[T]()
	for i := range of.NumMethod() {
		if name := of.Method(i).Name; name != "Close" {
			names = append(names, name)
		}
	}
	return names
}

// statementTexts are the constants of sql.go that are whole statements.
func statementTexts(t *testing.T) (texts []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "sql.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := (&types.Config{}).Check("postgres", files, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range checked.Scope().Names() {
		c, isConstant := checked.Scope().Lookup(name).(*types.Const)
		if !isConstant || c.Val().Kind() != constant.String {
			continue
		}
		text := constant.StringVal(c.Val())
		if word, _, _ := strings.Cut(text, " "); slices.Contains([]string{"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}, word) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		t.Error("sql.go has no statements")
	}
	return texts
}

// sqlWords are what a statement begins with.
var sqlWords = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "VALUES", "TABLE", "TRUNCATE", "COPY", "CALL", "DO", "LOCK",
	"NOTIFY", "LISTEN", "UNLISTEN", "SET", "RESET", "SHOW", "PREPARE", "EXECUTE", "DECLARE", "FETCH", "EXPLAIN",
	"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "VACUUM", "ANALYZE", "REFRESH", "BEGIN", "START", "COMMIT", "ROLLBACK",
}

// All statements are in sql.go, where TestStore_Plans finds them.
func TestStore_Plans_OfAllStatements(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "sql.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, isLiteral := n.(*ast.BasicLit)
			if isLiteral && literal.Kind == token.STRING && isSQL(t, literal.Value) {
				t.Errorf("%v: %s belongs in sql.go", files.Position(literal.Pos()), literal.Value)
			}
			return true
		})
	}
}

// isSQL reports whether a literal begins as a statement does.
func isSQL(t *testing.T, literal string) bool {
	t.Helper()
	text, err := strconv.Unquote(literal)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(strings.TrimLeft(text, "( \n\t"))
	return len(words) > 0 && slices.Contains(sqlWords, strings.ToUpper(words[0]))
}

// plans are how the server runs a statement: planned for its values, and, when
// it was prepared, for any, as it is once it ran a few times. Those of functions
// that it calls are among them.
func (c *crowd) plans(t *testing.T, statement pgtest.Statement) (plans []plan) {
	t.Helper()
	if word, _, _ := strings.Cut(statement.Text, " "); slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK"}, word) {
		return nil
	}
	plans = []plan{c.explain(t, statement, customPlan)}
	if statement.Prepared {
		plans = append(plans, c.explain(t, statement, genericPlan))
	}
	for _, inner := range c.functions(t, statement) {
		plans = append(plans, c.explain(t, inner, customPlan), c.explain(t, inner, genericPlan))
	}
	return plans
}

// functions are the statements inside the functions that a statement calls
// with its own arguments.
func (c *crowd) functions(t *testing.T, statement pgtest.Statement) (inside []pgtest.Statement) {
	t.Helper()
	rows, err := c.conn.QueryContext(t.Context(), `SELECT prosrc, proargnames FROM pg_proc JOIN pg_language l ON l.oid = prolang
		WHERE lanname = 'sql' AND pronamespace = current_schema()::regnamespace AND strpos($1, proname || '(') > 0`, statement.Text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // they are read
	for rows.Next() {
		var text string
		var names []string
		if err := rows.Scan(&text, pq.Array(&names)); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			text = strings.ReplaceAll(text, name, fmt.Sprint("$", i+1))
		}
		inside = append(inside, pgtest.Statement{Text: text, Args: statement.Args})
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return inside
}

// What the server plans for: a statement's values, or any.
const (
	customPlan  = "force_custom_plan"
	genericPlan = "force_generic_plan"
)

// explain runs a statement, measures it and takes it back.
func (c *crowd) explain(t *testing.T, statement pgtest.Statement, mode string) plan {
	t.Helper()
	values := make([]string, len(statement.Args))
	for i, arg := range statement.Args {
		if values[i] = "NULL"; arg != nil {
			values[i] = pq.QuoteLiteral(*arg)
		}
	}
	execute := "EXECUTE explained"
	if len(values) > 0 {
		execute += " (" + strings.Join(values, ", ") + ")"
	}
	exec(t, c.conn, "BEGIN; SET LOCAL plan_cache_mode = "+mode)
	defer exec(t, c.conn, "ROLLBACK; DEALLOCATE ALL")
	exec(t, c.conn, c.undo())
	exec(t, c.conn, "PREPARE explained AS "+statement.Text)
	text := scan[string](t, c.conn, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "+execute)
	var explained []struct{ Plan plan }
	if err := json.Unmarshal([]byte(text), &explained); err != nil || len(explained) != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	return explained[0].Plan
}

// plan is a node of what EXPLAIN tells.
type plan struct {
	Node      string  `json:"Node Type"`
	Table     string  `json:"Relation Name"`
	Index     string  `json:"Index Name"`
	Rows      float64 `json:"Actual Rows"` // of each loop, as is what was removed
	Loops     float64 `json:"Actual Loops"`
	Removed   float64 `json:"Rows Removed by Filter"`
	Rechecked float64 `json:"Rows Removed by Index Recheck"`
	Hit       int     `json:"Shared Hit Blocks"` // with those of the nodes below
	Read      int     `json:"Shared Read Blocks"`
	Plans     []plan  `json:"Plans"`
}

// all are the node and those below it.
func (p plan) all() []plan {
	nodes := []plan{p}
	for _, below := range p.Plans {
		nodes = append(nodes, below.all()...)
	}
	return nodes
}

// scanned are the tables that are read from one end to the other.
func (p plan) scanned() (tables []string) {
	for _, node := range p.all() {
		if node.Node == "Seq Scan" {
			tables = append(tables, node.Table)
		}
	}
	return tables
}

// visited is how many rows of tables were looked at.
func (p plan) visited() (rows float64) {
	for _, node := range p.all() {
		if node.Table != "" && strings.HasSuffix(node.Node, "Scan") {
			rows += node.Loops * (node.Rows + node.Removed + node.Rechecked)
		}
	}
	return rows
}

// complaint is what is wrong with the plan, empty for nothing.
func (p plan) complaint(most budget) string {
	if tables := p.scanned(); len(tables) > 0 {
		return fmt.Sprint("reads all of ", tables)
	}
	if rows := p.visited(); rows > most.rows {
		return fmt.Sprint("visits ", rows, " rows")
	}
	if pages := p.Hit + p.Read; float64(pages) > most.pages {
		return fmt.Sprint("looks at ", pages, " pages")
	}
	return ""
}

func (p plan) String() string {
	text := fmt.Sprintf("%s %s %s: %v × (%v rows, %v not wanted), %d pages", p.Node, p.Table, p.Index, p.Loops, p.Rows, p.Removed+p.Rechecked, p.Hit+p.Read)
	for _, below := range p.Plans {
		text += "\n" + below.String()
	}
	return strings.ReplaceAll(text, "\n", "\n  ")
}

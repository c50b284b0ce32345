package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repositoryOf makes a repository with these files.
func repositoryOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if printed, err := exec.CommandContext(t.Context(), "git", "init", "-q", root).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, printed)
	}
	return root
}

// check runs the command and returns what it prints.
func check(t *testing.T, args ...string) string {
	t.Helper()
	var stdout bytes.Buffer
	found, err := run(t.Context(), args, &stdout)
	if err != nil {
		t.Fatalf("docscheck %q: %v", args, err)
	}
	if problems := strings.Count(stdout.String(), ".md:") - strings.Count(stdout.String(), ".md: "); found == 0 && problems > 0 {
		t.Errorf("docscheck prints problems and returns 0: %s", stdout.String())
	}
	return stdout.String()
}

// needs skips the test, or fails in CI, where a program is not installed.
func needs(t *testing.T, name string) {
	t.Helper()
	if _, err := lookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func fenced(info string, lines ...string) string {
	return "```" + info + "\n" + strings.Join(lines, "\n") + "\n```\n"
}

// aPhrase is one of the list, in capitals, as it is not written here.
func aPhrase(t *testing.T) (phrase, instead string) {
	t.Helper()
	list, err := parsePhrases(phraseList)
	if err != nil {
		t.Fatal(err)
	}
	phrases := slices.DeleteFunc(slices.Sorted(maps.Keys(list.instead)), func(phrase string) bool { return !strings.Contains(phrase, " ") })
	return strings.ToUpper(phrases[0]), list.instead[phrases[0]]
}

func TestProblems(t *testing.T) {
	t.Parallel()
	phrase, instead := aPhrase(t)
	begin, end, _ := strings.Cut(phrase, " ")
	wording := `"` + phrase + `": write "` + instead + `"`
	for name, test := range map[string]struct {
		files map[string]string
		want  string // how the line of the problem begins; none if empty
	}{
		"ReadmeTooLong": {map[string]string{"README.md": strings.Repeat("line\n", 181)}, "README.md:181: README.md has 181 lines; 180 are allowed"},
		"ReadmeFits":    {map[string]string{"README.md": strings.Repeat("line\n", 180)}, ""},
		"OtherPageLong": {map[string]string{"docs/a.md": strings.Repeat("line\n", 181)}, ""},

		"LinkToMissingFile":    {map[string]string{"docs/a.md": "# A\n\nsee [b](b.md)\n"}, "docs/a.md:3: dead link b.md: there is no file docs/b.md"},
		"LinkInOtherCase":      {map[string]string{"a.md": "[b](B.md)\n", "b.md": "# B\n"}, "a.md:1: dead link B.md"},
		"LinkOutside":          {map[string]string{"a.md": "[b](../b.md)\n"}, "a.md:1: dead link ../b.md"},
		"LinkToIgnoredFile":    {map[string]string{"a.md": "[b](b.txt)\n", "b.txt": "", ".gitignore": "b.txt\n"}, "a.md:1: dead link b.txt"},
		"ImageMissing":         {map[string]string{"a.md": "![b](b.png)\n"}, "a.md:1: dead link b.png"},
		"LinkWithImageMissing": {map[string]string{"a.md": "[![b](https://example.com/b.png)](b.md)\n"}, "a.md:1: dead link b.md"},
		"DefinitionMissing":    {map[string]string{"a.md": "# A\n\n[b]: b.md\n"}, "a.md:3: dead link b.md"},
		"UndefinedReference":   {map[string]string{"a.md": "see [b][c]\n"}, "a.md:1: dead link: no line defines the reference [c]"},
		"HTMLLinkMissing":      {map[string]string{"a.md": `<a class="x" href="b.md">b</a>` + "\n"}, "a.md:1: dead link b.md"},
		"AnchorMissing":        {map[string]string{"a.md": "# A\n\n[b](#b)\n"}, "a.md:3: dead link #b: a.md has no heading with the anchor #b"},
		"AnchorOfOtherPage":    {map[string]string{"a.md": "[b](docs/b.md#c)\n", "docs/b.md": "# B\n"}, "a.md:1: dead link docs/b.md#c: docs/b.md has no heading with the anchor #c"},
		"AnchorOnlyInBlock":    {map[string]string{"a.md": fenced("text", "# B") + "[b](#b)\n"}, "a.md:4: dead link #b"},
		"AnchorOfSourceFile":   {map[string]string{"a.md": "[b](b.go#B)\n", "b.go": "package b\n"}, "a.md:1: dead link b.go#B: b.go has no anchors"},
		"LineMissing":          {map[string]string{"a.md": "[b](b.go#L2)\n", "b.go": "package b\n"}, "a.md:1: dead link b.go#L2: b.go has no line 2"},
		"LinkAfterCodeSpan":    {map[string]string{"a.md": "a `code\nspan` and [b](b.md) and `c`\n"}, "a.md:2: dead link b.md"},
		"PartOfPage":           {map[string]string{"cmd/a/intro.md": "[b](b.md)\n"}, ""},
		"GoodLinks": {map[string]string{
			"a.md":      "# A `x_y` & B\n\n[1](#a-x_y--b) [2](docs/b.md#c-1) [3](docs/) [4](/docs/b.md) [5](b.go#L1) [6](https://example.com/x.md) `[7](x.md)` [8][d] [9](<docs/b.md>)\n\n[d]: docs/b.md\n\n<!-- [c](c.md) -->\n",
			"docs/b.md": "B\n===\n\n## C\n\n## C\n\n[a](../a.md) <a id=\"here\"></a> [here](#here)\n" + fenced("text", "[x](x.md)"),
			"b.go":      "package b\n",
		}, ""},

		"PhraseInPage":         {map[string]string{"a.md": "# A\n\nIt is " + phrase + ".\n"}, "a.md:3: " + wording},
		"PhraseAcrossLines":    {map[string]string{"a.md": "> it " + begin + "\n> " + end + "\n"}, "a.md:1: " + wording},
		"PhraseInBlock":        {map[string]string{"a.md": fenced("text", "# "+phrase)}, "a.md:2: " + wording},
		"PhraseInGoComment":    {map[string]string{"a.go": "package a\n\n// it is " + begin + "\n// " + end + ".\n"}, "a.go:3: " + wording},
		"PhraseInGoBlock":      {map[string]string{"a.go": "package a\n\n/*\nit is " + phrase + "\n*/\n"}, "a.go:4: " + wording},
		"PhraseInGoString":     {map[string]string{"a.go": "package a\n\nconst a = \"it is " + phrase + "\"\n"}, "a.go:3: " + wording},
		"PhraseInJoinedString": {map[string]string{"a.go": "package a\n\nconst a = \"it \" +\n\t\"is " + begin + " \" +\n\t\"" + end + "\"\n"}, "a.go:4: " + wording},
		"PhraseInHelp":         {map[string]string{"a.go": "package a\n\ntype a struct {\n\tB string `help:\"" + phrase + "\"`\n}\n"}, "a.go:4: " + wording},
		"PhraseInYAML":         {map[string]string{"api/openapi.yaml": "a:\n  description: it is " + phrase + "\n"}, "api/openapi.yaml:2: " + wording},
		"PhraseInScript":       {map[string]string{".ci/run": "#!/bin/sh\n# it is " + begin + "\n# " + end + "\n"}, ".ci/run:2: " + wording},
		"PhraseInSQL":          {map[string]string{"db/roles.sql": "-- " + phrase + "\n"}, "db/roles.sql:1: " + wording},
		"PhraseElsewhere": {map[string]string{
			"a.md":                  begin + "\n\n" + end + "\n\nx" + phrase + "\n\n" + phrase + "x\n",
			"a.go":                  "package a\n\n// " + begin + "\n\n//\n// " + end + "\n\nvar b = f(\"" + begin + "\", \" " + end + "\")\n",
			"db/migrations/a/1.sql": "-- " + phrase + "\n",
			"b.go":                  "// Code generated by a test. DO NOT EDIT.\n\npackage a\n\n// " + phrase + "\n",
		}, ""},

		"BlockNotClosed":     {map[string]string{"a.md": "# A\n\n```json\n{}\n"}, "a.md:3: the block has no closing fence"},
		"BlockWithout":       {map[string]string{"a.md": fenced("", "{}")}, "a.md:1: the block names no language"},
		"BlockOtherName":     {map[string]string{"a.md": fenced("bash", "true")}, "a.md:1: unknown language bash: use sh"},
		"BlockUnknownOption": {map[string]string{"a.md": fenced("sh norun", "true")}, `a.md:1: unknown option "norun" for sh`},
		"EllipsisInShell":    {map[string]string{"a.md": fenced("sh", "echo …")}, "a.md:1: the block contains …"},
		"EllipsisInCaddy":    {map[string]string{"a.md": fenced("caddy", "…")}, "a.md:1: the block contains …"},
		"EllipsisInOutput":   {map[string]string{"a.md": fenced("console", "…") + fenced("text", "…")}, ""},
		"JSON":               {map[string]string{"a.md": "# A\n\n" + fenced("json", "{", `"a": 1,`, "}")}, "a.md:3: invalid JSON after line 4: invalid character '}'"},
		"JSONEmpty":          {map[string]string{"a.md": fenced("json", "")}, "a.md:1: invalid JSON"},
		"YAML":               {map[string]string{"a.md": fenced("yaml", "a: b", "a: c")}, "a.md:1: invalid YAML: yaml: unmarshal errors:\n  line 3: mapping key \"a\" already defined at line 2"},
		"ShellSyntax":        {map[string]string{"a.md": "# A\n\n" + fenced("sh no-run", "if true; then")}, "a.md:3: bash refuses the block:\n    a.md: line 5: syntax error"},
		"IndentedBlock":      {map[string]string{"a.md": "1. a\n\n   ```json\n   {]\n   ```\n"}, "a.md:3: invalid JSON"},
		"NestedFence":        {map[string]string{"a.md": "````text\n```bash\n```\n````\n"}, ""},
		"GoodBlocks": {map[string]string{"a.md": fenced("json", "{}", "[1]") + fenced("yaml", "a: b", "---", "[c]") + fenced("sh no-run", "exit 1") +
			fenced("sh any-status", "exit 1") + fenced("caddy", "{") + fenced("mermaid", "graph LR")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := check(t, "-no-run", repositoryOf(t, test.files))
			var problems []string
			for line := range strings.Lines(got) {
				if !strings.Contains(line, " run, ") {
					problems = append(problems, line)
				}
			}
			text := strings.Join(problems, "")
			if test.want == "" && text != "" || !strings.HasPrefix(text, test.want) {
				t.Errorf("got\n%s\nwant\n%s", text, test.want)
			}
		})
	}
}

// Programs that parse blocks: what they refuse is a problem at its line.
func TestProblems_Programs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ program, block, want string }{
		"JavaScript":         {"node", fenced("js", "const a = 1;", "const a = ;"), "a.md:3: node refuses the block:\n    a.md:5\n"},
		"JavaScriptNoRun":    {"node", fenced("js no-run", "const a = ;"), "a.md:3: node refuses the block"},
		"JavaScriptModule":   {"node", fenced("js", `import a from "a";`, "await a();"), ""},
		"Python":             {"python3", fenced("python", "def f():", "  return 1", "return 2"), "a.md:3: python3 refuses the block"},
		"PythonGood":         {"python3", fenced("python", "async def f():", "    await g()"), ""},
		"NginxDirective":     {"nginx", fenced("nginx", "location / { proxy_passs http://a; }"), `unknown directive "proxy_passs" in a.md:4`},
		"NginxNotClosed":     {"nginx", fenced("nginx", "location / {"), "a.md:3: nginx refuses the block"},
		"NginxLocations":     {"nginx", fenced("nginx", "location / { proxy_pass http://chat; }", "location = /a { proxy_pass http://sessions:8080/b; }"), ""},
		"NginxServer":        {"nginx", fenced("nginx", "upstream sessions { server sessions.internal:8080 max_fails=2; server b:1; keepalive 8; }", "server { listen 8081; location / { proxy_pass http://sessions; } }"), ""},
		"NginxConfiguration": {"nginx", fenced("nginx", "http { server { listen 8081; } }"), ""},
		"NginxNoRun":         {"nginx", fenced("nginx no-run", "ssl_certificate missing.pem;"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t, test.program)
			got := check(t, "-no-run", repositoryOf(t, map[string]string{"a.md": "# A\n\n" + test.block}))
			_, problems, _ := strings.Cut(got, " output\n")
			if test.want == "" && problems != "" || !strings.Contains(problems, test.want) {
				t.Errorf("got\n%s\nwant\n%s", problems, test.want)
			}
		})
	}
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	for heading, want := range map[string]string{
		"In the page: events":               "in-the-page-events",
		"`GET /session/events`":             "get-sessionevents",
		"What a sign-out does, and doesn't": "what-a-sign-out-does-and-doesnt",
		"[Clerk](https://clerk.com) & co.":  "clerk--co",
		"_All_ of `a_b` and a_b_c":          "all-of-a_b-and-a_b_c",
		"**Übergröße** 1½":                  "übergröße-1",
		"0.3.0 — 2026-11-25":                "030--2026-11-25",
		"a <b>bold</b> `<tag>`":             "a-bold-tag",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("anchor(%q) = %q, want %q", heading, got, want)
		}
	}
}

func TestParsePhrases(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"a phrase alone", "-> only instead", "phrase ->"} {
		if _, err := parsePhrases(list); err == nil {
			t.Errorf("parsePhrases(%q) succeeds", list)
		}
	}
}

func TestRun_CommandLine(t *testing.T) {
	t.Parallel()
	root := repositoryOf(t, map[string]string{"a.md": "# A\n"})
	for name, args := range map[string][]string{
		"NoRoot":      {},
		"UnknownPage": {root, "b.md"},
		"NoGit":       {t.TempDir()},
		"UnknownFlag": {"-what", root},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
				t.Errorf("docscheck %q succeeds", args)
			}
		})
	}
}

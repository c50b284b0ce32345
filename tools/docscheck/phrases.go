package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// phrases are wordings to avoid.
type phrases struct {
	pattern *regexp.Regexp
	instead map[string]string // by the phrase in lower case
}

// parsePhrases reads lines "phrase -> what to write instead". Lines that begin
// with # are comments.
func parsePhrases(list string) (phrases, error) {
	p := phrases{instead: map[string]string{}}
	var patterns []string
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		phrase, instead, found := strings.Cut(line, "->")
		phrase = strings.ToLower(strings.Join(strings.Fields(phrase), " "))
		if !found || phrase == "" || strings.TrimSpace(instead) == "" {
			return p, fmt.Errorf("phrases: %q must be: phrase -> what to write instead", line)
		}
		p.instead[phrase] = strings.TrimSpace(instead)
		patterns = append(patterns, regexp.QuoteMeta(phrase))
	}
	// The longest phrase that begins at a place is the one reported.
	slices.SortFunc(patterns, func(a, b string) int { return len(b) - len(a) })
	var err error
	p.pattern, err = regexp.Compile(`(?i)\b(?:` + strings.Join(patterns, "|") + `)\b`)
	return p, err
}

// checkPhrases finds phrases in the prose of the repository: in all of its
// text files, and of Go files in comments and strings.
func checkPhrases(repo repository, list phrases) ([]problem, error) {
	var problems []problem
	for _, name := range repo.files {
		if !hasProse(name) {
			continue
		}
		text, err := repo.read(name)
		if err != nil {
			return nil, err
		}
		var passages []passage
		switch {
		case path.Ext(name) != ".go":
			passages = []passage{textPassage(text)}
		case !generatedFile.MatchString(text):
			passages = goPassages(text)
		}
		for _, p := range passages {
			problems = append(problems, p.find(name, list)...)
		}
	}
	return problems, nil
}

var generatedFile = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// hasProse reports whether people read a file and may change its words.
// Migrations never change.
func hasProse(name string) bool {
	if strings.HasPrefix(name, "db/migrations/") || strings.Contains(name, "testdata/") {
		return false
	}
	return slices.Contains([]string{".go", ".md", ".yaml", ".yml", ".sh", ".sql"}, path.Ext(name)) ||
		strings.HasPrefix(name, ".ci/") || path.Base(name) == "Dockerfile"
}

// passage is a text whose runs of white space are one space each, and the line
// that each of its bytes is from. A line break in it separates paragraphs.
type passage struct {
	text  []byte
	lines []int
}

// add appends text that begins at a line.
func (p *passage) add(text string, line int) {
	for i := range len(text) {
		c := text[i]
		last := byte('\n')
		if len(p.text) > 0 {
			last = p.text[len(p.text)-1]
		}
		switch {
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			p.text, p.lines = append(p.text, c), append(p.lines, line)
		case last != ' ' && last != '\n':
			p.text, p.lines = append(p.text, ' '), append(p.lines, line)
		}
		if c == '\n' {
			line++
		}
	}
}

// endParagraph keeps phrases from matching across it.
func (p *passage) endParagraph(line int) {
	p.text, p.lines = append(p.text, '\n'), append(p.lines, line)
}

func (p *passage) find(file string, list phrases) []problem {
	var problems []problem
	for _, match := range list.pattern.FindAllIndex(p.text, -1) {
		phrase := string(p.text[match[0]:match[1]])
		problems = append(problems, problem{file, p.lines[match[0]], fmt.Sprintf("%q: write %q", phrase, list.instead[strings.ToLower(phrase)])})
	}
	return problems
}

// lineMark is what begins a line of a comment, quotation, heading or list.
var lineMark = regexp.MustCompile(`^\s*(?:#+|//+|--|>|\*|-)?\s*`)

// textPassage is the text of a file without what marks comments and lists.
func textPassage(text string) passage {
	var p passage
	line := 0
	for content := range strings.Lines(text) {
		line++
		content = strings.TrimSpace(content[len(lineMark.FindString(content)):])
		if content == "" {
			p.endParagraph(line)
			continue
		}
		p.add(content+" ", line)
	}
	return p
}

// goPassages are the comments and the strings of a Go file. Comments on lines
// that follow each other are one passage, and so are strings joined by +.
func goPassages(text string) []passage {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, scanner.ScanComments)

	var passages []passage
	var current passage
	flush := func() {
		if len(current.text) > 0 {
			passages = append(passages, current)
		}
		current = passage{}
	}
	last := token.ILLEGAL // the kind of token that current ends with
	for {
		position, kind, literal := s.Scan()
		line := file.Line(position)
		switch kind {
		case token.COMMENT:
			if last != token.COMMENT {
				flush()
			}
			addComment(&current, literal, line)
		case token.STRING:
			if last != token.ADD {
				flush()
			}
			current.add(escapes.Replace(literal[1:len(literal)-1]), line)
		case token.SEMICOLON:
			if literal == "\n" { // the scanner adds it at the end of a line
				continue
			}
			flush()
		case token.ADD:
			if last != token.STRING {
				flush()
			}
		case token.EOF:
			flush()
			return passages
		default:
			flush()
		}
		last = kind
	}
}

// escapes are spaces to a reader.
var escapes = strings.NewReplacer(`\n`, "  ", `\t`, "  ")

func addComment(p *passage, literal string, line int) {
	if block, found := strings.CutPrefix(literal, "/*"); found {
		p.add(strings.TrimSuffix(block, "*/"), line)
		return
	}
	content := strings.TrimSpace(strings.TrimLeft(literal, "/"))
	if content == "" {
		p.endParagraph(line)
		return
	}
	p.add(content+" ", line)
}

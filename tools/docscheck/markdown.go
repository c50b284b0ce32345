package main

import (
	"regexp"
	"strings"
)

// page is a Markdown file.
type page struct {
	path   string
	lines  int
	blocks []block
	// prose is the text without fenced blocks and comments, line for line.
	prose string
}

// block is a fenced block.
type block struct {
	line     int // of the opening fence
	language string
	options  []string
	text     string
	closed   bool
}

var fence = regexp.MustCompile("^(\\s*)(`{3,}|~{3,})\\s*([^`]*)$")

// parsePage splits a page into fenced blocks and prose.
func parsePage(path, text string) page {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	p := page{path: path, lines: len(lines)}
	prose := make([]string, len(lines))
	var open *block
	var indent, mark string
	for i, line := range lines {
		found := fence.FindStringSubmatch(line)
		switch {
		case open == nil && found == nil:
			prose[i] = line
		case open == nil:
			indent, mark = found[1], found[2]
			p.blocks = append(p.blocks, block{line: i + 1})
			open = &p.blocks[len(p.blocks)-1]
			if words := strings.Fields(found[3]); len(words) > 0 {
				open.language, open.options = words[0], words[1:]
			}
		case closes(line, mark):
			open.closed = true
			open = nil
		default:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	p.prose = blank(htmlComment, strings.Join(prose, "\n"))
	return p
}

// closes reports whether a line ends a block that a mark opened.
func closes(line, mark string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, mark) && strings.Trim(line, mark[:1]) == ""
}

var htmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)

// blank replaces what a pattern matches with spaces, but keeps line breaks.
func blank(pattern *regexp.Regexp, text string) string {
	return pattern.ReplaceAllStringFunc(text, func(match string) string {
		return strings.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return ' '
		}, match)
	})
}

// codeSpan is a range of a text, without its backticks.
type codeSpan struct{ start, end int }

var (
	backticks = regexp.MustCompile("`+")
	blankLine = regexp.MustCompile(`\n[ \t]*\n`)
)

// codeSpans finds the inline code of a text. A span ends at a run of as many
// backticks as it began with, in the same paragraph.
func codeSpans(text string) []codeSpan {
	var spans []codeSpan
	runs := backticks.FindAllStringIndex(text, -1)
	for i := 0; i < len(runs); i++ {
		for j := i + 1; j < len(runs); j++ {
			if blankLine.MatchString(text[runs[i][1]:runs[j][0]]) {
				break
			}
			if runs[j][1]-runs[j][0] == runs[i][1]-runs[i][0] {
				spans = append(spans, codeSpan{runs[i][1], runs[j][0]})
				i = j
				break
			}
		}
	}
	return spans
}

// withoutCode replaces inline code with the letter x, so that nothing in it
// looks like Markdown.
func withoutCode(text string) string {
	masked := []byte(text)
	for _, span := range codeSpans(text) {
		for i := span.start; i < span.end; i++ {
			if masked[i] != '\n' {
				masked[i] = 'x'
			}
		}
	}
	return string(masked)
}

// lineAt is the number of the line that has the offset.
func lineAt(text string, offset int) int {
	return strings.Count(text[:offset], "\n") + 1
}

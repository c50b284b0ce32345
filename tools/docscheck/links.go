package main

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// checkLinks finds links within the repository whose file or anchor does not
// exist. It does not follow links to other sites.
func checkLinks(repo repository, pages []page) []problem {
	anchors := make(map[string]map[string]bool, len(pages))
	for _, p := range pages {
		anchors[p.path] = pageAnchors(p.prose)
	}
	var problems []problem
	for _, p := range pages {
		links, undefined := pageLinks(p.prose)
		for _, l := range undefined {
			problems = append(problems, problem{p.path, l.line, fmt.Sprintf("dead link: no line defines the reference [%s]", l.target)})
		}
		for _, l := range links {
			if reason := repo.dead(p.path, l.target, anchors); reason != "" {
				problems = append(problems, problem{p.path, l.line, fmt.Sprintf("dead link %s: %s", l.target, reason)})
			}
		}
	}
	return problems
}

// lineAnchor is a link to lines of a source file.
var lineAnchor = regexp.MustCompile(`^L(\d+)(?:-L(\d+))?$`)

// dead says why a link of a page leads nowhere, or nothing if it does not.
func (r repository) dead(from, target string, anchors map[string]map[string]bool) string {
	link, err := url.Parse(target)
	if err != nil {
		return "not a URL"
	}
	if link.Scheme != "" || link.Host != "" {
		return ""
	}
	name := from
	switch {
	case strings.HasPrefix(link.Path, "/"):
		name = path.Clean(strings.TrimPrefix(link.Path, "/"))
	case link.Path != "":
		name = path.Join(path.Dir(from), link.Path)
	}
	switch {
	case !r.isFile(name) && !r.isFolder(name):
		return "there is no file " + name
	case link.Fragment == "":
		return ""
	case anchors[name] != nil:
		if !anchors[name][link.Fragment] {
			return fmt.Sprintf("%s has no heading with the anchor #%s", name, link.Fragment)
		}
		return ""
	}
	text, err := r.read(name)
	lines := lineAnchor.FindStringSubmatch(link.Fragment)
	if err != nil || lines == nil {
		return name + " has no anchors"
	}
	for _, digits := range lines[1:] {
		if number, _ := strconv.Atoi(digits); number > strings.Count(text, "\n") {
			return fmt.Sprintf("%s has no line %d", name, number)
		}
	}
	return ""
}

// link is a link of a page.
type link struct {
	target string
	line   int
}

var (
	inlineLink     = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	definition     = regexp.MustCompile(`(?m)^ {0,3}\[([^\]\n]+)\]:\s*<?([^\s>]+)`)
	reference      = regexp.MustCompile(`\]\[([^\]\n]+)\]`)
	shortReference = regexp.MustCompile(`\[([^\]\n]+)\]\[\]`)
	htmlLink       = regexp.MustCompile(`(?i)<(?:a|img|source)\s[^>]*?(?:href|src)="([^"]+)"`)
	htmlAnchor     = regexp.MustCompile(`(?i)<\w+\s[^>]*?(?:id|name)="([^"]+)"`)
)

// pageLinks returns the targets of a page's links and the references that
// nothing defines.
func pageLinks(prose string) (links, undefined []link) {
	text := withoutCode(prose)
	collect := func(pattern *regexp.Regexp, group int) (found []link) {
		for _, match := range pattern.FindAllStringSubmatchIndex(text, -1) {
			start, end := match[2*group], match[2*group+1]
			found = append(found, link{prose[start:end], lineAt(prose, start)})
		}
		return found
	}
	links = append(collect(inlineLink, 1), collect(htmlLink, 1)...)
	links = append(links, collect(definition, 2)...)
	defined := map[string]bool{}
	for _, l := range collect(definition, 1) {
		defined[strings.ToLower(l.target)] = true
	}
	for _, l := range append(collect(reference, 1), collect(shortReference, 1)...) {
		if !defined[strings.ToLower(l.target)] {
			undefined = append(undefined, l)
		}
	}
	return links, undefined
}

var (
	atxHeading    = regexp.MustCompile(`(?m)^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$`)
	setextHeading = regexp.MustCompile(`(?m)^ {0,3}([^\s#>|].*)\n {0,3}(?:=+|-+)[ \t]*$`)
)

// pageAnchors returns the anchors that GitHub makes of a page's headings, and
// those that its HTML sets.
func pageAnchors(prose string) map[string]bool {
	type heading struct{ start, end int }
	var headings []heading
	for _, pattern := range []*regexp.Regexp{atxHeading, setextHeading} {
		for _, match := range pattern.FindAllStringSubmatchIndex(prose, -1) {
			headings = append(headings, heading{match[2], match[3]})
		}
	}
	// Numbers of repeated headings count from the top of the page.
	slices.SortFunc(headings, func(a, b heading) int { return a.start - b.start })
	anchors, seen := map[string]bool{}, map[string]int{}
	for _, h := range headings {
		name := anchor(prose[h.start:h.end])
		repeated := seen[name]
		seen[name]++
		if repeated > 0 {
			name += "-" + strconv.Itoa(repeated)
		}
		anchors[name] = true
	}
	for _, match := range htmlAnchor.FindAllStringSubmatch(withoutCode(prose), -1) {
		anchors[match[1]] = true
	}
	return anchors
}

var (
	linkText = regexp.MustCompile(`!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])`)
	htmlTag  = regexp.MustCompile(`</?\w[^>]*>`)
	emphasis = regexp.MustCompile(`(^|[^\w])_+([^_]+|[^_].*?[^_])_+($|[^\w])`)
)

// anchor makes the anchor of a heading as GitHub does: the text without
// formatting in lower case, with letters, marks, digits, connectors and hyphens
// alone, and hyphens for spaces.
func anchor(heading string) string {
	var text strings.Builder
	done := 0
	for _, span := range codeSpans(heading) {
		text.WriteString(plain(heading[done:span.start]))
		text.WriteString(heading[span.start:span.end])
		done = span.end
	}
	text.WriteString(plain(heading[done:]))
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc):
			return unicode.ToLower(r)
		}
		return -1
	}, text.String())
}

// plain removes Markdown's formatting, but for characters that an anchor drops
// anyway.
func plain(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	text = htmlTag.ReplaceAllString(text, "")
	return emphasis.ReplaceAllString(text, "$1$2$3")
}

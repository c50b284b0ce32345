package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// environment is the process environment, split into settings and other
// variables.
type environment struct {
	// values holds the settings that are set, by name. The entries of a list are
	// separated by commas.
	values map[string]string
	// others holds the names of all other variables.
	others []string
}

// names returns the names of the settings that are set.
func (e environment) names() map[string]bool {
	names := make(map[string]bool, len(e.values))
	for name := range e.values {
		names[name] = true
	}
	return names
}

// readEnviron reads the settings from environ, and from the files that NAME_FILE
// variables name. An empty variable counts as unset; an empty file is a mistake.
func readEnviron(environ []string) (environment, mistakes) {
	given := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		given[name] = value
		if value == "" {
			delete(given, name)
		}
	}
	e := environment{values: make(map[string]string)}
	wrong := mistakes{files: make(map[string]string)}
	for _, s := range allSettings() {
		value, set := given[s.name]
		path, inFile := given[s.name+fileSuffix]
		delete(given, s.name)
		delete(given, s.name+fileSuffix)
		switch {
		case set && inFile:
			wrong.add(s.name, fmt.Errorf("set it or %s%s, not both", s.name, fileSuffix))
			continue
		case inFile:
			wrong.files[s.name] = path
			var err error
			if value, err = readSetting(path); err != nil {
				wrong.add(s.name, err)
				continue
			}
		}
		e.values[s.name] = s.clean(value)
		if e.values[s.name] == "" {
			delete(e.values, s.name)
			if strings.TrimSpace(value) != "" {
				wrong.add(s.name, errors.New("has no entries"))
			}
		}
	}
	e.others = slices.Sorted(maps.Keys(given))
	return e, wrong
}

// readSetting reads a setting's value from a file.
func readSetting(path string) (string, error) {
	content, err := os.ReadFile(path)
	var cause *fs.PathError
	switch {
	case errors.As(err, &cause):
		return "", fmt.Errorf("cannot be read: %w", cause.Err) // the caller adds the path
	case err != nil:
		return "", err
	case !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0: // such as UTF-16 from PowerShell
		return "", errors.New("is not UTF-8 text")
	}
	if text := strings.TrimSpace(strings.TrimPrefix(string(content), byteOrderMark)); text != "" {
		return text, nil
	}
	return "", errors.New("is empty")
}

// byteOrderMark is what some editors write at the start of a UTF-8 file.
const byteOrderMark = "\ufeff"

// clean returns the value without a byte order mark, surrounding spaces or
// quotes. It returns a list as its entries, each cleaned, separated by commas.
func (s setting) clean(value string) string {
	value = unquoted(strings.TrimPrefix(value, byteOrderMark))
	if !s.list {
		return value
	}
	var entries []string
	for entry := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if entry = unquoted(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return strings.Join(entries, ",")
}

// unquoted returns text without surrounding spaces and one surrounding pair of
// quotes, which docker run --env-file keeps.
func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if len(text) < 2 || (text[0] != '"' && text[0] != '\'') {
		return text
	}
	inner := text[1 : len(text)-1]
	if text[len(text)-1] != text[0] || strings.IndexByte(inner, text[0]) >= 0 {
		return text
	}
	return strings.TrimSpace(inner)
}

// warnings returns a warning for each variable that has no effect but may be
// meant as a setting: those that start with ownPrefix, and those whose name looks
// like a misspelled setting.
func (e environment) warnings() []string {
	var warnings []string
	for _, name := range e.others {
		meant, own := e.meant(name), strings.HasPrefix(name, ownPrefix)
		if e.isServiceLink(name) || (!own && meant == "") {
			continue
		}
		warning := name + " has no effect"
		if own {
			warning = name + " is not a setting of this version and has no effect"
		}
		if meant != "" {
			warning += ": did you mean " + meant + "?"
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// isServiceLink reports whether a variable is one that Kubernetes sets for each
// service, such as CHATKIT_SESSION_PORT.
func (e environment) isServiceLink(name string) bool {
	return slices.ContainsFunc(e.others, func(host string) bool {
		service, isHost := strings.CutSuffix(host, "_SERVICE_HOST")
		rest, isOfIt := strings.CutPrefix(name, service)
		return isHost && isOfIt && (strings.HasPrefix(rest, "_SERVICE_") || strings.HasPrefix(rest, "_PORT"))
	})
}

// meant returns the setting that a variable's name may be a misspelling of, or
// an empty string. A setting that is set is not a candidate: the variable then
// belongs to another program.
func (e environment) meant(name string) string {
	base, inFile := strings.CutSuffix(strings.ToUpper(name), fileSuffix)
	nearest, best := "", 0
	for _, s := range allSettings() {
		edits, most := distance(base, s.name), max(1, len(s.name)/5)
		if edits <= most && e.values[s.name] == "" && (nearest == "" || edits < best) {
			nearest, best = s.name, edits
		}
	}
	if nearest != "" && inFile {
		nearest += fileSuffix
	}
	return nearest
}

// distance returns the optimal string alignment distance: the number of letters
// to insert, delete, replace or swap with the next to turn one text into the
// other.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

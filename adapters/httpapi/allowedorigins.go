package httpapi

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// origins are the origins (RFC 6454) that may call the API.
type origins struct {
	exact    map[string]bool
	patterns []pattern
}

// pattern is an origin with a *, split at the *.
type pattern struct {
	before, after string
	// deep means that the * matches subdomains at any depth. Otherwise it
	// matches part of one label.
	deep bool
}

// CheckOrigins returns an error with one line for each invalid origin.
func CheckOrigins(texts []string) error {
	_, err := parseOrigins(texts)
	return err
}

func parseOrigins(texts []string) (origins, error) {
	parsed := origins{exact: make(map[string]bool, len(texts))}
	var wrong []error
	for _, text := range texts {
		if err := parsed.add(text); err != nil {
			wrong = append(wrong, fmt.Errorf("%q %w", text, err))
		}
	}
	return parsed, errors.Join(wrong...)
}

func (o *origins) add(text string) error {
	parsed, err := parseOrigin(text)
	if err != nil {
		return err
	}
	if !strings.Contains(parsed.host, "*") {
		o.exact[parsed.String()] = true
		return nil
	}
	if err := checkPattern(parsed); err != nil {
		return err
	}
	before, after, _ := strings.Cut(parsed.String(), "*")
	o.patterns = append(o.patterns, pattern{before, after, strings.HasPrefix(parsed.host, wildcardLabel)})
	return nil
}

const wildcardLabel = "*."

// The errors of invalid patterns. Their texts follow the quoted pattern.
var (
	errPatternHTTP   = errors.New("must use https: over http, anyone on the network can pretend to be such a page")
	errPatternSuffix = errors.New("must not have * where anyone can register a name: https://shop-*-team.vercel.app matches the previews of one team")
	errPatternPlace  = errors.New("must have * at the beginning, as in https://*.example.com, or next to other characters, as in https://shop-*.example.com")
	errPatternLabel  = errors.New("must have characters after * in the same label, as in https://shop-*-team.vercel.app: anyone can register a name with the same beginning")
)

// checkPattern refuses patterns that strangers' pages could match: anyone can
// register a name below a public suffix (https://publicsuffix.org).
func checkPattern(o origin) error {
	switch {
	case strings.Count(o.host, "*") > 1:
		return errOriginStars
	case o.scheme != "https":
		return errPatternHTTP
	}
	start, rest, _ := strings.Cut(o.host, "*")
	after, parent, _ := strings.Cut(rest, ".") // what follows the * in its label, and the labels behind that
	if after == "" && strings.HasSuffix(start, ".") {
		return errPatternPlace
	}
	below := "x." + parent
	suffix, official := publicsuffix.PublicSuffix(below)
	switch {
	case parent == "" || suffix == below:
		return errPatternSuffix
	case suffix != parent:
		return nil // below the suffix, someone has registered the parent
	case official || !strings.Contains(parent, ".") || start+after == "":
		return errPatternSuffix // such as https://shop-*.co.uk and https://*.vercel.app
	case after == "":
		return errPatternLabel
	}
	return nil
}

// allow reports whether the value of an Origin header is allowed.
func (o origins) allow(header string) bool {
	if o.exact[header] {
		return true
	}
	for _, p := range o.patterns {
		if p.matches(header) {
			return true
		}
	}
	// Browsers send the origins of pages in lower case, but some send those of
	// apps and extensions in mixed case.
	lower := strings.ToLower(header)
	return !strings.HasPrefix(lower, "http") && o.exact[lower]
}

func (p pattern) matches(header string) bool {
	rest, begins := strings.CutPrefix(header, p.before)
	middle, ends := strings.CutSuffix(rest, p.after)
	if !begins || !ends || middle == "" || strings.ContainsFunc(middle, notHost) {
		return false
	}
	return p.deep || !strings.Contains(middle, ".")
}

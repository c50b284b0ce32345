package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// origins are the origins (RFC 6454) of browsers that may call.
type origins struct {
	exact    map[string]bool
	wildcard []wildcardOrigin
}

// wildcardOrigin stands for all hosts below one, at any depth.
type wildcardOrigin struct{ scheme, below string }

const wildcardLabel = "*."

// CheckOrigins reports which of a Config's AllowedOrigins are none, one line
// for each.
func CheckOrigins(texts []string) error {
	_, err := parseOrigins(texts)
	return err
}

func parseOrigins(texts []string) (origins, error) {
	parsed := origins{exact: make(map[string]bool, len(texts))}
	var wrong []error
	for _, text := range texts {
		u, err := url.Parse(strings.ToLower(strings.TrimSuffix(text, "/")))
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			wrong = append(wrong, fmt.Errorf("%q %w", text, errNotOrigin))
			continue
		}
		below, isWildcard := strings.CutPrefix(u.Host, wildcardLabel)
		switch {
		case strings.Contains(below, "*") || (isWildcard && !strings.Contains(u.Hostname()[len(wildcardLabel):], ".")):
			wrong = append(wrong, fmt.Errorf("%q %w", text, errNotOrigin))
		case isWildcard:
			parsed.wildcard = append(parsed.wildcard, wildcardOrigin{u.Scheme + "://", "." + below})
		default:
			parsed.exact[u.Scheme+"://"+u.Host] = true
		}
	}
	return parsed, errors.Join(wrong...)
}

// allow reports whether a browser's Origin header is one of them.
func (o origins) allow(origin string) bool {
	if o.exact[origin] {
		return true
	}
	for _, w := range o.wildcard {
		host, isScheme := strings.CutPrefix(origin, w.scheme)
		label, isBelow := strings.CutSuffix(host, w.below)
		if isScheme && isBelow && label != "" && !strings.ContainsFunc(label, notHost) {
			return true
		}
	}
	return false
}

// notHost reports whether a character cannot stand in a host's name as
// browsers send it.
func notHost(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.')
}

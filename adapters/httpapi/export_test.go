package httpapi

import "net/http"

// CredentialsOf are the credentials that count of a request.
func CredentialsOf(r *http.Request, allowed ...string) ([]string, error) {
	parsed, err := parseOrigins(allowed)
	s := &server{origins: parsed}
	return s.credentials(r), err
}

// ClientOf is what is made of a User-Agent header.
var ClientOf = clientOf

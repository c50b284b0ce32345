package httpapi

import "net/http"

// CredentialOf is the credential that counts of a request.
func CredentialOf(r *http.Request, allowed ...string) (string, error) {
	parsed, err := parseOrigins(allowed)
	s := &server{origins: parsed}
	return s.credential(r), err
}

// ClientOf is what is made of a User-Agent header.
var ClientOf = clientOf

// Package clerk lets users in by the session tokens of Clerk
// (https://clerk.com/docs/guides/sessions/session-tokens) and looks roles up in
// Clerk's Backend API. It checks what Clerk's SDK leaves unchecked.
package clerk

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"

	"chatkit-session/ports"
)

// Config says which Clerk instance to trust.
type Config struct {
	// JWTKey is the instance's public key as PEM. With it credentials are
	// verified without the network.
	JWTKey string
	// SecretKey is the instance's secret key. Without JWTKey the public keys
	// are fetched with it.
	SecretKey string
	// APIURL is the Backend API; empty means Clerk's own.
	APIURL string
	// Issuer is the only "iss" that is accepted. Empty accepts what looks like
	// an issuer of Clerk's, of whatever instance.
	Issuer string
	// AuthorizedParties lists the "azp" that are accepted, as browsers write
	// origins, in upper or lower case; a credential that names none is not. Empty
	// accepts all.
	AuthorizedParties []string
	// Audience lists the "aud" that are accepted; a credential that names none is
	// accepted, too. Empty accepts all.
	Audience []string
	// RoleClaims are claims, or paths of claims with dots between them; the
	// first that holds a role counts. A claim's own name may have dots, such as
	// https://example.com/role.
	RoleClaims []string
	// Remember is how many credentials that were verified are remembered, for a
	// minute at most and never past their expiry; 0 for none.
	Remember int
	// Clock tells the time. Required.
	Clock ports.Clock
	// Logger gets what nobody else reports; nil means nowhere.
	Logger *slog.Logger
}

// LogValue masks the config's secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", c.Issuer), slog.Bool("jwtKey", c.JWTKey != ""), slog.Bool("secretKey", c.SecretKey != ""))
}

const (
	// leeway is how far clocks may differ: what Clerk's JavaScript back end
	// allows.
	leeway = 5 * time.Second
	// apiTimeout bounds one call of the Backend API.
	apiTimeout = 5 * time.Second
	// maxResponse bounds an answer of the Backend API, in bytes.
	maxResponse = 1 << 20
)

func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// api returns how to reach the Backend API.
func (c Config) api() *sdk.ClientConfig {
	url := c.APIURL
	if url == "" {
		url = sdk.APIURL
	}
	return &sdk.ClientConfig{BackendConfig: sdk.BackendConfig{
		HTTPClient: &http.Client{Timeout: apiTimeout, Transport: limited{http.DefaultTransport}},
		URL:        &url,
		Key:        &c.SecretKey,
	}}
}

// limited bounds how much of an answer is read.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxResponse), response.Body}
	return response, nil
}

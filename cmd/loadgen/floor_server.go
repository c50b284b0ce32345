package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v3/jwt"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/postgres/baseline"
)

// floor answers like the service with the least possible work: verify one
// signature, read one row, write one answer. Its tokens are the stored hashes, so
// that it neither decrypts nor hashes. They are not secret, which is one reason why
// the floor listens on loopback only.
type floor struct {
	key      *rsa.PublicKey
	reads    *baseline.Reader
	workflow string
	now      func() time.Time
}

// publicKey is the key that verifies tokens.
func publicKey(identity *fakeclerk.Instance) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(identity.PublicPEM())
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the public key is %T", parsed)
	}
	return key, nil
}

// floorSession is a session as the service shows it.
type floorSession struct {
	ID           string          `json:"id"`
	Token        string          `json:"chatKitSessionId"`
	Device       string          `json:"deviceId"`
	User         string          `json:"userId"`
	Workflow     string          `json:"workflowId"`
	CreatedAt    time.Time       `json:"createdAt"`
	ExpiresAt    time.Time       `json:"expiresAt"`
	ExpiresIn    int64           `json:"expiresIn"`
	RefreshAfter time.Time       `json:"refreshAfter"`
	RememberMe   bool            `json:"rememberMe"`
	Metadata     json.RawMessage `json:"metadata"`
}

type floorOpened struct {
	Outcome string       `json:"outcome"`
	Session floorSession `json:"session"`
}

func (f *floor) open(w http.ResponseWriter, r *http.Request) {
	user, err := f.authenticate(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var body struct {
		Device string `json:"deviceId"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAnswer)).Decode(&body); err != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	row, err := f.reads.ByDevice(r.Context(), user, body.Device, f.workflow)
	if err != nil {
		fail(w, err)
		return
	}
	answerJSON(w, floorOpened{"reused", floorSession{
		ID: row.ID, Token: hex.EncodeToString(row.TokenHash), Device: row.Device, User: row.User, Workflow: row.Workflow,
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, ExpiresIn: int64(row.ExpiresAt.Sub(f.now()).Seconds()),
		RefreshAfter: row.ExpiresAt.Add(-time.Hour), Metadata: row.Metadata,
	}})
}

// authenticate returns the user of the request's token.
func (f *floor) authenticate(r *http.Request) (string, error) {
	token, err := jwt.ParseSigned(bearer(r))
	if err != nil {
		return "", err
	}
	var claims jwt.Claims
	if f.key == nil {
		err := token.UnsafeClaimsWithoutVerification(&claims)
		return claims.Subject, err
	}
	if err := token.Claims(f.key, &claims); err != nil {
		return "", err
	}
	return claims.Subject, claims.Validate(jwt.Expected{Issuer: issuer, Time: f.now()})
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func (f *floor) verify(w http.ResponseWriter, r *http.Request) {
	row, err := f.byToken(r.Context(), bearer(r))
	if err != nil {
		fail(w, err)
		return
	}
	header := w.Header()
	header.Set("X-ChatKit-User-Id", row.User)
	header.Set("X-ChatKit-Session-Id", row.ID)
	header.Set("X-ChatKit-Device-Id", row.Device)
	header.Set("X-ChatKit-Workflow-Id", row.Workflow)
	w.WriteHeader(http.StatusNoContent)
}

type floorIntrospected struct {
	Active   bool   `json:"active"`
	User     string `json:"sub"`
	ID       string `json:"sid"`
	Device   string `json:"device_id"`
	Workflow string `json:"workflow_id"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func (f *floor) introspect(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
	row, err := f.byToken(r.Context(), r.PostFormValue("token"))
	if err != nil {
		fail(w, err)
		return
	}
	answerJSON(w, floorIntrospected{true, row.User, row.ID, row.Device, row.Workflow, row.CreatedAt.Unix(), row.ExpiresAt.Unix()})
}

func (f *floor) byToken(ctx context.Context, token string) (baseline.Row, error) {
	hash, err := hex.DecodeString(token)
	if err != nil {
		return baseline.Row{}, baseline.ErrNotFound
	}
	return f.reads.ByToken(ctx, hash)
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, baseline.ErrNotFound) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

func answerJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // to a client that went away
}

// Package fakeclerk stands in for a Clerk instance: it signs session tokens in
// Clerk's format and answers the calls of the Backend API that this service
// makes. It is for the dev command, for loadgen and for tests; serve does not
// use it.
package fakeclerk

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
)

// keyBits is the size of the keys that Clerk has.
const keyBits = 2048

// Lifetime is how long Clerk's session tokens live.
const Lifetime = time.Minute

// The categories ("cat") of tokens that Clerk signs with one key.
const (
	CategorySession  = "cl_B7d4PD111AAA"
	CategoryTemplate = "cl_B7d4PD222AAA"
	CategoryMachine  = "cl_B7d4PD333AAA"
)

// Instance is a Clerk instance: a key pair and an issuer.
type Instance struct {
	key    *rsa.PrivateKey
	keyID  string
	issuer string
}

// New returns an instance with a new key pair.
func New(issuer string) (*Instance, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	return instance(key, issuer)
}

// Load returns the instance whose PrivatePEM was kept.
func Load(privatePEM []byte, issuer string) (*Instance, error) {
	block, _ := pem.Decode(privatePEM)
	if block == nil {
		return nil, errors.New("the signing key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the signing key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the signing key is not an RSA key")
	}
	return instance(key, issuer)
}

func instance(key *rsa.PrivateKey, issuer string) (*Instance, error) {
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(public)
	return &Instance{key: key, keyID: "ins_" + hex.EncodeToString(digest[:8]), issuer: issuer}, nil
}

// Issuer returns the "iss" of the instance's tokens.
func (i *Instance) Issuer() string { return i.issuer }

// KeyID returns the "kid" of the instance's tokens.
func (i *Instance) KeyID() string { return i.keyID }

// PrivatePEM returns the key pair, for Load.
func (i *Instance) PrivatePEM() []byte {
	der, _ := x509.MarshalPKCS8PrivateKey(i.key) // an RSA key always has a form
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// PublicPEM returns the public key as Clerk's dashboard shows it.
func (i *Instance) PublicPEM() []byte {
	der, _ := x509.MarshalPKIXPublicKey(&i.key.PublicKey) // an RSA key always has a form
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Claims are what a token says.
type Claims struct {
	// Subject is the user; SignIn the "sid".
	Subject, SignIn string
	// Role is metadata.role; there is no such claim when it is empty.
	Role string
	// IssuedAt is when; zero means now.
	IssuedAt time.Time
	// Lifetime is how long the token is good; zero means Lifetime.
	Lifetime time.Duration
	// Override replaces claims by name; a nil value leaves one out.
	Override map[string]any
	// Header replaces members of the token's header by name; a nil value leaves
	// one out.
	Header map[string]any
}

// Mint signs a token in the format of Clerk's version 2.
func (i *Instance) Mint(c Claims) (string, error) {
	options := &jose.SignerOptions{}
	header := override(map[string]any{"typ": "JWT", "cat": CategorySession, "kid": i.keyID}, c.Header)
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(c.all(i.issuer)).CompactSerialize()
}

func (c Claims) all(issuer string) map[string]any {
	issued, lifetime := c.IssuedAt, c.Lifetime
	if issued.IsZero() {
		issued = time.Now()
	}
	if lifetime == 0 {
		lifetime = Lifetime
	}
	all := map[string]any{
		"iss": issuer, "sub": c.Subject, "sid": c.SignIn, "v": 2, "sts": "active",
		"iat": issued.Unix(), "nbf": issued.Add(-10 * time.Second).Unix(), "exp": issued.Add(lifetime).Unix(),
		"jti": rand.Text(), "fva": []int{0, -1}, "azp": "http://localhost:3000",
	}
	if c.Role != "" {
		all["metadata"] = map[string]any{"role": c.Role}
	}
	return override(all, c.Override)
}

// override replaces values by name; nil leaves one out.
func override(all, by map[string]any) map[string]any {
	for name, value := range by {
		if value == nil {
			delete(all, name)
			continue
		}
		all[name] = value
	}
	return all
}

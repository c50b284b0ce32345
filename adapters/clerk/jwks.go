package clerk

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/http"
	"strings"

	sdk "github.com/clerk/clerk-sdk-go/v2"
)

// jwkSet is Clerk's response with its public keys, each still encoded: the SDK's own
// type rejects all keys if one cannot be parsed.
type jwkSet struct {
	sdk.APIResource

	Keys []json.RawMessage `json:"keys"`
}

// fetchKeys returns the instance's public keys, encoded.
func fetchKeys(ctx context.Context, backend sdk.Backend) ([]json.RawMessage, error) {
	var set jwkSet
	if err := backend.Call(ctx, sdk.NewAPIRequest(http.MethodGet, "/jwks"), &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, errors.New("the answer has no keys")
	}
	return set.Keys, nil
}

// Bounds of a modulus in bits. The minimum is from RFC 7518, section 3.3; the maximum
// bounds the time that a verification takes.
const (
	leastModulus = 2048
	mostModulus  = 8192
)

// parseKey parses a public key (RFC 7517) that can sign session tokens. For any other
// key it reports false, and the key is skipped (section 5). It ignores members that
// it does not need, such as an unreadable certificate.
func parseKey(encoded json.RawMessage) (key *sdk.JSONWebKey, ok bool) {
	var jwk struct {
		Type      string `json:"kty"`
		ID        string `json:"kid"`
		Use       string `json:"use"`
		Algorithm string `json:"alg"`
		Modulus   string `json:"n"`
		Exponent  string `json:"e"`
	}
	if err := json.Unmarshal(encoded, &jwk); err != nil || jwk.Type != "RSA" || jwk.ID == "" {
		return nil, false
	}
	if (jwk.Use != "" && jwk.Use != "sig") || (jwk.Algorithm != "" && jwk.Algorithm != algorithm) {
		return nil, false
	}
	modulus, exponent := parseInteger(jwk.Modulus), parseInteger(jwk.Exponent)
	if modulus.BitLen() < leastModulus || modulus.BitLen() > mostModulus ||
		!exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > math.MaxInt32 || exponent.Bit(0) == 0 {
		return nil, false
	}
	public := &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	return &sdk.JSONWebKey{Key: public, KeyID: jwk.ID, Algorithm: algorithm, Use: jwk.Use}, true
}

// parseInteger parses a number (RFC 7518, section 2). It returns 0 for an invalid one.
func parseInteger(text string) *big.Int {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(raw)
}

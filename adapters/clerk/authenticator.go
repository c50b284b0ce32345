package clerk

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/jwt"
	"github.com/go-jose/go-jose/v3"
	josejwt "github.com/go-jose/go-jose/v3/jwt"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxCredential bounds a credential, in bytes: Clerk's own are below 4 KiB, so
// that they fit in a cookie.
const maxCredential = 16 << 10

// algorithm is the only one that Clerk signs with.
const algorithm = "RS256"

// Authenticator verifies Clerk session tokens.
type Authenticator struct {
	config  Config
	offline *sdk.JSONWebKey
	keys    *keySet
	known   *memory // nil for none
}

var _ ports.Authenticator = (*Authenticator)(nil)

// NewAuthenticator returns an Authenticator that verifies with config's JWTKey
// or, without one, with the public keys that it fetches with the SecretKey.
func NewAuthenticator(config Config) (*Authenticator, error) {
	a := &Authenticator{config: config}
	switch {
	case config.JWTKey != "":
		key, err := parseJWTKey(config.JWTKey)
		if err != nil {
			return nil, fmt.Errorf("the JWT key: %w", err)
		}
		a.offline = key
	case config.SecretKey != "":
		backend := sdk.NewBackend(&config.api().BackendConfig)
		a.keys = newKeySet(config.Clock, config.logger(), func(ctx context.Context) ([]json.RawMessage, error) {
			return fetchKeys(ctx, backend)
		})
	default:
		return nil, errors.New("a JWT key or a secret key is required")
	}
	if config.Remember > 0 {
		known, err := newMemory(config.Remember, config.Clock)
		if err != nil {
			return nil, err
		}
		a.known = known
	}
	if config.Issuer == "" {
		config.logger().Warn("no issuer is set: credentials of any Clerk instance that has the key's pair are accepted")
	}
	return a, nil
}

// CheckSecretKey reports whether text can be a Config's SecretKey. Its error
// does not show the text.
func CheckSecretKey(text string) error {
	switch {
	case strings.HasPrefix(text, "pk_"):
		return errors.New("is a publishable key: take the secret key, which starts with sk_live_ or sk_test_")
	case !strings.HasPrefix(text, "sk_") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("must be the secret key of Clerk's dashboard, which starts with sk_live_ or sk_test_")
	}
	return nil
}

// CheckJWTKey reports whether text can be a Config's JWTKey.
func CheckJWTKey(text string) error {
	_, err := parseJWTKey(text)
	return err
}

// parseJWTKey reads PEM, also with the line breaks written as \n, as files of
// environment variables have them.
func parseJWTKey(text string) (*sdk.JSONWebKey, error) {
	key, err := sdk.JSONWebKeyFromPEM(strings.ReplaceAll(text, `\n`, "\n"))
	if err != nil || !isRSA(key) {
		return nil, errors.New("must be an RSA public key as PEM, as Clerk's dashboard shows it")
	}
	return key, nil
}

func isRSA(key *sdk.JSONWebKey) bool {
	_, ok := key.Key.(*rsa.PublicKey)
	return ok
}

// Authenticate implements ports.Authenticator.
func (a *Authenticator) Authenticate(ctx context.Context, credential string) (ports.Identity, error) {
	if len(credential) > maxCredential {
		return ports.Identity{}, refusedFor(session.ReasonMalformed, errors.New("the credential is too long"))
	}
	if a.known == nil {
		found, err := a.verify(ctx, credential)
		return found.identityAt(a.config.Clock.Now()), err
	}
	return a.known.recall(credential, func() (proof, error) { return a.verify(ctx, credential) })
}

// verify checks everything about the credential.
func (a *Authenticator) verify(ctx context.Context, credential string) (proof, error) {
	key, err := a.key(ctx, credential)
	if err != nil {
		return proof{}, err
	}
	verified, err := jwt.Verify(ctx, a.params(credential, key))
	if err != nil {
		return proof{}, refusedFor(reasonOf(err), err)
	}
	return a.proof(verified)
}

// reasonOf says why the SDK refuses a credential.
func reasonOf(err error) session.Reason {
	switch {
	case errors.Is(err, josejwt.ErrExpired):
		return session.ReasonExpired
	case errors.Is(err, josejwt.ErrNotValidYet), errors.Is(err, josejwt.ErrIssuedInTheFuture):
		return session.ReasonNotYetValid
	case errors.Is(err, jose.ErrCryptoFailure):
		return session.ReasonSignature
	}
	return session.ReasonMalformed
}

// key returns the public key that the credential says it was signed with.
func (a *Authenticator) key(ctx context.Context, credential string) (*sdk.JSONWebKey, error) {
	if a.offline != nil {
		return a.offline, nil
	}
	kid, err := keyID(credential)
	if err != nil {
		return nil, refusedFor(session.ReasonMalformed, err)
	}
	key, err := a.keys.get(ctx, kid)
	if errors.Is(err, session.KindUnauthenticated) {
		return nil, refusedFor(session.ReasonUnknownKey, err)
	}
	return key, err
}

// keyID reads the key's id from the credential's header, which nothing has
// verified yet.
func keyID(credential string) (string, error) {
	encoded, _, _ := strings.Cut(credential, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", errors.New("the credential is no JWT")
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil || header.KeyID == "" {
		return "", errors.New("the credential names no key")
	}
	return header.KeyID, nil
}

// params leave the issuer and the party to proof, which tells them apart: the
// SDK checks neither for a satellite without a handler of parties.
func (a *Authenticator) params(credential string, key *sdk.JSONWebKey) *jwt.VerifyParams {
	return &jwt.VerifyParams{
		Token:                   credential,
		JWK:                     key,
		Clock:                   sdkClock{a.config.Clock},
		Leeway:                  leeway,
		IsSatellite:             true,
		CustomClaimsConstructor: func(context.Context) any { return &claims{} },
	}
}

// trusts checks who issued the credential, and to which page.
func (a *Authenticator) trusts(verified *sdk.SessionClaims) error {
	if !a.issued(verified.Issuer) {
		return refusedFor(session.ReasonIssuer, fmt.Errorf("the issuer (iss) is %q", cut(verified.Issuer)))
	}
	isParty := func(party string) bool { return strings.EqualFold(party, verified.AuthorizedParty) }
	if len(a.config.AuthorizedParties) > 0 && !slices.ContainsFunc(a.config.AuthorizedParties, isParty) {
		return refusedFor(session.ReasonParty, fmt.Errorf("the authorized party (azp) is %q", cut(verified.AuthorizedParty)))
	}
	return nil
}

// issued reports whether an issuer is the configured one or, where none is,
// looks like one of Clerk's.
func (a *Authenticator) issued(issuer string) bool {
	if a.config.Issuer != "" {
		return issuer == a.config.Issuer
	}
	return strings.HasPrefix(issuer, "https://clerk.") || strings.Contains(issuer, ".clerk.accounts")
}

// longestQuote is how much of a claim an error shows, in bytes.
const longestQuote = 100

func cut(claim string) string {
	if len(claim) <= longestQuote {
		return claim
	}
	return claim[:longestQuote] + "…"
}

// proof checks what the SDK leaves unchecked.
func (a *Authenticator) proof(verified *sdk.SessionClaims) (proof, error) {
	custom, ok := verified.Custom.(*claims)
	if !ok {
		return proof{}, fmt.Errorf("the claims are %T", verified.Custom)
	}
	if err := a.trusts(verified); err != nil {
		return proof{}, err
	}
	if verified.Expiry == nil {
		return proof{}, refused(errors.New("the credential never expires"))
	}
	if status, stated := (*custom)["sts"]; stated && text(status) != "active" {
		return proof{}, refusedFor(session.ReasonPending, errors.New("the sign-in is not complete"))
	}
	user, err := session.ParseUserID(verified.Subject)
	if err != nil {
		return proof{}, refused(err)
	}
	signIn, err := session.ParseSignInID(verified.SessionID)
	if err != nil {
		return proof{}, refused(err)
	}
	found := proof{
		identity: ports.Identity{
			User:             user,
			SignIn:           signIn,
			Role:             a.role(*custom),
			OrganizationRole: organizationRole(verified.ActiveOrganizationRole),
			ActedBy:          custom.actor(),
			VerifiedAgo:      custom.verifiedAgo(),
		},
		expires: time.Unix(*verified.Expiry, 0),
	}
	if verified.IssuedAt != nil {
		found.issued = time.Unix(*verified.IssuedAt, 0)
	}
	return found, nil
}

// role is the first of the configured claims that holds a role.
func (a *Authenticator) role(custom claims) access.Role {
	for _, name := range a.config.RoleClaims {
		if role, err := access.ParseRole(custom.named(name)); err == nil {
			return role
		}
	}
	return access.Role{}
}

// organizationRole is no role for somebody outside any organization, whom the
// SDK gives none or a bare prefix.
func organizationRole(name string) access.Role {
	name = strings.TrimPrefix(name, "org:")
	if name == "" {
		return access.Role{}
	}
	role, err := access.OrganizationRole(name)
	if err != nil {
		return access.Role{}
	}
	return role
}

// claims are all claims of a credential, each still encoded.
type claims map[string]json.RawMessage

// UnmarshalJSON keeps the claims encoded, whichever JSON package asks.
func (c *claims) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, (*map[string]json.RawMessage)(c))
}

// at returns the text at a path of claims, empty when there is none.
func (c claims) at(path []string) string {
	value := c[path[0]]
	for _, member := range path[1:] {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return ""
		}
		value = object[member]
	}
	return text(value)
}

// named returns the text of a claim, or at a path of claims with dots between
// them. A name may have dots of its own, as a URL does: the longest that there
// is counts.
func (c claims) named(name string) string {
	if value, there := c[name]; there {
		return text(value)
	}
	for end := strings.LastIndexByte(name, '.'); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		var object claims
		if value, there := c[name[:end]]; there && json.Unmarshal(value, &object) == nil {
			if found := object.named(name[end+1:]); found != "" {
				return found
			}
		}
	}
	return ""
}

// actor names who impersonates the user (RFC 8693, 4.1), empty when nobody
// does.
func (c claims) actor() string { return c.at([]string{"act", "sub"}) }

// never is the age of a factor that was not verified.
const never time.Duration = -1

// oldestFactor bounds the age of a factor, in minutes: a hundred years.
const oldestFactor = 100 * 365 * 24 * 60

// verifiedAgo is how long before the credential was issued the latest of the
// user's two factors was verified, in the whole minutes that Clerk counts.
func (c claims) verifiedAgo() time.Duration {
	var ages []*int64 // null would be 0 otherwise: just verified
	if json.Unmarshal(c["fva"], &ages) != nil || len(ages) != 2 || slices.Contains(ages, nil) {
		return never
	}
	latest := never
	for _, age := range ages {
		if *age < 0 || *age > oldestFactor {
			continue
		}
		if ago := time.Duration(*age) * time.Minute; latest == never || ago < latest {
			latest = ago
		}
	}
	return latest
}

func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// refused is the error of a credential whose claims are not good.
func refused(cause error) error { return refusedFor(session.ReasonClaims, cause) }

// refusedFor is the error of a credential that is not good for a reason.
func refusedFor(reason session.Reason, cause error) error {
	return session.Because(session.KindUnauthenticated, reason, cause)
}

// sdkClock lends the service's clock to the SDK.
type sdkClock struct{ ports.Clock }

func (c sdkClock) Now() time.Time { return c.Clock.Now() }

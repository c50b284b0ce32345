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

// maxCredential is the maximum size of a credential in bytes. Clerk's are below 4 KiB,
// to fit in a cookie.
const maxCredential = 16 << 10

// algorithm is the only algorithm that Clerk signs with.
const algorithm = "RS256"

// Authenticator verifies Clerk session tokens.
type Authenticator struct {
	config   Config
	offline  *sdk.JSONWebKey
	keys     *keySet
	verified *verifiedCache // nil when disabled
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
		known, err := newVerifiedCache(config.Remember, config.Clock)
		if err != nil {
			return nil, err
		}
		a.verified = known
	}
	if config.Issuer == "" {
		config.logger().Warn("no issuer is set: tokens of any Clerk instance with this key are accepted; set CLERK_ISSUER")
	}
	return a, nil
}

// CheckSecretKey returns an error if text is no valid Config.SecretKey. The error does
// not contain the text.
func CheckSecretKey(text string) error {
	switch {
	case strings.HasPrefix(text, "pk_"):
		return errors.New("is a publishable key: use the secret key, which starts with sk_live_ or sk_test_")
	case !strings.HasPrefix(text, "sk_") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("must be the secret key from Clerk's dashboard, which starts with sk_live_ or sk_test_")
	}
	return nil
}

// CheckJWTKey returns an error if text is no valid Config.JWTKey.
func CheckJWTKey(text string) error {
	_, err := parseJWTKey(text)
	return err
}

// parseJWTKey parses PEM. Line breaks may be written as \n, as in files of environment
// variables.
func parseJWTKey(text string) (*sdk.JSONWebKey, error) {
	key, err := sdk.JSONWebKeyFromPEM(strings.ReplaceAll(text, `\n`, "\n"))
	if err != nil || !isRSA(key) {
		return nil, errors.New("must be an RSA public key in PEM, as in Clerk's dashboard")
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
	if a.verified == nil {
		found, err := a.verify(ctx, credential)
		return found.identity, err
	}
	return a.verified.recall(credential, func() (proof, error) { return a.verify(ctx, credential) })
}

// verify verifies the credential's header, signature and claims.
func (a *Authenticator) verify(ctx context.Context, credential string) (proof, error) {
	head, err := readHeader(credential)
	if err != nil {
		return proof{}, err
	}
	key, err := a.key(ctx, head)
	if err != nil {
		return proof{}, err
	}
	verified, err := jwt.Verify(ctx, a.params(credential, key))
	if err != nil {
		return proof{}, refusedFor(reasonOf(err), err)
	}
	return a.proof(verified)
}

// reasonOf returns the reason why the SDK refused a credential.
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

// key returns the public key that the credential's header names.
func (a *Authenticator) key(ctx context.Context, head header) (*sdk.JSONWebKey, error) {
	if a.offline != nil {
		return a.offline, nil
	}
	if head.KeyID == "" {
		return nil, refusedFor(session.ReasonMalformed, errors.New("the credential names no key"))
	}
	key, err := a.keys.get(ctx, head.KeyID)
	if errors.Is(err, session.KindUnauthenticated) {
		return nil, refusedFor(session.ReasonUnknownKey, err)
	}
	return key, err
}

// header is a credential's JOSE header.
type header struct {
	KeyID    string  `json:"kid"`
	Type     *string `json:"typ"`
	Category *string `json:"cat"`
}

// sessionCategory is the "cat" of session tokens. Clerk signs JWT templates,
// machine tokens and OAuth access tokens with the same key, and gives each kind
// its own category or type. Older session tokens have neither.
const sessionCategory = "cl_B7d4PD111AAA"

var errNoJWT = errors.New("the credential is not a JWT")

// readHeader reads the credential's header before its signature is verified. It
// returns an error if the credential is not a session token.
func readHeader(credential string) (header, error) {
	encoded, _, _ := strings.Cut(credential, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return header{}, refusedFor(session.ReasonMalformed, errNoJWT)
	}
	var head header
	switch err := json.Unmarshal(raw, &head); {
	case err != nil:
		return header{}, refusedFor(session.ReasonMalformed, errNoJWT)
	case head.Type != nil && !strings.EqualFold(*head.Type, "JWT"):
		return header{}, refusedFor(session.ReasonNotSession, errors.New("typ is not that of a session token"))
	case head.Category != nil && *head.Category != sessionCategory:
		return header{}, refusedFor(session.ReasonNotSession, errors.New("cat is not that of a session token"))
	}
	return head, nil
}

// params turns off the SDK's checks of the issuer and the authorized party (IsSatellite
// without a handler of parties). trusts checks both, and tells them apart.
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

// trusts checks the credential's issuer and authorized party.
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

// issued reports whether the issuer is the configured one. If none is configured, it
// reports whether the issuer looks like one of Clerk's.
func (a *Authenticator) issued(issuer string) bool {
	if a.config.Issuer != "" {
		return issuer == a.config.Issuer
	}
	return strings.HasPrefix(issuer, "https://clerk.") || strings.Contains(issuer, ".clerk.accounts")
}

// longestQuote is how much of a claim an error contains, in bytes.
const longestQuote = 100

func cut(claim string) string {
	if len(claim) <= longestQuote {
		return claim
	}
	return claim[:longestQuote] + "…"
}

// proof checks the claims that the SDK does not check.
func (a *Authenticator) proof(verified *sdk.SessionClaims) (proof, error) {
	custom, ok := verified.Custom.(*claims)
	if !ok {
		return proof{}, fmt.Errorf("the claims are %T", verified.Custom)
	}
	if err := a.trusts(verified); err != nil {
		return proof{}, err
	}
	if verified.Expiry == nil {
		return proof{}, refused(errors.New("the credential has no expiry (exp)"))
	}
	if status, stated := (*custom)["sts"]; stated && text(status) != "active" {
		return proof{}, refusedFor(session.ReasonPending, errors.New("the sign-in is not complete"))
	}
	if err := a.checkAudience((*custom)["aud"]); err != nil {
		return proof{}, refusedFor(session.ReasonAudience, err)
	}
	actor, err := custom.actor()
	if err != nil {
		return proof{}, refused(err)
	}
	user, err := session.ParseUserID(verified.Subject)
	if err != nil {
		return proof{}, refused(err)
	}
	signIn, err := session.ParseSignInID(verified.SessionID)
	if err != nil {
		return proof{}, refused(err)
	}
	return proof{
		identity: ports.Identity{
			Bearer: session.Bearer{
				User: user, Holder: session.Holder{SignIn: signIn, Actor: actor}, Verified: custom.verified(verified.IssuedAt),
			},
			Role:             a.role(*custom),
			OrganizationRole: organizationRole(verified.ActiveOrganizationRole),
		},
		expires: time.Unix(*verified.Expiry, 0),
	}, nil
}

// checkAudience returns an error if the credential is for another audience (RFC 7519,
// section 4.1.3). As in Clerk's own check, a credential without an audience is
// accepted: session tokens have none by default.
func (a *Authenticator) checkAudience(claim json.RawMessage) error {
	if len(a.config.Audience) == 0 || isNull(claim) {
		return nil
	}
	var audiences []string
	if json.Unmarshal(claim, &audiences) != nil {
		audiences = []string{text(claim)}
	}
	if !slices.ContainsFunc(audiences, func(one string) bool { return slices.Contains(a.config.Audience, one) }) {
		return fmt.Errorf("the audience (aud) is %s", cut(string(claim)))
	}
	return nil
}

// role returns the first role in the configured claims.
func (a *Authenticator) role(custom claims) access.Role {
	for _, name := range a.config.RoleClaims {
		if role, err := access.ParseRole(custom.named(name)); err == nil {
			return role
		}
	}
	return access.Role{}
}

// organizationRole returns the zero Role for a user without an active organization,
// for whom the SDK returns an empty name or only the prefix.
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

// refused returns the error for a credential with invalid claims.
func refused(cause error) error { return refusedFor(session.ReasonClaims, cause) }

// refusedFor returns the error for a credential that is invalid for the reason.
func refusedFor(reason session.Reason, cause error) error {
	return session.Because(session.KindUnauthenticated, reason, cause)
}

// sdkClock adapts the service's clock to the SDK.
type sdkClock struct{ ports.Clock }

func (c sdkClock) Now() time.Time { return c.Clock.Now() }

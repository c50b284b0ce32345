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
		return found.identity, err
	}
	return a.known.recall(credential, func() (proof, error) { return a.verify(ctx, credential) })
}

// verify checks everything about the credential.
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

// header is what a credential says of itself.
type header struct {
	KeyID    string  `json:"kid"`
	Type     *string `json:"typ"`
	Category *string `json:"cat"`
}

// sessionCategory is the "cat" of session tokens. Clerk signs JWT templates,
// machine tokens and OAuth access tokens with the same key, and gives each kind
// its own category or type. Older session tokens have neither.
const sessionCategory = "cl_B7d4PD111AAA"

var errNoJWT = errors.New("the credential is no JWT")

// readHeader reads the credential's header, which the signature covers and
// nothing has verified yet. Its error says when the credential is no session
// token.
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

// checkAudience refuses a credential that is meant for others (RFC 7519,
// section 4.1.3). As in Clerk's own check, one without an audience is meant for
// all: session tokens have none by default.
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

// refused is the error of a credential whose claims are not good.
func refused(cause error) error { return refusedFor(session.ReasonClaims, cause) }

// refusedFor is the error of a credential that is not good for a reason.
func refusedFor(reason session.Reason, cause error) error {
	return session.Because(session.KindUnauthenticated, reason, cause)
}

// sdkClock lends the service's clock to the SDK.
type sdkClock struct{ ports.Clock }

func (c sdkClock) Now() time.Time { return c.Clock.Now() }

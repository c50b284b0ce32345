package session

import "errors"

// Reason tells operators why a caller was refused or a replica is not ready. It is
// always one of the constants, never input of the caller, so that it can be logged
// and can label a metric.
type Reason string

// Why a credential is invalid.
const (
	// ReasonNoCredential means that the credential is missing.
	ReasonNoCredential Reason = "no_credential" //nolint:gosec // not a credential
	// ReasonMalformed means that the credential does not parse.
	ReasonMalformed Reason = "malformed_credential"
	// ReasonUnknownKey means that the issuer has no key with the credential's key id.
	ReasonUnknownKey Reason = "unknown_key"
	// ReasonSignature means that the signature does not match the key.
	ReasonSignature Reason = "bad_signature"
	// ReasonExpired means that the credential has expired.
	ReasonExpired Reason = "expired_credential"
	// ReasonNotYetValid means that the credential was issued in the future: the
	// issuer's clock or this replica's is wrong.
	ReasonNotYetValid Reason = "credential_not_yet_valid"
	// ReasonIssuer means that the issuer is not the one that the operator configured.
	ReasonIssuer Reason = "wrong_issuer"
	// ReasonParty means that the credential was issued to a page that is not an
	// authorized party.
	ReasonParty Reason = "wrong_party"
	// ReasonAudience means that the credential was issued for another audience.
	ReasonAudience Reason = "wrong_audience"
	// ReasonNotSession means that the credential is another kind of token: the issuer
	// signs several kinds with the same key.
	ReasonNotSession Reason = "not_a_session_token"
	// ReasonDeniedActor means that the operator refuses actors of this kind.
	ReasonDeniedActor Reason = "denied_actor"
	// ReasonPending means that the sign-in is not complete.
	ReasonPending Reason = "pending_sign_in"
	// ReasonClaims means that a required claim is missing or invalid.
	ReasonClaims Reason = "bad_claims"
)

// Why a replica is not ready.
const (
	// ReasonStore means that the store is unavailable.
	ReasonStore Reason = "store_unavailable"
	// ReasonClock means that the replica's and the store's clocks differ.
	ReasonClock Reason = "clock_differs"
	// ReasonStopping means that the replica is about to stop.
	ReasonStopping Reason = "stopping"
)

// Because returns cause with a kind and a reason, or nil when cause is nil.
func Because(kind Kind, reason Reason, cause error) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Reason: reason, Cause: cause}
}

// ReasonOf returns the reason of the outermost error in err's chain that has one,
// and "" when none has.
func ReasonOf(err error) Reason {
	var e *Error
	for errors.As(err, &e) {
		if e.Reason != "" {
			return e.Reason
		}
		err = e.Cause
	}
	return ""
}

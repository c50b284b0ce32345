package session

import "errors"

// Reason says for operators, in one word, why a caller was turned away, or why a
// replica is not ready. It is a constant of the code that made the error and
// never what the caller sent, so that it may be logged and may label a metric.
type Reason string

// Why a credential is not good.
const (
	// ReasonNoCredential means that there is none.
	ReasonNoCredential Reason = "no_credential" //nolint:gosec // no credential, indeed
	// ReasonMalformed means that it is not of the form that credentials have.
	ReasonMalformed Reason = "malformed_credential"
	// ReasonUnknownKey means that it names a key that the issuer does not have.
	ReasonUnknownKey Reason = "unknown_key"
	// ReasonSignature means that it was not signed with the key that it names.
	ReasonSignature Reason = "bad_signature"
	// ReasonExpired means that its time is over.
	ReasonExpired Reason = "expired_credential"
	// ReasonNotYetValid means that it was issued in what is the future here: one
	// of the two clocks is wrong.
	ReasonNotYetValid Reason = "credential_not_yet_valid"
	// ReasonIssuer means that somebody else issued it than the operator trusts.
	ReasonIssuer Reason = "wrong_issuer"
	// ReasonParty means that it was issued to a page that the operator does not
	// list.
	ReasonParty Reason = "wrong_party"
	// ReasonAudience means that it was issued for others than the operator lists.
	ReasonAudience Reason = "wrong_audience"
	// ReasonNotSession means that it is no session token: its issuer signs other
	// kinds of tokens with the same key.
	ReasonNotSession Reason = "not_a_session_token"
	// ReasonDeniedActor means that it is an actor's of a kind that the operator
	// refuses.
	ReasonDeniedActor Reason = "denied_actor"
	// ReasonPending means that its sign-in is not complete.
	ReasonPending Reason = "pending_sign_in"
	// ReasonClaims means that it lacks what every credential has to say.
	ReasonClaims Reason = "bad_claims"
)

// Why a replica is not ready.
const (
	// ReasonStore means that the store does not answer.
	ReasonStore Reason = "store_unavailable"
	// ReasonClock means that the replica's clock and the store's differ.
	ReasonClock Reason = "clock_differs"
	// ReasonStopping means that the replica is about to stop.
	ReasonStopping Reason = "stopping"
)

// Because returns cause with a kind and the reason for operators. It returns
// nil when cause is nil.
func Because(kind Kind, reason Reason, cause error) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Reason: reason, Cause: cause}
}

// ReasonOf returns the reason of the outermost error of err's chain that has
// one, and none when none has.
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

// Package session is the domain of the service: what a session is, what may
// happen to it and when. It does no I/O and has no clock or randomness of its
// own: callers pass in the time, ids and tokens.
//
// # Glossary
//
// The code, the API, log fields and metric names use these words.
//
// Session: one user's use of ChatKit on one device, for one workflow, while
// signed in. Its id stays the same for all of its life. Only an active session
// can be used; it ends as expired or revoked.
//
// Token: the secret that authenticates requests of a session, a random UUID v4.
// Clients know it as chatKitSessionId. It changes with each refresh.
//
// Device: where a session is used. A named device has the id that the client
// sent; a generated device has one that the service made because the client sent
// none: device_{userId}_{unix milliseconds}.
//
// Slot: the combination of user, workflow, device and actor. A slot has at most
// one active session.
//
// Sign-in: a Clerk session, identified by its sid: one browser's, from signing in
// to signing out.
//
// Bearer: the user and sign-in that a credential authenticates, with the time at
// which the sign-in was verified.
//
// Holder: the sign-in, and the actor if there is one, that a session belongs to.
// Only a transfer changes a session's holder.
//
// Verified: when the user last proved their identity in a sign-in, by signing in
// or by step-up. Of two sign-ins, the one verified later is the newer one.
//
// Actor: a party that acts in the user's name with a Clerk token that has an act
// claim: an impersonator (an admin of the Clerk instance) or an agent (a browser
// that an AI controls). An actor's sessions are separate from the user's.
//
// Open: to ask for the session of a device. The outcome is created, reused or
// refreshed.
//
// Terms: duration, longest life and idle timeout. Remembered sessions have terms
// of their own, which are longer.
//
// Threshold: the remaining life at which opening a session refreshes it instead
// of reusing it.
//
// Refresh: to give a session a new token and a new expiry. Replacing the token is
// called rotation.
//
// Superseded token: the token before the last rotation.
//
// Grace: the time after a rotation during which the superseded token is still
// accepted, so that requests in flight and other tabs do not fail. Using it later
// is an anomaly.
//
// Revoke: to end a session before it expires. The user, an admin, a limit, an
// anomaly or a replacement can do so.
//
// Replace: to end a session that another sign-in holds because the caller's
// sign-in opens one in the same slot.
//
// Contest: two sign-ins of a user are using the same device. The newer one gets
// the device; the older one is refused.
//
// Block: to bar a sign-in for good. All sessions that it holds end, and every
// call with its Clerk token is refused until the user signs in again, which makes
// another sign-in.
//
// Protected: a sign-in that an older sign-in of the user can neither sign out nor
// block, because it was verified in the last ten minutes.
//
// Moment: a time stored for a user. Sign-ins that were never seen here and were
// verified before the moment are blocked. It only moves forward.
//
// Transfer: to move a session to another device of the user. The holder requests
// an offer, a one-time transfer code that expires; the device that claims it
// becomes the session's device, and its sign-in the holder.
//
// Limit: a number of events per time window, such as 10 per 10 minutes.
//
// Anomaly: use that is rare for users and typical of attackers. A rule detects
// it; an action says whether it is only recorded or also revokes.
//
// Activity: the record of an event in a session's life: what happened, when, and
// from which address and client. A user's records form a timeline.
//
// Outline: a session reduced to the fields that checking a token needs.
//
// Lease: how long a replica may answer checks from its own memory. A change that
// ends a token returns only once no replica's lease can still cover it; see
// adapters/lease.
package session

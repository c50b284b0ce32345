// Package lifecycle holds the use cases: what the service does when somebody
// asks, written against ports.
package lifecycle

import (
	"context"
	"errors"
	"slices"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errNoCredential = errors.New("no credential")

// Authorizer lets callers in by credential and role. It implements ports.Authorizer.
type Authorizer struct {
	authenticator ports.Authenticator
	directory     ports.RoleDirectory
	policy        access.Policy
	fallback      access.Role
	denied        []session.ActorKind
}

var _ ports.Authorizer = (*Authorizer)(nil)

// NewAuthorizer returns a Authorizer. directory may be nil: then only credentials name
// roles. fallback is the role of a user for whom nothing else names one; zero
// lets no such user in. Actors of the denied kinds are not let in at all.
func NewAuthorizer(authenticator ports.Authenticator, directory ports.RoleDirectory, policy access.Policy, fallback access.Role, denied ...session.ActorKind) *Authorizer {
	return &Authorizer{authenticator: authenticator, directory: directory, policy: policy, fallback: fallback, denied: denied}
}

// Authorize implements ports.Authorizer.
func (a *Authorizer) Authorize(ctx context.Context, credential string, wants access.Permission) (access.Caller, error) {
	if credential == "" {
		return access.Caller{}, session.Because(session.KindUnauthenticated, session.ReasonNoCredential, errNoCredential)
	}
	identity, err := a.authenticator.Authenticate(ctx, credential)
	if err != nil {
		return access.Caller{}, err
	}
	caller := access.Caller{Bearer: identity.Bearer}
	if slices.Contains(a.denied, caller.Actor.Kind()) {
		return caller, session.Because(session.KindActorDenied, session.ReasonDeniedActor, caller.InPerson())
	}
	if caller.Role, err = a.role(ctx, identity); err != nil {
		return caller, err
	}
	if caller.Role.IsZero() {
		return caller, session.KindNoRole
	}
	if !a.policy.Permits(caller.Role, wants) {
		return caller, session.KindForbidden
	}
	return caller, nil
}

// role is the first that answers: the credential, the organization, the
// directory, the fallback.
func (a *Authorizer) role(ctx context.Context, identity ports.Identity) (access.Role, error) {
	if !identity.Role.IsZero() {
		return identity.Role, nil
	}
	if !identity.OrganizationRole.IsZero() {
		return identity.OrganizationRole, nil
	}
	if a.directory != nil {
		role, err := a.directory.Role(ctx, identity.User)
		if err != nil || !role.IsZero() {
			return role, err
		}
	}
	return a.fallback, nil
}

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

// Authorizer authenticates callers and checks what their role permits. It
// implements ports.Authorizer.
type Authorizer struct {
	authenticator ports.Authenticator
	directory     ports.RoleDirectory
	policy        access.Policy
	fallback      access.Role
	denied        []session.ActorKind
}

var _ ports.Authorizer = (*Authorizer)(nil)

// NewAuthorizer returns an Authorizer. Without a directory (nil), roles come only
// from credentials. fallback is the role of users without any other role; with a
// zero fallback they are refused. Actors of the denied kinds are refused.
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

// role returns the caller's role from the first source that has one: the
// credential, the organization, the directory, the fallback.
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

// Package access says who may do what: roles, permissions and the policy that
// maps one to the other. It knows nothing of where roles come from.
package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"chatkit-session/core/session"
)

// Permission is something a role may do.
type Permission string

// The permissions. "Own" is the caller's own sessions, "all" anybody's.
const (
	ReadOwn   Permission = "read_own"
	ManageOwn Permission = "manage_own"
	ReadAll   Permission = "read_all"
	ManageAll Permission = "manage_all"
)

// organizationPrefix marks a role that somebody has in an organization. Such a
// role never permits more than the caller's own sessions: an admin of some
// organization is no admin of this service.
const organizationPrefix = "org:"

// Role is the name of a user's role. The zero value means no role.
type Role struct{ name string }

// MaxRoleLength bounds a role's name, in bytes.
const MaxRoleLength = 64

// ParseRole accepts 1 to MaxRoleLength bytes of printable text without spaces.
func ParseRole(name string) (Role, error) {
	if name == "" || len(name) > MaxRoleLength || strings.ContainsFunc(name, unprintable) {
		return Role{}, session.Invalid("role", fmt.Sprintf("must be 1 to %d printable characters without spaces", MaxRoleLength))
	}
	return Role{name}, nil
}

// OrganizationRole accepts a role within an organization, with or without its
// "org:" prefix.
func OrganizationRole(name string) (Role, error) {
	return ParseRole(organizationPrefix + strings.TrimPrefix(name, organizationPrefix))
}

func unprintable(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }

// String returns the role's name.
func (r Role) String() string { return r.name }

// IsZero reports whether there is no role.
func (r Role) IsZero() bool { return r.name == "" }

// Policy maps roles to permissions. The zero value permits nothing.
type Policy struct {
	roles  map[Role][]Permission
	others []Permission
}

// DefaultPolicy gives every role read_own and manage_own, and admin all four.
func DefaultPolicy() Policy {
	return Policy{
		roles:  map[Role][]Permission{{"admin"}: {ReadOwn, ManageOwn, ReadAll, ManageAll}},
		others: []Permission{ReadOwn, ManageOwn},
	}
}

// NewPolicy builds a policy from names: what each role may do, and what any
// role that is not among them may do. Its error has one line for each name
// that is not known.
func NewPolicy(roles map[string][]string, others []string) (Policy, error) {
	policy := Policy{roles: make(map[Role][]Permission, len(roles))}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		role, err := ParseRole(name)
		problems = append(problems, err)
		policy.roles[role], err = parsePermissions(roles[name])
		problems = append(problems, err)
		if isOrganizations(role) && slices.ContainsFunc(policy.roles[role], beyondOwn) {
			problems = append(problems, session.Invalid("role", fmt.Sprintf("%q is an organization's: it cannot have read_all or manage_all", name)))
		}
	}
	var err error
	policy.others, err = parsePermissions(others)
	problems = append(problems, err)
	return policy, errors.Join(problems...)
}

func parsePermissions(names []string) ([]Permission, error) {
	permissions := make([]Permission, 0, len(names))
	for _, name := range names {
		permission := Permission(name)
		switch permission {
		case ReadOwn, ManageOwn, ReadAll, ManageAll:
			permissions = append(permissions, permission)
		default:
			return nil, session.Invalid("permission", fmt.Sprintf("%q is not one of read_own, manage_own, read_all, manage_all", name))
		}
	}
	return permissions, nil
}

// Permits reports whether role may do what permission says. No role permits
// nothing.
func (p Policy) Permits(role Role, permission Permission) bool {
	if role.IsZero() {
		return false
	}
	if isOrganizations(role) && beyondOwn(permission) {
		return false
	}
	granted, known := p.roles[role]
	if !known {
		granted = p.others
	}
	return slices.Contains(granted, permission)
}

func isOrganizations(role Role) bool { return strings.HasPrefix(role.name, organizationPrefix) }

func beyondOwn(permission Permission) bool { return permission == ReadAll || permission == ManageAll }

// Caller is a user who was let in.
type Caller struct {
	session.Bearer
	Role Role
	// Source is from where they call.
	Source session.Source
}

// InPerson returns nil when the user is there in person, and a KindActorDenied
// error when an actor is.
func (c Caller) InPerson() error {
	if !c.Actor.IsZero() {
		return session.Wrap(session.KindActorDenied, errActor)
	}
	return nil
}

// StepUp is how long ago a caller may have verified a factor to do what is
// sensitive; 0 means that it does not matter.
type StepUp struct{ Within time.Duration }

// Require returns nil when the caller has verified a factor recently enough at
// now, and a KindReverification error otherwise. An actor never has. Exactly
// Within ago is not enough, as in Clerk's own check
// (https://clerk.com/docs/guides/secure/reverification).
func (s StepUp) Require(caller Caller, now time.Time) error {
	recently := !caller.Verified.IsZero() && now.Sub(caller.Verified) < s.Within
	if s.Within == 0 || (recently && caller.Actor.IsZero()) {
		return nil
	}
	return session.Wrap(session.KindReverification, errVerifiedTooLongAgo)
}

var (
	errActor              = errors.New("an actor may not do this in the user's name")
	errVerifiedTooLongAgo = errors.New("no factor was verified recently enough")
)

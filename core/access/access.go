// Package access has roles, permissions and the policy that maps roles to
// permissions. It does not know where roles come from.
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

// Permission is something that a role may do.
type Permission string

// The permissions: "own" means the caller's own sessions, "all" any user's.
const (
	ReadOwn   Permission = "read_own"
	ManageOwn Permission = "manage_own"
	ReadAll   Permission = "read_all"
	ManageAll Permission = "manage_all"
)

// organizationPrefix marks the role of a user in an organization. Such a role never
// permits more than the caller's own sessions: an admin of an organization is not an
// admin of this service.
const organizationPrefix = "org:"

// Role is a user's role. The zero value means no role.
type Role struct{ name string }

// MaxRoleLength is the maximum length of a role's name, in bytes.
const MaxRoleLength = 64

// ParseRole accepts 1 to MaxRoleLength bytes of printable text without spaces, and
// returns a KindInvalid error otherwise.
func ParseRole(name string) (Role, error) {
	if name == "" || len(name) > MaxRoleLength || strings.ContainsFunc(name, unprintable) {
		return Role{}, session.Invalid("role", fmt.Sprintf("must be 1 to %d printable characters without spaces", MaxRoleLength))
	}
	return Role{name}, nil
}

// OrganizationRole returns the role with this name in an organization, with or
// without its "org:" prefix.
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

// DefaultPolicy grants read_own and manage_own to every role, and all permissions to
// admin.
func DefaultPolicy() Policy {
	return Policy{
		roles:  map[Role][]Permission{{"admin"}: {ReadOwn, ManageOwn, ReadAll, ManageAll}},
		others: []Permission{ReadOwn, ManageOwn},
	}
}

// NewPolicy returns a policy from the names of permissions: roles maps each role to
// its permissions, others are those of all other roles. Its error has one line for
// each invalid name.
func NewPolicy(roles map[string][]string, others []string) (Policy, error) {
	policy := Policy{roles: make(map[Role][]Permission, len(roles))}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		role, err := ParseRole(name)
		problems = append(problems, err)
		policy.roles[role], err = parsePermissions(roles[name])
		problems = append(problems, err)
		if isOrganizations(role) && slices.ContainsFunc(policy.roles[role], beyondOwn) {
			problems = append(problems, session.Invalid("role", fmt.Sprintf("%q is an organization's role: it cannot have read_all or manage_all", name)))
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

// Permits reports whether role has permission. The zero Role has none.
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

// Caller is an authenticated and authorized user or actor.
type Caller struct {
	session.Bearer
	Role Role
	// Source is where the request came from.
	Source session.Source
}

// InPerson returns nil when the caller is the user in person, and a KindActorDenied
// error for an actor.
func (c Caller) InPerson() error {
	if !c.Actor.IsZero() {
		return session.Wrap(session.KindActorDenied, errActor)
	}
	return nil
}

// StepUp is the requirement for sensitive actions that the caller verified a factor
// Within this time; 0 disables it.
type StepUp struct{ Within time.Duration }

// Require returns nil when the caller verified a factor less than Within before now,
// and a KindReverification error otherwise. An actor never satisfies it. Exactly
// Within ago is too long, as in Clerk's own check
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

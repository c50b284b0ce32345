package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

func role(t *testing.T, name string) access.Role {
	t.Helper()
	r, err := access.ParseRole(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func organizationRole(t *testing.T, name string) access.Role {
	t.Helper()
	r, err := access.OrganizationRole(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParseRole(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"admin", "org:admin", "Lehrer·in", strings.Repeat("r", access.MaxRoleLength)} {
		if r := role(t, good); r.String() != good || r.IsZero() {
			t.Errorf("ParseRole(%q) = %q", good, r)
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\n", "\x00", strings.Repeat("r", access.MaxRoleLength+1)} {
		if _, err := access.ParseRole(bad); !errors.Is(err, session.KindInvalid) {
			t.Errorf("ParseRole(%q) = %v", bad, err)
		}
	}
}

func TestOrganizationRole(t *testing.T) {
	t.Parallel()
	if a, b := organizationRole(t, "admin"), organizationRole(t, "org:admin"); a != b || a.String() != "org:admin" {
		t.Errorf("OrganizationRole = %q and %q", a, b)
	}
	if _, err := access.OrganizationRole("a b"); err == nil {
		t.Error("an invalid role was accepted")
	}
}

func TestPolicy_Permits(t *testing.T) {
	t.Parallel()
	const all = "read_own manage_own read_all manage_all"
	custom, err := access.NewPolicy(map[string][]string{
		"support":   {"read_own", "read_all"},
		"org:owner": {"read_own", "manage_own"},
		"banned":    {},
	}, []string{"read_own"})
	if err != nil {
		t.Fatal(err)
	}
	generous, err := access.NewPolicy(nil, []string{"read_own", "read_all", "manage_all"})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		policy access.Policy
		role   access.Role
		want   string
	}{
		"Default/Member":              {access.DefaultPolicy(), role(t, "member"), "read_own manage_own"},
		"Default/Admin":               {access.DefaultPolicy(), role(t, "admin"), all},
		"Default/OrganizationAdmin":   {access.DefaultPolicy(), organizationRole(t, "admin"), "read_own manage_own"},
		"Default/NoRole":              {access.DefaultPolicy(), access.Role{}, ""},
		"Custom/Support":              {custom, role(t, "support"), "read_own read_all"},
		"Custom/Banned":               {custom, role(t, "banned"), ""},
		"Custom/Other":                {custom, role(t, "admin"), "read_own"},
		"Custom/OrganizationOwner":    {custom, organizationRole(t, "owner"), "read_own manage_own"},
		"Custom/OrganizationIsCapped": {generous, organizationRole(t, "owner"), "read_own"},
		"Zero":                        {access.Policy{}, role(t, "admin"), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, permission := range strings.Fields(all) {
				if c.policy.Permits(c.role, access.Permission(permission)) {
					got = append(got, permission)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("Permits %v, want %s", got, c.want)
			}
		})
	}
}

func TestNewPolicy_NamesEachMistake(t *testing.T) {
	t.Parallel()
	_, err := access.NewPolicy(map[string][]string{"a": {"fly"}, "b c": {"read_own"}, "org:admin": {"read_all"}}, []string{"swim"})
	if err == nil {
		t.Fatal("NewPolicy accepted invalid names")
	}
	for _, want := range []string{`"fly"`, "printable", `"swim"`, `"org:admin" is an organization's`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if !errors.Is(err, session.KindInvalid) {
		t.Errorf("kind = %v", session.KindOf(err))
	}
}

func TestStepUp_Require(t *testing.T) {
	t.Parallel()
	const within = 10 * time.Minute
	now := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	agent := session.Must(session.NewActor(session.ActorAgent, "agent_1"))
	for name, c := range map[string]struct {
		within   time.Duration
		verified time.Time
		actor    session.Actor
		ok       bool
	}{
		"JustNow":          {within, now, session.Actor{}, true},
		"AlmostTooLongAgo": {within, now.Add(-within + 1), session.Actor{}, true},
		"ExactlyWithin":    {within, now.Add(-within), session.Actor{}, false},
		"TooLongAgo":       {within, now.Add(-within - 1), session.Actor{}, false},
		"Unknown":          {within, time.Time{}, session.Actor{}, false},
		"Actor":            {within, now, agent, false},
		"Off/Unknown":      {0, time.Time{}, session.Actor{}, true},
		"Off/JustNow":      {0, now, session.Actor{}, true},
		"Off/LongAgo":      {0, now.Add(-1000 * time.Hour), session.Actor{}, true},
		"Off/Actor":        {0, time.Time{}, agent, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := access.Caller{Bearer: session.Bearer{Holder: session.Holder{Actor: c.actor}, Verified: c.verified}}
			err := access.StepUp{Within: c.within}.Require(caller, now)
			if c.ok != (err == nil) || (err != nil && session.KindOf(err) != session.KindReverification) {
				t.Errorf("Require = %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestCaller_InPerson(t *testing.T) {
	t.Parallel()
	if err := (access.Caller{}).InPerson(); err != nil {
		t.Errorf("InPerson = %v", err)
	}
	actor := session.Must(session.NewActor(session.ActorImpersonator, "user_9"))
	caller := access.Caller{Bearer: session.Bearer{Holder: session.Holder{Actor: actor}}}
	if err := caller.InPerson(); session.KindOf(err) != session.KindActorDenied {
		t.Errorf("InPerson of an actor = %v", err)
	}
}

package lifecycle_test

import (
	"errors"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

const credential = "header.claims.signature"

var (
	orgAdmin = session.Must(access.OrganizationRole("admin"))
	guest    = session.Must(access.ParseRole("guest"))
)

func TestAuthorizer_Authorize(t *testing.T) {
	t.Parallel()
	identity := ports.Identity{Bearer: session.Bearer{User: user, Holder: session.Holder{SignIn: signIn, Actor: support}, Verified: noon}}
	withRole, withOrg, withBoth := identity, identity, identity
	withRole.Role = admin
	withOrg.OrganizationRole = orgAdmin
	withBoth.Role, withBoth.OrganizationRole = member, orgAdmin

	cases := map[string]struct {
		identity  ports.Identity
		directory any // an access.Role or error; nil when it must not be called
		fallback  access.Role
		wants     access.Permission
		role      access.Role
		kind      error
	}{
		"RoleOfTheCredential":     {withRole, nil, guest, access.ManageAll, admin, nil},
		"CredentialBeforeOrg":     {withBoth, nil, guest, access.ReadOwn, member, nil},
		"OrgBeforeDirectory":      {withOrg, nil, guest, access.ReadOwn, orgAdmin, nil},
		"OrgAdminIsNoAdmin":       {withOrg, nil, guest, access.ReadAll, orgAdmin, session.KindForbidden},
		"DirectoryBeforeFallback": {identity, admin, guest, access.ReadOwn, admin, nil},
		"FallbackIsLast":          {identity, access.Role{}, guest, access.ReadOwn, guest, nil},
		"NoRole":                  {identity, access.Role{}, access.Role{}, access.ReadOwn, access.Role{}, session.KindNoRole},
		"DirectoryDown":           {identity, errDown, guest, access.ReadOwn, access.Role{}, session.KindUnavailable},
		"Forbidden":               {withBoth, nil, guest, access.ReadAll, member, session.KindForbidden},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctrl := gomock.NewController(t)
			authenticator := portmock.NewMockAuthenticator(ctrl)
			authenticator.EXPECT().Authenticate(gomock.Any(), credential).Return(c.identity, nil)
			directory := portmock.NewMockRoleDirectory(ctrl)
			switch answer := c.directory.(type) {
			case access.Role:
				directory.EXPECT().Role(gomock.Any(), user).Return(answer, nil)
			case error:
				directory.EXPECT().Role(gomock.Any(), user).Return(access.Role{}, answer)
			}
			authorizer := lifecycle.NewAuthorizer(authenticator, directory, access.DefaultPolicy(), c.fallback)

			got, err := authorizer.Authorize(t.Context(), credential, c.wants)
			want := access.Caller{Bearer: identity.Bearer, Role: c.role}
			if !errors.Is(err, c.kind) || got != want {
				t.Errorf("Authorize = %+v, %v, want %+v, %v", got, err, want, c.kind)
			}
		})
	}
}

func TestAuthorizer_Authorize_WithoutDirectory(t *testing.T) {
	t.Parallel()
	authenticator := portmock.NewMockAuthenticator(gomock.NewController(t))
	authenticator.EXPECT().Authenticate(gomock.Any(), credential).Return(ports.Identity{Bearer: caller.Bearer}, nil)
	authorizer := lifecycle.NewAuthorizer(authenticator, nil, access.DefaultPolicy(), guest)
	if got, err := authorizer.Authorize(t.Context(), credential, access.ReadOwn); err != nil || got.Role != guest {
		t.Errorf("Authorize = %+v, %v", got, err)
	}
}

func TestAuthorizer_Authorize_BadCredential(t *testing.T) {
	t.Parallel()
	authenticator := portmock.NewMockAuthenticator(gomock.NewController(t))
	authorizer := lifecycle.NewAuthorizer(authenticator, nil, access.DefaultPolicy(), guest)
	if _, err := authorizer.Authorize(t.Context(), "", access.ReadOwn); !errors.Is(err, session.KindUnauthenticated) {
		t.Errorf("Authorize without a credential = %v", err)
	}
	for _, want := range []error{session.KindUnauthenticated, session.KindUnavailable} {
		authenticator.EXPECT().Authenticate(gomock.Any(), credential).Return(ports.Identity{}, want)
		if _, err := authorizer.Authorize(t.Context(), credential, access.ReadOwn); !errors.Is(err, want) {
			t.Errorf("Authorize = %v, want %v", err, want)
		}
	}
}

// Actors of denied kinds are refused whatever their role. The error comes with
// the caller, for the log.
func TestAuthorizer_Authorize_DeniesActors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		denied []session.ActorKind
		actor  session.Actor
		ok     bool
	}{
		"NoneByDefault":   {nil, agent, true},
		"TheAgent":        {[]session.ActorKind{session.ActorAgent}, agent, false},
		"TheImpersonator": {[]session.ActorKind{session.ActorAgent, session.ActorImpersonator}, support, false},
		"NotTheOtherKind": {[]session.ActorKind{session.ActorAgent}, support, true},
		"NeverTheUser":    {[]session.ActorKind{session.ActorAgent, session.ActorImpersonator}, session.Actor{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authenticator := portmock.NewMockAuthenticator(gomock.NewController(t))
			authenticator.EXPECT().Authenticate(gomock.Any(), credential).Return(ports.Identity{Bearer: as(c.actor).Bearer, Role: admin}, nil)
			authorizer := lifecycle.NewAuthorizer(authenticator, nil, access.DefaultPolicy(), guest, c.denied...)
			got, err := authorizer.Authorize(t.Context(), credential, access.ReadOwn)
			if (err == nil) != c.ok || (err != nil && (session.KindOf(err) != session.KindActorDenied || session.ReasonOf(err) != session.ReasonDeniedActor)) || got.Bearer != as(c.actor).Bearer {
				t.Errorf("Authorize = %+v, %v", got, err)
			}
		})
	}
}

package lifecycle_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

var (
	perMinute = session.Limit{Most: 3, Within: time.Minute}
	some      = ports.Allowance{Allowed: true, Remaining: 2, Next: 20 * time.Second}
	none      = ports.Allowance{Next: 7 * time.Second}
)

func quota(group ports.LimitGroup, allowance ports.Allowance) ports.Quota {
	return ports.Quota{Group: group, Limit: perMinute, Allowance: allowance}
}

// newLimits returns Limits of groups, and refuses one of them unless refuses is
// empty.
func newLimits(t *testing.T, refuses ports.LimitGroup, groups ...ports.LimitGroup) (*lifecycle.Limits, *portmock.MockRateLimiter) {
	t.Helper()
	limits := map[ports.LimitGroup]session.Limit{ports.LimitReads: {}}
	for _, group := range groups {
		limits[group] = perMinute
	}
	ctrl := gomock.NewController(t)
	limiter, meter := portmock.NewMockRateLimiter(ctrl), portmock.NewMockMeter(ctrl)
	if refuses != "" {
		meter.EXPECT().Refused(refuses)
	} else {
		meter.EXPECT().Refused(gomock.Any()).AnyTimes()
	}
	clock := portmock.NewMockClock(ctrl)
	clock.EXPECT().Now().DoAndReturn(time.Now).AnyTimes() // the time of the synctest bubble
	return lifecycle.NewLimits(limiter, meter, clock, limits), limiter
}

func TestLimits_Spend(t *testing.T) {
	t.Parallel()
	signIn := session.Must(session.ParseSignInID("sess_1"))
	by := session.Holder{SignIn: signIn, Actor: session.Must(session.NewActor(session.ActorAgent, "agent_1"))}
	for name, test := range map[string]struct {
		allowance ports.Allowance
		refuses   ports.LimitGroup
		err, want error
	}{
		"Allowed": {some, "", nil, nil},
		"Refused": {none, ports.LimitOpens, nil, session.KindRateLimited},
		"TooLate": {ports.Allowance{}, "", session.KindUnavailable, session.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits, limiter := newLimits(t, test.refuses, ports.LimitOpens)
			limiter.EXPECT().Allow(gomock.Any(), ports.LimitKey{Group: ports.LimitOpens, Subject: "sess_1 agent:agent_1"}, perMinute).Return(test.allowance, test.err)
			var want []ports.Quota
			if test.err == nil {
				want = []ports.Quota{quota(ports.LimitOpens, test.allowance)}
			}
			got, err := limits.Spend(t.Context(), ports.LimitOpens, by)
			if !errors.Is(err, test.want) || !slices.Equal(got, want) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, want, test.want)
			}
		})
	}
	t.Run("NoLimit", func(t *testing.T) {
		t.Parallel()
		limits, _ := newLimits(t, "", ports.LimitOpens) // the limiter is not called
		for _, group := range []ports.LimitGroup{ports.LimitReads, ports.LimitChanges} {
			if got, err := limits.Spend(t.Context(), group, session.Holder{SignIn: signIn}); err != nil || got != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	})
}

func TestLimits_SpendFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		address, network string
		answers          ports.Allowance
		err              error
		refuses          ports.LimitGroup
	}{
		"Some": {"192.0.2.1", "192.0.2.1/32", some, nil, ""},
		// All addresses of a network count as one client.
		"IPv6":    {"2001:db8:1:2:3::4", "2001:db8:1:2::/64", some, nil, ""},
		"UsedUp":  {"192.0.2.1", "192.0.2.1/32", none, session.KindRateLimited, ports.LimitFailuresOfAddress},
		"Unknown": {"", "", none, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits, limiter := newLimits(t, test.refuses, ports.LimitFailuresOfAddress)
			source := session.Source{}
			var want []ports.Quota
			if test.address != "" {
				source.Address = netip.MustParseAddr(test.address)
				want = []ports.Quota{quota(ports.LimitFailuresOfAddress, test.answers)}
				limiter.EXPECT().Allow(gomock.Any(), ports.LimitKey{Group: ports.LimitFailuresOfAddress, Subject: test.network}, perMinute).Return(test.answers, nil)
			}
			got, err := limits.SpendFailure(t.Context(), source)
			if !errors.Is(err, test.err) || !slices.Equal(got, want) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, want, test.err)
			}
			if limits.Suspects(source) != (test.err != nil) {
				t.Errorf("Suspects = %v", limits.Suspects(source))
			}
		})
	}
}

// A network that used up its failed checks is a suspect until it has one again.
// Meanwhile the limiter is not called for it. Other networks are not suspects.
func TestLimits_Suspects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, limiter := newLimits(t, "", ports.LimitFailuresOfAddress)
		flood, other := from("192.0.2.1"), from("192.0.2.2")
		limiter.EXPECT().Allow(gomock.Any(), gomock.Any(), perMinute).Return(none, nil)
		_, _ = limits.SpendFailure(t.Context(), flood)
		if !limits.Suspects(flood) || limits.Suspects(other) || limits.Suspects(session.Source{}) {
			t.Error("other networks are suspects, or this one is not")
		}
		<-time.After(none.Next - time.Second)
		quotas, err := limits.SpendFailure(t.Context(), flood)
		if want := []ports.Quota{quota(ports.LimitFailuresOfAddress, ports.Allowance{Next: time.Second})}; !errors.Is(err, session.KindRateLimited) || !slices.Equal(quotas, want) {
			t.Errorf("got %+v, %v", quotas, err)
		}
		<-time.After(time.Second)
		if limits.Suspects(flood) {
			t.Error("still a suspect")
		}
		limiter.EXPECT().Allow(gomock.Any(), gomock.Any(), perMinute).Return(some, nil)
		if _, err := limits.SpendFailure(t.Context(), flood); err != nil {
			t.Error(err)
		}
	})
}

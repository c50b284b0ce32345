package lifecycle_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
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

// newLimits returns Limits of groups, one of which is to refuse if it is not empty.
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
	}
	return lifecycle.NewLimits(limiter, meter, limits), limiter
}

func TestLimits_Spend(t *testing.T) {
	t.Parallel()
	user := session.Must(session.ParseUserID("user_1"))
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
			limiter.EXPECT().Allow(gomock.Any(), ports.LimitKey{Group: ports.LimitOpens, Who: "user_1"}, perMinute).Return(test.allowance, test.err)
			var want []ports.Quota
			if test.err == nil {
				want = []ports.Quota{quota(ports.LimitOpens, test.allowance)}
			}
			got, err := limits.Spend(t.Context(), ports.LimitOpens, user)
			if !errors.Is(err, test.want) || !slices.Equal(got, want) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, want, test.want)
			}
		})
	}
	t.Run("NoLimit", func(t *testing.T) {
		t.Parallel()
		limits, _ := newLimits(t, "", ports.LimitOpens) // nothing is counted
		for _, group := range []ports.LimitGroup{ports.LimitReads, ports.LimitChanges} {
			if got, err := limits.Spend(t.Context(), group, user); err != nil || got != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	})
}

func TestLimits_SpendFailure(t *testing.T) {
	t.Parallel()
	byAddress := func(network string) ports.LimitKey {
		return ports.LimitKey{Group: ports.LimitFailuresOfAddress, Who: network}
	}
	byKey := ports.LimitKey{Group: ports.LimitFailuresOfKey, Who: "backend"}
	type answers map[ports.LimitKey]ports.Allowance
	for name, test := range map[string]struct {
		backend, address string
		answers          answers
		want             []ports.Quota
		err              error
		refuses          ports.LimitGroup
	}{
		"Both": {
			"backend", "192.0.2.1",
			answers{byAddress("192.0.2.1/32"): some, byKey: some},
			[]ports.Quota{quota(ports.LimitFailuresOfAddress, some), quota(ports.LimitFailuresOfKey, some)},
			nil, "",
		},
		"NoBackend": {"", "192.0.2.1", answers{byAddress("192.0.2.1/32"): some}, []ports.Quota{quota(ports.LimitFailuresOfAddress, some)}, nil, ""},
		"NoAddress": {"backend", "", answers{byKey: some}, []ports.Quota{quota(ports.LimitFailuresOfKey, some)}, nil, ""},
		"Neither":   {"", "", nil, nil, nil, ""},
		// Addresses of one network are one client's.
		"IPv6": {"", "2001:db8:1:2:3::4", answers{byAddress("2001:db8:1:2::/64"): some}, []ports.Quota{quota(ports.LimitFailuresOfAddress, some)}, nil, ""},
		"AddressUsedUp": {
			"backend", "192.0.2.1",
			answers{byAddress("192.0.2.1/32"): none},
			[]ports.Quota{quota(ports.LimitFailuresOfAddress, none)},
			session.KindRateLimited, ports.LimitFailuresOfAddress,
		},
		"KeyUsedUp": {
			"backend", "192.0.2.1",
			answers{byAddress("192.0.2.1/32"): some, byKey: none},
			[]ports.Quota{quota(ports.LimitFailuresOfAddress, some), quota(ports.LimitFailuresOfKey, none)},
			session.KindRateLimited, ports.LimitFailuresOfKey,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits, limiter := newLimits(t, test.refuses, ports.LimitFailuresOfAddress, ports.LimitFailuresOfKey)
			for key, answer := range test.answers {
				limiter.EXPECT().Allow(gomock.Any(), key, perMinute).Return(answer, nil)
			}
			source := session.Source{}
			if test.address != "" {
				source.Address = netip.MustParseAddr(test.address)
			}
			got, err := limits.SpendFailure(t.Context(), test.backend, source)
			if !errors.Is(err, test.err) || !slices.Equal(got, test.want) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, test.want, test.err)
			}
		})
	}
}

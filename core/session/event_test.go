package session_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

// lasts returns a session with this remaining life at noon.
func lasts(left time.Duration, with ...func(*session.Stored)) session.Session {
	return stored(noon.Add(-time.Hour), noon.Add(left), with...)
}

func rotated(s *session.Stored) {
	s.Credential.Hash, s.Previous, s.PreviousUntil = session.TokenHash{2}, session.TokenHash{1}, noon.Add(30*time.Second)
}

func moved(s *session.Stored) {
	s.Device, s.Credential.Hash = "laptop", session.TokenHash{2}
}

func ended(status session.Status, reason session.EndReason) func(*session.Stored) {
	return func(s *session.Stored) {
		s.Status, s.EndReason, s.EndedAt, s.Credential.Sealed = status, reason, noon.Add(-time.Minute), nil
	}
}

// The client knows the first token and was not warned.
func TestPolicy_News(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy session.Policy
		found  session.Session
		event  session.Event
		reason session.EndReason
		next   time.Duration // after noon, when there is no event
	}{
		"Nothing":              {session.DefaultPolicy(), lasts(time.Hour), "", "", 55*time.Minute + us},
		"NotExpiringYet":       {session.DefaultPolicy(), lasts(5 * time.Minute), "", "", us},
		"Expiring":             {session.DefaultPolicy(), lasts(5*time.Minute - us), session.EventExpiring, "", 0},
		"ExpiringLast":         {session.DefaultPolicy(), lasts(us), session.EventExpiring, "", 0},
		"NeverExpiring":        {session.Policy{Usual: session.Terms{LongestLife: day}}, lasts(us), "", "", us},
		"Refreshed":            {session.DefaultPolicy(), lasts(time.Hour, rotated), session.EventRefreshed, "", 0},
		"RefreshedAndExpiring": {session.DefaultPolicy(), lasts(time.Minute, rotated), session.EventRefreshed, "", 0},
		"Expired":              {session.DefaultPolicy(), lasts(0), session.EventExpired, "", 0},
		"ExpiredAndRotated":    {session.DefaultPolicy(), lasts(0, rotated), session.EventExpired, "", 0},
		"ExpiryStored":         {session.DefaultPolicy(), lasts(time.Hour, ended(session.StatusExpired, session.EndExpired)), session.EventExpired, "", 0},
		"Idle":                 {shortIdle(), lasts(2*time.Hour, idleFor(time.Hour)), session.EventExpired, "", 0},
		"NotIdleYet":           {shortIdle(), lasts(2*time.Hour, idleFor(time.Hour-us)), "", "", us},
		"IdleOrExpiring":       {shortIdle(), lasts(time.Hour, idleFor(0)), "", "", 55*time.Minute + us},
		"Revoked":              {session.DefaultPolicy(), lasts(time.Hour, ended(session.StatusRevoked, session.EndAdmin)), session.EventRevoked, session.EndAdmin, 0},
		"RevokedAfterRefresh":  {session.DefaultPolicy(), lasts(time.Hour, rotated, ended(session.StatusRevoked, session.EndLimit)), session.EventRevoked, session.EndLimit, 0},
		"MovedAway":            {session.DefaultPolicy(), lasts(time.Hour, moved), session.EventRevoked, session.EndTransferred, 0},
		"MovedAwayAndEnded":    {session.DefaultPolicy(), lasts(0, moved, ended(session.StatusRevoked, session.EndUser)), session.EventRevoked, session.EndTransferred, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := lasts(time.Hour).Known()
			news := c.policy.News(noon, c.found, known)
			if news.Event != c.event || news.Reason != c.reason {
				t.Errorf("got %+v", news)
			}
			if c.event == "" && (news.Known != known || news.Next.Sub(noon) != c.next) {
				t.Errorf("no event: Known = %v, Next in %s", news.Known, news.Next.Sub(noon))
			}
			if news.Known.Over() != c.event.Ends() {
				t.Errorf("Over = %v", news.Known.Over())
			}
			again := c.policy.News(noon, c.found, news.Known)
			if again.Event == c.event && c.event != "" {
				t.Errorf("the event is repeated: %+v", again)
			}
			if again.Event == "" && !again.Next.After(noon) {
				t.Errorf("Next = %s", again.Next)
			}
		})
	}
}

// A client is warned once for each expiry.
func TestPolicy_News_WarnsOfEachEnd(t *testing.T) {
	t.Parallel()
	policy := session.DefaultPolicy()
	known := lasts(time.Hour).Known()
	for _, step := range []struct {
		left time.Duration
		want session.Event
		next time.Duration
	}{{time.Minute, session.EventExpiring, 0}, {time.Minute, "", time.Minute}, {time.Hour, "", 55*time.Minute + us}, {2 * time.Minute, session.EventExpiring, 0}, {2 * time.Minute, "", 2 * time.Minute}} {
		news := policy.News(noon, lasts(step.left), known)
		if news.Event != step.want || (step.want == "" && news.Next.Sub(noon) != step.next) {
			t.Errorf("with %s left, News = %+v", step.left, news)
		}
		known = news.Known
	}
}

// A client that asks for News at any times gets one event for the rotations since it
// last asked, and one for the end, also when it continues from the text of Known.
func TestPolicy_News_Always(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy, now, s := session.DefaultPolicy(), noon, lasts(time.Hour)
		known, refreshedSince, over := s.Known(), false, false
		for n := range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "pause")))
			switch rapid.SampledFrom([]string{"rotate", "revoke", "look", "look"}).Draw(t, "what") {
			case "rotate":
				if policy.StatusAt(now, s) == session.StatusActive {
					s.Rotate(session.Credential{Hash: session.TokenHash{byte(n + 2)}}, now, now.Add(time.Hour), now.Add(time.Minute))
					refreshedSince = true
				}
			case "revoke":
				if policy.StatusAt(now, s) == session.StatusActive && n > 10 {
					s.Revoke(session.EndUser, now)
				}
			case "look":
				news := policy.News(now, s, session.Must(session.ParseKnown(known.String())))
				known = news.Known
				alive := policy.StatusAt(now, s) == session.StatusActive
				switch {
				case alive && (news.Event == session.EventRefreshed) != refreshedSince:
					t.Fatalf("refreshed since: %v, News = %+v", refreshedSince, news)
				case !alive && news.Event.Ends() == over:
					t.Fatalf("ended, told before: %v, News = %+v", over, news)
				}
				refreshedSince, over = false, !alive
			}
		}
	})
}

// ParseKnown returns what String encoded. The text reveals neither token nor hash.
func TestParseKnown(t *testing.T) {
	t.Parallel()
	s := lasts(time.Minute)
	warned := session.DefaultPolicy().News(noon, s, s.Known()).Known
	over := session.DefaultPolicy().News(noon.Add(time.Hour), s, s.Known()).Known
	for _, known := range []session.Known{s.Known(), warned, over} {
		back, err := session.ParseKnown(known.String())
		if err != nil || back != known || back.Session() != s.ID() || back.Over() != (known == over) {
			t.Errorf("ParseKnown(%s) = %+v, %v", known, back, err)
		}
		if hash := s.Credential().Hash; strings.Contains(known.String(), hex.EncodeToString(hash[:4])) {
			t.Errorf("%s contains the hash", known)
		}
		if strings.ContainsAny(known.String(), " \n\r\x00") {
			t.Errorf("%q has a line break", known)
		}
	}
	for _, bad := range []string{"", "x", "over", "over.", "over.a b", "1.2.3", "1.2.3.", "!.2.3.x", "1.!.3.x", "1.2.!.x", "1.2.3.a b", "-1.2.3.x", "zzzzzzzzzzzzzzzzzz.2.3.x", "1.2.3.x\n"} {
		if known, err := session.ParseKnown(bad); err == nil {
			t.Errorf("ParseKnown(%q) = %+v", bad, known)
		}
	}
}

// Marks differ for other tokens and other sessions.
func TestSession_Known(t *testing.T) {
	t.Parallel()
	s := lasts(time.Hour)
	if s.KnownBy(session.TokenHash{1}) != s.Known() || s.KnownBy(session.TokenHash{2}) == s.Known() {
		t.Error("KnownBy another token equals Known")
	}
	another := lasts(time.Hour, func(s *session.Stored) { s.ID = "another" })
	token, _, _ := strings.Cut(s.Known().String(), ".")
	if same, _, _ := strings.Cut(another.Known().String(), "."); same == token {
		t.Error("the token has the same mark in two sessions")
	}
	// A client that has the new token already is not told of it.
	fresh := lasts(time.Hour, rotated)
	if got := s.Known().Or(fresh, session.TokenHash{2}); got != fresh.Known() {
		t.Errorf("Or with the new token = %s", got)
	}
	if got := fresh.Known().Or(fresh, session.TokenHash{1}); got != fresh.Known() {
		t.Errorf("Or with the old token = %s", got)
	}
	if got := s.Known().Or(fresh, session.TokenHash{}); got != s.Known() {
		t.Errorf("Or without a token = %s", got)
	}
}

func TestSession_NewsSince(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*session.Stored)
		want   bool
	}{
		"Nothing":  {func(*session.Stored) {}, false},
		"Metadata": {func(s *session.Stored) { s.Metadata = metadata }, false},
		"SignIn":   {func(s *session.Stored) { s.SignIn = "sess_2" }, false},
		"Use":      {func(s *session.Stored) { s.Opens, s.LastActivityAt = 9, noon.Add(time.Minute) }, false},
		"Offer":    {func(s *session.Stored) { s.Offer = session.Offer{Code: session.TokenHash{9}} }, false},
		"Rotated":  {rotated, true},
		"Moved":    {func(s *session.Stored) { s.Device = "laptop" }, true},
		"Ended":    {ended(session.StatusRevoked, session.EndUser), true},
		"Expiry":   {func(s *session.Stored) { s.ExpiresAt = noon.Add(2 * time.Hour) }, true},
		"Terms":    {remembered, true},
	} {
		if got := lasts(time.Hour, c.change).NewsSince(lasts(time.Hour)); got != c.want {
			t.Errorf("%s: NewsSince = %v", name, got)
		}
	}
}

func TestSplitIDs(t *testing.T) {
	t.Parallel()
	ids := []session.ID{session.Must(session.ParseID("a-1")), session.Must(session.ParseID("b:2"))}
	if got := session.SplitIDs(session.JoinIDs(ids)); len(got) != 2 || got[0] != ids[0] || got[1] != ids[1] {
		t.Errorf("got %v", got)
	}
	if got := session.SplitIDs(" a-1 \x00 b/2  " + strings.Repeat("x", 65)); len(got) != 1 || got[0] != ids[0] {
		t.Errorf("got %v", got)
	}
	if got := session.SplitIDs(session.JoinIDs(nil)); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

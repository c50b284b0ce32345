package session_test

import (
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
)

// The newer sign-in, or an equally old one, wins. A session that was not used since
// the other sign-in was verified is not contested.
func TestSignIns_Contest(t *testing.T) {
	t.Parallel()
	held := func(by string, used time.Duration) session.Session {
		signIn, actor, _ := strings.Cut(by, " ")
		return found(day, day, idleFor(used), func(s *session.Stored) { s.SignIn, s.Actor = signIn, actor }).Session
	}
	unknown := found(day, day, idleFor(0)).Session
	known := session.SignIns{seen("sess_2", day, 30*time.Minute), seen("sess_1", time.Hour, time.Minute), seen("sess_2 agent:agent_1", day, 30*time.Minute)}
	for name, c := range map[string]struct {
		session session.Session
		bearer  session.Bearer
		want    session.Contest
	}{
		"NotUsedSince":         {held("sess_2", 5*time.Minute+us), bearer("sess_1", 5*time.Minute), session.ContestNone},
		"UsedJustThen":         {held("sess_2", 5*time.Minute), bearer("sess_1", 5*time.Minute), session.ContestNone},
		"Newer":                {held("sess_2", 5*time.Minute-us), bearer("sess_1", 5*time.Minute), session.ContestWon},
		"Equal":                {held("sess_2", 0), bearer("sess_1", 30*time.Minute), session.ContestWon},
		"Older":                {held("sess_2", 0), bearer("sess_1", 30*time.Minute+us), session.ContestLost},
		"OlderByFar":           {held("sess_2", 0), bearer("sess_9", day), session.ContestLost},
		"OlderButNotUsedSince": {held("sess_2", 2*time.Hour), bearer("sess_1", time.Hour), session.ContestNone},
		"UnknownHolderIsOlder": {unknown, bearer("sess_1", 300*day), session.ContestWon},
		"ForgottenIsOlder":     {held("sess_7", 0), bearer("sess_1", 300*day), session.ContestWon},
		"NotVerified":          {held("sess_2", 0), bearer("sess_1", unsaid), session.ContestLost}, // it was first seen an hour ago
		"NotVerifiedNotSeen":   {held("sess_2", 0), bearer("sess_9", unsaid), session.ContestNone},
		"Actor":                {held("sess_2 agent:agent_1", 0), bearer("sess_1 agent:agent_1", day), session.ContestLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := known.Contest(c.session, c.bearer, noon); got != c.want {
				t.Errorf("Contest = %v, want %v", got, c.want)
			}
		})
	}
}

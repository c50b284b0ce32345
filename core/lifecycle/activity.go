package lifecycle

import (
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// expired is the record of a session's end because its time is up.
func expired(s session.Session, now time.Time) session.Activity {
	return note(access.Caller{}, s, now, session.ActivityExpired, map[string]string{})
}

// note is the record of what caller, zero for nobody, did to s.
func note(caller access.Caller, s session.Session, now time.Time, what session.ActivityType, detail map[string]string) session.Activity {
	if !caller.Actor.IsZero() {
		detail[session.DetailActor] = caller.Actor.Subject()
	}
	return session.Activity{User: s.User(), Session: s.ID(), Type: what, At: now, Source: caller.Source, Detail: detail}
}

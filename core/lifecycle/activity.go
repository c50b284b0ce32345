package lifecycle

import (
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// record returns an activity of s, done by caller; a zero caller is the service
// itself. It adds the caller's actor to detail.
func record(caller access.Caller, s session.Session, now time.Time, activity session.ActivityType, detail map[string]string) session.Activity {
	if !caller.Actor.IsZero() {
		detail[session.DetailActor] = caller.Actor.Subject()
	}
	return session.Activity{User: s.User(), Session: s.ID(), Type: activity, At: now, Source: caller.Source, Detail: detail}
}

// expire ends s as expired and returns the record of that.
func expire(s *session.Session, now time.Time) session.Activity {
	s.Expire(now)
	return record(access.Caller{}, *s, now, session.ActivityExpired, map[string]string{})
}

package main

import (
	"cmp"
	"slices"
	"time"
)

// The settings of the model's service: little room, so that it matters.
const (
	modelThreshold = time.Hour
	modelGrace     = 30 * time.Second
	modelRetention = 30 * 24 * time.Hour
	modelTimeline  = 90 * 24 * time.Hour
	modelOffer     = 2 * time.Minute
	modelMost      = 3
)

var modelSettings = []string{
	"INTROSPECTION_KEYS=" + backendKey, "CHATKIT_MAX_SESSIONS=3", "CHATKIT_ANOMALY_NEW_DEVICES=off", "CHATKIT_ANOMALY_OPENS=off", "CHATKIT_IDLE_TIMEOUT=20h",
}

// modelTerms are session.Terms, in the specification's figures.
type modelTerms struct{ duration, longest, idle time.Duration }

func termsOf(remembered bool) modelTerms {
	if remembered {
		return modelTerms{30 * 24 * time.Hour, 90 * 24 * time.Hour, 7 * 24 * time.Hour}
	}
	return modelTerms{24 * time.Hour, 30 * 24 * time.Hour, 20 * time.Hour}
}

// modelSession is what a test believes of a session.
type modelSession struct {
	id, user, device, signIn string
	generated, remembered    bool
	token, previous          string
	previousUntil            time.Time
	supersededSeen           bool
	createdAt, expiresAt     time.Time
	lastActivity             time.Time // as it is written
	opens, checks            int       // as they are written
	used                     modelUse
	code                     string
	codeUntil                time.Time
	codeTried                bool // by somebody else
	ended, blocks            bool
	status                   string
	endedAt                  time.Time
}

// modelUse is use that is not written yet.
type modelUse struct {
	at            time.Time
	opens, checks int
}

func (s *modelSession) use(now time.Time, opens, checks int) {
	s.used = modelUse{now, s.used.opens + opens, s.used.checks + checks}
}

// lastUse is when the session was used, be that written or not.
func (s *modelSession) lastUse() time.Time {
	if s.used.at.After(s.lastActivity) {
		return s.used.at
	}
	return s.lastActivity
}

func (s *modelSession) end(status string, now time.Time) {
	s.ended, s.status, s.endedAt, s.code = true, status, now, ""
}

// live says whether the session's time is not up.
func (s *modelSession) live(now time.Time) bool {
	terms := termsOf(s.remembered)
	return !s.ended && now.Before(s.expiresAt) && now.Before(s.createdAt.Add(terms.longest)) && now.Before(s.lastActivity.Add(terms.idle))
}

func (s *modelSession) statusAt(now time.Time) string {
	switch {
	case s.ended:
		return s.status
	case !s.live(now):
		return "expired"
	}
	return "active"
}

// model is the service as the specification has it: no database, no races.
type model struct {
	sessions []*modelSession
	happened []modelActivity
}

// modelActivity is a record of a timeline.
type modelActivity struct {
	user, what string
	at         time.Time
}

func (m *model) note(now time.Time, user, what string) {
	m.happened = append(m.happened, modelActivity{user, what, now})
}

// timeline counts the records of a user by their type.
func (m *model) timeline(user string) map[string]int {
	counts := map[string]int{}
	for _, a := range m.happened {
		if a.user == user {
			counts[a.what]++
		}
	}
	return counts
}

// active returns the session that a request of user for device continues.
func (m *model) active(user, device string) *modelSession {
	for _, s := range m.sessions {
		if s.user == user && !s.ended && ((device == "" && s.generated) || (device != "" && s.device == device)) {
			return s
		}
	}
	return nil
}

func (m *model) blocked(user, signIn string) bool {
	return slices.ContainsFunc(m.sessions, func(s *modelSession) bool { return s.user == user && s.signIn == signIn && s.blocks })
}

// open says what opening must do: an outcome, or "blocked".
func (m *model) open(now time.Time, user, signIn, device string, remember *bool) (string, *modelSession) {
	s := m.active(user, device)
	outcome, remembered := "created", remember != nil && *remember
	var expiresAt time.Time
	if s != nil && s.live(now) {
		outcome, remembered, expiresAt = m.carryOn(now, s, remember)
	}
	if (outcome == "created" || s.signIn != signIn) && m.blocked(user, signIn) {
		return "blocked", nil
	}
	switch outcome {
	case "created":
		m.makeRoom(now, user, s)
		m.note(now, user, "created")
		s = &modelSession{user: user, device: device, generated: device == "", createdAt: now, lastActivity: now, opens: 1, remembered: remembered, expiresAt: now.Add(termsOf(remembered).duration)}
		m.sessions = append(m.sessions, s)
	case "refreshed":
		m.note(now, user, "refreshed")
		s.previous, s.previousUntil, s.supersededSeen = s.token, now.Add(modelGrace), false
		s.lastActivity = now
	}
	if outcome != "created" {
		if s.signIn != signIn || s.remembered != remembered { // it is written anyway
			s.lastActivity = now
		}
		s.expiresAt, s.remembered = expiresAt, remembered
		s.use(now, 1, 0)
	}
	s.signIn = signIn
	return outcome, s
}

// carryOn says what becomes of a session that lives.
func (m *model) carryOn(now time.Time, s *modelSession, remember *bool) (outcome string, remembered bool, expiresAt time.Time) {
	remembered = s.remembered
	if remember != nil {
		remembered = *remember
	}
	changed, outcome := remembered != s.remembered, "reused"
	expiresAt = s.expiresAt
	if changed || expiresAt.Sub(now) <= modelThreshold {
		terms := termsOf(remembered)
		expiresAt = now.Add(terms.duration)
		if end := s.createdAt.Add(terms.longest); end.Before(expiresAt) {
			expiresAt = end
		}
		if !changed {
			outcome = "refreshed"
		}
	}
	if expiresAt.Sub(now) <= modelThreshold {
		outcome = "created"
	}
	return outcome, remembered, expiresAt
}

// makeRoom ends what is stale, the one that is replaced, and what is too many.
func (m *model) makeRoom(now time.Time, user string, replaced *modelSession) {
	var live []*modelSession
	for _, s := range m.sessions {
		switch {
		case s.user != user || s.ended:
		case s == replaced || !s.live(now):
			s.end("expired", now)
			m.note(now, user, "expired")
		default:
			live = append(live, s)
		}
	}
	slices.SortFunc(live, func(a, b *modelSession) int {
		return cmp.Or(a.lastUse().Compare(b.lastUse()), a.createdAt.Compare(b.createdAt), cmp.Compare(a.id, b.id))
	})
	for len(live) >= modelMost {
		live[0].end("revoked", now)
		m.note(now, user, "limit")
		live = live[1:]
	}
}

// accepts says whether a token is good, and notes the use of one that was
// superseded.
func (m *model) accepts(now time.Time, token string, checks int) bool {
	for _, s := range m.sessions {
		switch {
		case !s.live(now):
		case s.token == token || (s.previous == token && now.Before(s.previousUntil)):
			s.use(now, 0, checks)
			return true
		case s.previous == token && !s.supersededSeen:
			s.supersededSeen = true
			m.note(now, s.user, "anomaly")
		}
	}
	return false
}

// signOut ends a session in the name of a sign-in, and reports whether it was
// not over anyway.
func (m *model) signOut(s *modelSession, by string, now time.Time) bool {
	switch {
	case s.ended:
		return false
	case !s.live(now):
		s.end("expired", now)
		m.note(now, s.user, "expired")
		return false
	}
	s.end("revoked", now)
	s.blocks = by != s.signIn
	m.note(now, s.user, "revoked")
	return true
}

// claim says what claiming a code must answer, and moves the session.
func (m *model) claim(now time.Time, user, signIn, code, device string) (int, *modelSession) {
	for _, s := range m.sessions {
		if s.code != code || s.ended {
			continue
		}
		switch {
		case s.user != user:
			if now.Before(s.codeUntil) && !s.codeTried {
				s.codeTried = true
				m.note(now, s.user, "anomaly")
			}
			return 404, nil
		case !now.Before(s.codeUntil) || !s.live(now):
			return 404, nil
		case m.blocked(user, signIn):
			return 403, nil
		case s.device == device:
			return 400, nil
		}
		m.vacate(now, user, device)
		s.device, s.generated, s.signIn, s.code, s.previous = device, false, signIn, "", ""
		s.lastActivity = now
		s.opens++
		m.note(now, user, "transferred")
		return 200, s
	}
	return 404, nil
}

// vacate ends what is on a device.
func (m *model) vacate(now time.Time, user, device string) {
	for _, s := range m.sessions {
		if s.user != user || s.ended || s.device != device {
			continue
		}
		if s.live(now) {
			s.end("revoked", now)
			m.note(now, user, "transferred")
		} else {
			s.end("expired", now)
			m.note(now, user, "expired")
		}
	}
}

// cleanUp ends what is past its expiry and forgets what ended long ago.
func (m *model) cleanUp(now time.Time) {
	for _, s := range m.sessions {
		if !s.ended && !now.Before(s.expiresAt) {
			s.end("expired", now)
			m.note(now, s.user, "expired")
		}
	}
	m.sessions = slices.DeleteFunc(m.sessions, func(s *modelSession) bool {
		return s.ended && !s.blocks && s.endedAt.Before(now.Add(-modelRetention))
	})
	m.happened = slices.DeleteFunc(m.happened, func(a modelActivity) bool { return a.at.Before(now.Add(-modelTimeline)) })
}

// flush writes use.
func (m *model) flush() {
	for _, s := range m.sessions {
		if !s.used.at.IsZero() {
			s.opens, s.checks = s.opens+s.used.opens, s.checks+s.used.checks
			if s.used.at.After(s.lastActivity) {
				s.lastActivity = s.used.at
			}
		}
		s.used = modelUse{}
	}
}

package main

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// The settings of the model's service: little room, so that it matters.
const (
	modelThreshold  = time.Hour
	modelGrace      = 30 * time.Second
	modelRetention  = 30 * 24 * time.Hour
	modelTimeline   = 90 * 24 * time.Hour
	modelSignIns    = 90 * 24 * time.Hour
	modelOffer      = 2 * time.Minute
	modelMost       = 3
	modelActorsMost = 10
	modelActors     = time.Hour
	modelUnused     = 24 * time.Hour
	modelProtection = 10 * time.Minute
	modelSlack      = 5 * time.Second
)

var modelSettings = []string{
	"INTROSPECTION_KEYS=" + backendKey, "CHATKIT_MAX_SESSIONS=3", "CHATKIT_ANOMALY_NEW_DEVICES=off", "CHATKIT_ANOMALY_OPENS=off", "CHATKIT_IDLE_TIMEOUT=20h",
	"CHATKIT_SIGN_IN_RETENTION=2160h",
}

// modelTerms are session.Terms, in the specification's figures.
type modelTerms struct{ duration, longest, idle time.Duration }

func termsOf(remembered bool) modelTerms {
	if remembered {
		return modelTerms{30 * 24 * time.Hour, 90 * 24 * time.Hour, 7 * 24 * time.Hour}
	}
	return modelTerms{24 * time.Hour, 30 * 24 * time.Hour, 20 * time.Hour}
}

// modelHolder is whom a session belongs to: a sign-in of a user, and the actor
// in it, empty for the user in person.
type modelHolder struct{ user, signIn, actor string }

// modelCaller is who asks.
type modelCaller struct {
	modelHolder
	// verified is when the user verified a factor, as the token says; zero when
	// it does not.
	verified time.Time
}

// modelSignIn is what is remembered of a sign-in.
type modelSignIn struct {
	firstSeen, verified, blockedAt time.Time
}

func (s modelSignIn) blocked() bool { return !s.blockedAt.IsZero() }

// modelSession is what a test believes of a session.
type modelSession struct {
	id, device            string
	holder                modelHolder
	generated, remembered bool
	token, previous       string
	previousUntil         time.Time
	supersededSeen        bool
	createdAt, expiresAt  time.Time
	lastActivity          time.Time // as it is written
	opens, checks         int       // as they are written
	used                  modelUse
	code                  string
	codeUntil             time.Time
	codeTried             bool // by somebody else
	ended                 bool
	status                string
	endedAt               time.Time
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
	// stepUp is how long ago a factor may have been verified; 0 for ever.
	stepUp   time.Duration
	sessions []*modelSession
	signIns  map[modelHolder]modelSignIn
	// moments are users': sign-ins that are not remembered and were verified
	// before theirs are blocked.
	moments  map[string]time.Time
	happened []modelActivity
}

// Why the service refuses something, as its answers have it.
const (
	refusedBlocked   = "session_revoked"
	refusedNotThere  = "not_found"
	refusedInvalid   = "invalid_request"
	refusedContested = "contested_device"
	refusedOther     = "other_sign_in"
	refusedActor     = "actor_denied"
	refusedStepUp    = "reverification_required"
)

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

// verifiedBy is when the caller's sign-in was verified: as the token says, or
// else when it was first seen, which is now for one not seen before.
func (m *model) verifiedBy(now time.Time, by modelCaller) time.Time {
	known, seen := m.signIns[by.modelHolder]
	switch {
	case !by.verified.IsZero():
		return by.verified
	case seen:
		return known.firstSeen
	}
	return now
}

// remember notes the caller's sign-in.
func (m *model) remember(now time.Time, by modelCaller) {
	known, seen := m.signIns[by.modelHolder]
	if !seen {
		known = modelSignIn{firstSeen: now}
	}
	if verified := m.verifiedBy(now, by); verified.After(known.verified) {
		known.verified = verified
	}
	m.signIns[by.modelHolder] = known
}

// blocked says whether the caller was signed out.
func (m *model) blocked(by modelCaller) bool {
	if known, seen := m.signIns[by.modelHolder]; seen {
		return known.blocked()
	}
	return !by.verified.IsZero() && by.verified.Before(m.moments[by.user])
}

// protected says whether a sign-in is safe from one that was verified then.
func (m *model) protected(now time.Time, of modelHolder, verified time.Time) bool {
	known := m.signIns[of]
	return of.actor == "" && !known.blocked() && known.verified.After(verified) && now.Sub(known.verified) <= modelProtection
}

// steppedUp says whether the caller may do what is sensitive.
func (m *model) steppedUp(now time.Time, by modelCaller) bool {
	return m.stepUp == 0 || (by.actor == "" && !by.verified.IsZero() && now.Sub(by.verified) < m.stepUp)
}

// of are the active sessions of a user, past their time or not.
func (m *model) of(user string) (active []*modelSession) {
	for _, s := range m.sessions {
		if s.holder.user == user && !s.ended {
			active = append(active, s)
		}
	}
	return active
}

// current is the active session that a request for device continues, or has to
// make room on it, whichever sign-in holds it.
func (m *model) current(by modelHolder, device string) *modelSession {
	for _, s := range m.of(by.user) {
		if s.holder.actor == by.actor && ((device != "" && s.device == device) || (device == "" && s.generated && s.holder == by)) {
			return s
		}
	}
	return nil
}

// rival is another sign-in's session whose place the request takes: that on the
// device, or, without a device, that whose token it shows.
func (m *model) rival(now time.Time, by modelHolder, device, shown string) *modelSession {
	for _, s := range m.of(by.user) {
		place := (device != "" && s.device == device) || (device == "" && shown != "" && s.token == shown)
		if place && s.holder.actor == by.actor && s.holder != by && s.live(now) {
			return s
		}
	}
	return nil
}

// contest says why the caller does not get the rival's place; nothing when it
// does.
func (m *model) contest(now time.Time, by modelCaller, rival *modelSession) (refused string) {
	verified := m.verifiedBy(now, by)
	switch {
	case !rival.lastUse().After(verified): // left over
		return ""
	case verified.Before(m.signIns[rival.holder].verified):
		m.note(now, by.user, "anomaly")
		return refusedContested
	case !m.steppedUp(now, by):
		return refusedStepUp
	}
	return ""
}

// open says what opening must do: an outcome and a session, or why it refuses.
func (m *model) open(now time.Time, by modelCaller, device, shown string, remember *bool) (outcome string, s *modelSession, refused string) {
	if m.blocked(by) {
		return "", nil, refusedBlocked
	}
	current, rival := m.current(by.modelHolder, device), m.rival(now, by.modelHolder, device, shown)
	if rival != nil {
		if refused := m.contest(now, by, rival); refused != "" {
			return "", nil, refused
		}
	}
	outcome = "created"
	var expiresAt time.Time
	remembered := rival != nil && rival.remembered
	if current != nil && current != rival && current.live(now) {
		outcome, remembered, expiresAt = m.carryOn(now, current, remember)
		remembered = remembered || (outcome == "created" && rival != nil && rival.remembered)
	}
	if outcome == "created" {
		if s, refused = m.create(now, by, device, current, rival, remembered, remember); refused != "" {
			return "", nil, refused
		}
		m.remember(now, by)
	} else {
		s = current
		if m.continued(now, s, outcome, remembered, expiresAt) || rival != nil {
			m.remember(now, by)
		}
	}
	if rival != nil {
		m.finish(now, rival, "revoked", "revoked")
	}
	return outcome, s, ""
}

// carryOn says what becomes of a session that lives.
func (m *model) carryOn(now time.Time, s *modelSession, remember *bool) (outcome string, remembered bool, expiresAt time.Time) {
	if s.holder.actor != "" {
		return "reused", false, s.expiresAt
	}
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
		return "created", s.remembered, time.Time{}
	}
	return outcome, remembered, expiresAt
}

// continued goes on with a session, and reports whether that is written.
func (m *model) continued(now time.Time, s *modelSession, outcome string, remembered bool, expiresAt time.Time) (written bool) {
	written = s.remembered != remembered || outcome == "refreshed"
	if outcome == "refreshed" {
		m.note(now, s.holder.user, "refreshed")
		s.previous, s.previousUntil, s.supersededSeen = s.token, now.Add(modelGrace), false
	}
	if written {
		s.lastActivity = now
	}
	s.expiresAt, s.remembered = expiresAt, remembered
	s.use(now, 1, 0)
	return written
}

// create makes a session, and room for it.
func (m *model) create(now time.Time, by modelCaller, device string, current, rival *modelSession, remembered bool, remember *bool) (s *modelSession, refused string) {
	if remember != nil {
		remembered = *remember
	}
	var stale, live []*modelSession
	for _, s := range m.of(by.user) {
		switch {
		case s == rival:
		case s == current || !s.live(now):
			stale = append(stale, s)
		case s.holder.actor == by.actor:
			live = append(live, s)
		}
	}
	excess := m.excess(now, by.modelHolder, live)
	for _, s := range excess {
		if s.holder != by.modelHolder && now.Sub(s.lastUse()) < modelUnused && !m.steppedUp(now, by) {
			return nil, refusedStepUp
		}
	}
	for _, s := range stale {
		m.finish(now, s, "expired", "expired")
	}
	for _, s := range excess {
		m.finish(now, s, "revoked", "limit")
	}
	m.note(now, by.user, "created")
	lasts := termsOf(remembered).duration
	if by.actor != "" {
		remembered, lasts = false, modelActors
	}
	s = &modelSession{holder: by.modelHolder, device: device, generated: device == "", createdAt: now, lastActivity: now, opens: 1, remembered: remembered, expiresAt: now.Add(lasts)}
	m.sessions = append(m.sessions, s)
	return s, ""
}

// excess are those of the user's, or of the actor's, that are too many: the
// unused ones first, then the caller's own, then others', the least recently used of
// each first.
func (m *model) excess(now time.Time, by modelHolder, live []*modelSession) []*modelSession {
	most := modelMost
	if by.actor != "" {
		most = modelActorsMost
	}
	rank := func(s *modelSession) int {
		switch {
		case now.Sub(s.lastUse()) >= modelUnused:
			return 0
		case s.holder == by:
			return 1
		}
		return 2
	}
	slices.SortFunc(live, func(a, b *modelSession) int {
		return cmp.Or(rank(a)-rank(b), a.lastUse().Compare(b.lastUse()), a.createdAt.Compare(b.createdAt), cmp.Compare(a.id, b.id))
	})
	return live[:max(0, len(live)+1-most)]
}

// finish ends a session for another's sake, and writes how it was used.
func (m *model) finish(now time.Time, s *modelSession, status, what string) {
	s.lastActivity = s.lastUse()
	s.end(status, now)
	m.note(now, s.holder.user, what)
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
			m.note(now, s.holder.user, "anomaly")
		}
	}
	return false
}

// sees says whether a session is one of the caller's.
func sees(by modelHolder, s *modelSession) bool {
	return s != nil && s.holder.user == by.user && (by.actor == "" || s.holder.actor == by.actor)
}

// revoke signs one session out, and the sign-in that holds it or held it, if
// that is another's.
func (m *model) revoke(now time.Time, by modelCaller, s *modelSession) (refused string) {
	switch {
	case m.blocked(by):
		return refusedBlocked
	case !sees(by.modelHolder, s):
		return refusedNotThere
	}
	_, refused = m.signOut(now, by, m.one(by.modelHolder, s), true)
	return refused
}

// one is what there is to sign out for one session.
func (m *model) one(by modelHolder, s *modelSession) (out modelSignOut) {
	if !s.ended {
		out.ends = append(out.ends, s)
	}
	if s.holder != by && !m.signIns[s.holder].blocked() {
		out.blocks = append(out.blocks, s.holder)
	}
	return out
}

// revokeAll signs out all sessions, or all but one, and all sign-ins but the
// caller's and the kept session's.
func (m *model) revokeAll(now time.Time, by modelCaller, keep *modelSession) (ended int, refused string) {
	if m.blocked(by) {
		return 0, refusedBlocked
	}
	if keep != nil && (!sees(by.modelHolder, keep) || !keep.live(now)) {
		return 0, refusedNotThere
	}
	var out modelSignOut
	for _, s := range m.of(by.user) {
		if sees(by.modelHolder, s) && s != keep {
			out.ends = append(out.ends, s)
		}
	}
	for holder, known := range m.signIns {
		mine := holder.user == by.user && (by.actor == "" || holder.actor == by.actor)
		if mine && !known.blocked() && holder != by.modelHolder && (keep == nil || holder != keep.holder) {
			out.blocks = append(out.blocks, holder)
		}
	}
	if by.actor == "" {
		out.moment = latest(m.verifiedBy(now, by), now.Add(-modelProtection))
	}
	return m.signOut(now, by, out, true)
}

// adminRevoke and adminRevokeAll are what an admin does, who is somebody else:
// nobody is protected.
func (m *model) adminRevoke(now time.Time, admin modelCaller, s *modelSession) {
	_, _ = m.signOut(now, admin, m.one(admin.modelHolder, s), false)
}

func (m *model) adminRevokeAll(now time.Time, admin modelCaller, user string) (ended int) {
	out := modelSignOut{user: user, ends: m.of(user), moment: now.Add(-modelSlack)}
	for holder, known := range m.signIns {
		if holder.user == user && !known.blocked() {
			out.blocks = append(out.blocks, holder)
		}
	}
	ended, _ = m.signOut(now, admin, out, false)
	return ended
}

// modelSignOut is what somebody wants to end.
type modelSignOut struct {
	ends   []*modelSession
	blocks []modelHolder
	moment time.Time
	user   string
}

// signOut ends and blocks. Users neither reach a sign-in that is protected from
// theirs, nor another at all without step-up.
func (m *model) signOut(now time.Time, by modelCaller, out modelSignOut, bound bool) (ended int, refused string) {
	if bound {
		verified, others := m.verifiedBy(now, by), !out.moment.IsZero()
		for _, holder := range out.affects(now) {
			if holder == by.modelHolder {
				continue
			}
			if m.protected(now, holder, verified) {
				return 0, refusedStepUp
			}
			others = true
		}
		if others && !m.steppedUp(now, by) {
			return 0, refusedStepUp
		}
	}
	for _, holder := range out.blocks {
		user := holder.user
		for _, s := range m.of(user) {
			if s.holder == holder && !slices.Contains(out.ends, s) {
				out.ends = append(out.ends, s)
			}
		}
		known := m.signIns[holder]
		if known.firstSeen.IsZero() {
			known = modelSignIn{firstSeen: now, verified: now}
		}
		known.blockedAt = now
		m.signIns[holder] = known
	}
	for _, s := range out.ends {
		if s.live(now) {
			s.end("revoked", now)
			m.note(now, s.holder.user, "revoked")
			ended++
			continue
		}
		s.end("expired", now)
		m.note(now, s.holder.user, "expired")
	}
	if !out.moment.IsZero() {
		m.moments[cmp.Or(out.user, by.user)] = latest(m.moments[cmp.Or(out.user, by.user)], out.moment)
	}
	if bound && (len(out.ends) > 0 || len(out.blocks) > 0 || !out.moment.IsZero()) {
		m.remember(now, by)
	}
	return ended, ""
}

// affects are whose sessions end before their time, and who is blocked.
func (o modelSignOut) affects(now time.Time) []modelHolder {
	holders := slices.Clone(o.blocks)
	for _, s := range o.ends {
		if s.live(now) {
			holders = append(holders, s.holder)
		}
	}
	return holders
}

// mayMove says why somebody may not move sessions at all.
func (m *model) mayMove(now time.Time, by modelCaller) (refused string) {
	switch {
	case by.actor != "":
		return refusedActor
	case m.blocked(by):
		return refusedBlocked
	case !m.steppedUp(now, by):
		return refusedStepUp
	}
	return ""
}

// offer says why the caller gets no code for a session; nothing when it does.
func (m *model) offer(now time.Time, by modelCaller, s *modelSession) (refused string) {
	switch refused := m.mayMove(now, by); {
	case refused != "":
		return refused
	case s.holder.user != by.user || !s.live(now):
		return refusedNotThere
	case s.holder != by.modelHolder:
		return refusedOther
	}
	return ""
}

// claim says what claiming a code must answer, and moves the session.
func (m *model) claim(now time.Time, by modelCaller, code, device string) (moved *modelSession, refused string) {
	if refused := m.mayMove(now, by); refused != "" {
		return nil, refused
	}
	i := slices.IndexFunc(m.sessions, func(s *modelSession) bool { return s.code == code && !s.ended })
	if i < 0 {
		return nil, refusedNotThere
	}
	s := m.sessions[i]
	switch {
	case s.holder.user != by.user:
		if now.Before(s.codeUntil) && !s.codeTried {
			s.codeTried = true
			m.note(now, s.holder.user, "anomaly")
		}
		return nil, refusedNotThere
	case !now.Before(s.codeUntil) || !s.live(now):
		return nil, refusedNotThere
	case s.device == device:
		return nil, refusedInvalid
	}
	there := m.current(modelHolder{user: by.user}, device)
	if there != nil && there.live(now) && there.holder != by.modelHolder {
		if refused := m.contest(now, by, there); refused != "" {
			return nil, refused
		}
	}
	if there != nil {
		m.vacate(now, by.modelHolder, there)
	}
	s.device, s.generated, s.holder, s.code, s.previous = device, false, by.modelHolder, "", ""
	s.lastActivity = now
	s.opens++
	m.note(now, by.user, "transferred")
	m.remember(now, by)
	return s, ""
}

// vacate ends what is on a device to which somebody moves another session.
func (m *model) vacate(now time.Time, by modelHolder, there *modelSession) {
	switch {
	case !there.live(now):
		m.finish(now, there, "expired", "expired")
	case there.holder != by: // replaced
		m.finish(now, there, "revoked", "revoked")
	default:
		m.finish(now, there, "revoked", "transferred")
	}
}

// cleanUp ends what is past its expiry and forgets what is long ago.
func (m *model) cleanUp(now time.Time) {
	for _, s := range m.sessions {
		if !s.ended && !now.Before(s.expiresAt) {
			s.end("expired", now)
			m.note(now, s.holder.user, "expired")
		}
	}
	m.sessions = slices.DeleteFunc(m.sessions, func(s *modelSession) bool {
		return s.ended && s.endedAt.Before(now.Add(-modelRetention))
	})
	m.happened = slices.DeleteFunc(m.happened, func(a modelActivity) bool { return a.at.Before(now.Add(-modelTimeline)) })
	maps.DeleteFunc(m.signIns, func(holder modelHolder, s modelSignIn) bool {
		holds := slices.ContainsFunc(m.of(holder.user), func(held *modelSession) bool { return held.holder == holder })
		return !holds && latest(s.firstSeen, s.verified, s.blockedAt).Before(now.Add(-modelSignIns))
	})
	maps.DeleteFunc(m.moments, func(_ string, at time.Time) bool { return at.Before(now.Add(-modelSignIns)) })
}

// flush writes use.
func (m *model) flush() {
	for _, s := range m.sessions {
		if !s.used.at.IsZero() {
			s.opens, s.checks = s.opens+s.used.opens, s.checks+s.used.checks
			s.lastActivity = s.lastUse()
		}
		s.used = modelUse{}
	}
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

package session

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Event is what a session's own clients are told of it.
type Event string

// The events.
const (
	// EventExpiring means that its clients are to be warned of its end.
	EventExpiring Event = "expiring"
	// EventRefreshed means that it has a new token.
	EventRefreshed Event = "refreshed"
	// EventRevoked means that it ended before its time, or was moved to another
	// device than the client is on.
	EventRevoked Event = "revoked"
	// EventExpired means that its time is up.
	EventExpired Event = "expired"
)

// Ends reports whether nothing can come after the event.
func (e Event) Ends() bool { return e == EventRevoked || e == EventExpired }

// Known is what a client knows of a session. Its text is fit for the id of an
// event: neither a token nor anything that stores keep can be found out from
// it.
type Known struct {
	session ID
	// token and device stand for those that the client takes for the session's.
	token, device uint64
	// warned is the end that the client was warned of, in microseconds since
	// 1970; 0 for none.
	warned int64
	// over means that the client knows of the end.
	over bool
}

// Known is what a client knows that has seen the session as it is, and was not
// warned.
func (s Session) Known() Known {
	return Known{
		session: s.id,
		token:   mark("token", s.id, string(s.credential.Hash[:])),
		device:  mark("device", s.id, s.slot.Device.value),
	}
}

// KnownBy is Known for a client with the token of this hash.
func (s Session) KnownBy(token TokenHash) Known {
	k := s.Known()
	k.token = mark("token", s.id, string(token[:]))
	return k
}

// mark stands for one of a session's values: equal for equal ones, and nothing
// else can be told from it.
func mark(what string, id ID, value string) (n uint64) {
	sum := sha256.Sum256([]byte(what + " " + id.value + " " + value))
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

// Session returns which session it is about.
func (k Known) Session() ID { return k.session }

// Over reports whether the client knows of the session's end.
func (k Known) Over() bool { return k.over }

// Or is what a client knows that says k of the session s and has the token of
// this hash, zero for none: that one may be newer than what it was told.
func (k Known) Or(s Session, token TokenHash) Known {
	if current := s.Known(); s.KnownBy(token) == current {
		k.token = current.token
	}
	return k
}

const base = 36

const knowsEnd = "over"

// String returns what ParseKnown accepts.
func (k Known) String() string {
	if k.over {
		return knowsEnd + "." + k.session.value
	}
	return strings.Join([]string{
		strconv.FormatUint(k.token, base), strconv.FormatUint(k.device, base), strconv.FormatInt(k.warned, base), k.session.value,
	}, ".")
}

var errNotKnown = errors.New("is no text of what a client knows")

// ParseKnown accepts what String returned.
func ParseKnown(text string) (Known, error) {
	if rest, over := strings.CutPrefix(text, knowsEnd+"."); over {
		id, err := ParseID(rest)
		return Known{session: id, over: true}, err
	}
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 4 {
		return Known{}, errNotKnown
	}
	token, err1 := strconv.ParseUint(parts[0], base, 64)
	device, err2 := strconv.ParseUint(parts[1], base, 64)
	warned, err3 := strconv.ParseInt(parts[2], base, 64)
	id, err4 := ParseID(parts[3])
	return Known{session: id, token: token, device: device, warned: warned}, errors.Join(err1, err2, err3, err4)
}

// News is what a client is to be told.
type News struct {
	// Event is empty when there is nothing to tell.
	Event Event
	// Reason is why the session was revoked.
	Reason EndReason
	// Known is what the client knows when it was told.
	Known Known
	// Next is from when on there will be something to tell, if nothing is now
	// and nobody changes the session; never in the past.
	Next time.Time
}

// News says what comes first of what a client of s is to be told at now that
// knows this of it. One that is told so, again and again, hears of each thing
// once: of a rotation, however often it happened, of its end, and of a warning
// for each end that the session's time has.
func (p Policy) News(now time.Time, s Session, known Known) News {
	now, status := now.UTC(), p.StatusAt(now, s)
	fresh := s.Known()
	fresh.warned = known.warned
	over := Known{session: s.id, over: true}
	switch {
	case known.over:
		return News{Known: known, Next: now.Add(forever)}
	case known.device != fresh.device:
		return News{Event: EventRevoked, Reason: EndTransferred, Known: over}
	case status == StatusRevoked:
		return News{Event: EventRevoked, Reason: s.endReason, Known: over}
	case status == StatusExpired:
		return News{Event: EventExpired, Known: over}
	case known.token != fresh.token:
		return News{Event: EventRefreshed, Known: fresh}
	}
	end := p.lastsUntil(s)
	if _, warn := p.Left(now, s); !warn {
		return News{Known: known, Next: earlier(p.idleAt(s, end), end.Add(-p.Warning).Add(time.Microsecond))}
	}
	if known.warned != end.UnixMicro() {
		fresh.warned = end.UnixMicro()
		return News{Event: EventExpiring, Known: fresh}
	}
	return News{Known: known, Next: p.idleAt(s, end)}
}

// forever is longer than any session lives.
const forever = 100 * 365 * day

// idleAt is when the session's time is up if it is not used any more, end if
// it is.
func (p Policy) idleAt(s Session, end time.Time) time.Time {
	if idle := p.terms(s.remembered).IdleTimeout; idle > 0 {
		return earlier(end, s.lastActivityAt.Add(idle))
	}
	return end
}

// NewsSince reports whether s, which was before, may be news to its clients.
func (s Session) NewsSince(before Session) bool {
	return s.status != before.status || s.Known() != before.Known() || !s.expiresAt.Equal(before.expiresAt) || s.remembered != before.remembered
}

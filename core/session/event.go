package session

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Event is a type of event that a session's clients are told.
type Event string

// The events.
const (
	// EventExpiring warns that the session ends soon.
	EventExpiring Event = "expiring"
	// EventRefreshed means that the session has a new token.
	EventRefreshed Event = "refreshed"
	// EventRevoked means that the session was revoked, or transferred away from the
	// client's device.
	EventRevoked Event = "revoked"
	// EventExpired means that the session expired.
	EventExpired Event = "expired"
)

// Ends reports whether no event can follow this one.
func (e Event) Ends() bool { return e == EventRevoked || e == EventExpired }

// Known is the state of a session that a client was last told of. Its text serves as
// the id of a server-sent event: it reveals neither tokens nor stored values.
type Known struct {
	session ID
	// token and device are marks of the session's token and device.
	token, device uint64
	// warned is the expiry that the client was warned of, in microseconds since 1970;
	// 0 when it was not warned.
	warned int64
	// over reports whether the client was told that the session ended.
	over bool
}

// Known returns the current state of s, without a warning.
func (s Session) Known() Known {
	return Known{
		session: s.id,
		token:   mark("token", s.id, string(s.credential.Hash[:])),
		device:  mark("device", s.id, s.slot.Device.value),
	}
}

// KnownBy is Known for a client that has the token with this hash.
func (s Session) KnownBy(token TokenHash) Known {
	k := s.Known()
	k.token = mark("token", s.id, string(token[:]))
	return k
}

// mark returns a one-way digest of one of a session's values. Equal values have
// equal marks.
func mark(what string, id ID, value string) (n uint64) {
	sum := sha256.Sum256([]byte(what + " " + id.value + " " + value))
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

// Session returns the id of the session.
func (k Known) Session() ID { return k.session }

// Over reports whether the client was told that the session ended.
func (k Known) Over() bool { return k.over }

// Or returns the state that a client knows that was last told k and has the token of
// s with this hash, zero for none. The token may be newer than k.
func (k Known) Or(s Session, token TokenHash) Known {
	if current := s.Known(); s.KnownBy(token) == current {
		k.token = current.token
	}
	return k
}

const base = 36

const knowsEnd = "over"

// String returns the text that ParseKnown parses.
func (k Known) String() string {
	if k.over {
		return knowsEnd + "." + k.session.value
	}
	return strings.Join([]string{
		strconv.FormatUint(k.token, base), strconv.FormatUint(k.device, base), strconv.FormatInt(k.warned, base), k.session.value,
	}, ".")
}

var errNotKnown = errors.New("malformed event id")

// ParseKnown parses the text of String.
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

// News is the next event for a client.
type News struct {
	// Event is empty when there is none now.
	Event Event
	// Reason is why the session was revoked.
	Reason EndReason
	// Known is the state that the client knows after the event.
	Known Known
	// Next, set when Event is empty, is when there will be an event if the session
	// does not change until then. It is never in the past.
	Next time.Time
}

// News returns the first event to send at now to a client of s that knows known. A
// client that is sent each News in turn gets one event for all rotations since the
// last, one warning for each expiry, and one for the end of the session.
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

// idleAt returns when s expires if it is not used any more; end is when it expires
// if it is.
func (p Policy) idleAt(s Session, end time.Time) time.Time {
	if idle := p.terms(s.remembered).IdleTimeout; idle > 0 {
		return earlier(end, s.lastActivityAt.Add(idle))
	}
	return end
}

// NewsSince reports whether the change from before to s may cause an event.
func (s Session) NewsSince(before Session) bool {
	return s.status != before.status || s.Known() != before.Known() || !s.expiresAt.Equal(before.expiresAt) || s.remembered != before.remembered
}

package lifecycle

import (
	"context"
	"maps"
	"slices"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// signOut is what is to end.
type signOut struct {
	// ends are active sessions, in any state.
	ends []session.Session
	// blocks are sign-ins, all of whose sessions end, too.
	blocks []session.Holder
	// moment blocks those not seen yet; zero for none.
	moment time.Time
}

// end adds s, if it is active.
func (o *signOut) end(s session.Session) {
	if s.Status() == session.StatusActive {
		o.ends = append(o.ends, s)
	}
}

// block adds a sign-in, unless it is unknown.
func (o *signOut) block(holder session.Holder) {
	if !holder.SignIn.IsZero() && !slices.Contains(o.blocks, holder) {
		o.blocks = append(o.blocks, holder)
	}
}

// affects returns the holders of what is to end before its time, and the
// sign-ins that are to be blocked.
func (o *signOut) affects(now time.Time, policy session.Policy) []session.Holder {
	holders := slices.Clone(o.blocks)
	for _, s := range o.ends {
		if policy.StatusAt(now, s) == session.StatusActive {
			holders = append(holders, s.Holder())
		}
	}
	return holders
}

// one signs out the session with this id, if it was seen, and the sign-in that
// holds it, or held it, if that is another than by.
func one(seen ports.Seen, id session.ID, by session.Holder) (out signOut, _ error) {
	for _, s := range seen.Sessions {
		if s.ID() != id {
			continue
		}
		out.end(s)
		if s.Holder() != by && !seen.HolderBlocked {
			out.block(s.Holder())
		}
	}
	return out, nil
}

// signingOut says in whose name sessions end.
type signingOut struct {
	as     session.EndReason
	detail map[string]string // of the activity
}

// chooser returns what of a user's is to end.
type chooser func(now time.Time, seen ports.Seen) (signOut, error)

// signOut ends what choose returns, and returns how many sessions that were.
// Those whose time is up end as expired and do not count.
func (d Deps) signOut(ctx context.Context, caller access.Caller, scope ports.Scope, how signingOut, choose chooser) (int, error) {
	ended := 0
	scope.By, scope.Settled = caller.Bearer, true
	err := d.Store.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		now := d.Clock.Now()
		out, err := choose(now, seen)
		if err != nil {
			return ports.Changes{}, err
		}
		changes := ports.Changes{Sessions: withHeld(out.ends, seen.Sessions, out.blocks)}
		for i := range changes.Sessions {
			s := &changes.Sessions[i]
			if d.Policy.StatusAt(now, *s) == session.StatusExpired {
				changes.Activity = append(changes.Activity, expire(s, now))
				continue
			}
			ended++
			s.Revoke(how.as, now)
			changes.Activity = append(changes.Activity, record(caller, *s, now, session.ActivityRevoked, maps.Clone(how.detail)))
		}
		changes.Moment = out.moment
		changes.SignIns = block(seen.SignIns, out.blocks, now)
		if caller.User == scope.User && !changes.IsZero() {
			changes.SignIns = append(changes.SignIns, seen.SignIns.See(caller.Bearer, now))
		}
		return changes, nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

// withHeld adds to ends the active sessions that one of holders holds.
func withHeld(ends, seen []session.Session, holders []session.Holder) []session.Session {
	for _, s := range seen {
		held := slices.ContainsFunc(holders, s.HeldBy)
		if held && s.Status() == session.StatusActive && findByID(ends, s.ID()) == nil {
			ends = append(ends, s)
		}
	}
	return ends
}

// block is what is remembered of sign-ins that are blocked at now.
func block(known session.SignIns, holders []session.Holder, now time.Time) []session.SignIn {
	blocks := make([]session.SignIn, len(holders))
	for i, holder := range holders {
		blocks[i] = known.Block(holder, now)
	}
	return blocks
}

// findByID returns the session with this id, nil if it is not there.
func findByID(list []session.Session, id session.ID) *session.Session {
	i := slices.IndexFunc(list, func(s session.Session) bool { return s.ID() == id })
	if i < 0 {
		return nil
	}
	return &list[i]
}

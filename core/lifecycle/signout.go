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

// signingOut says in whose name sessions end.
type signingOut struct {
	as     session.EndReason
	detail map[string]string // of the activity
}

// chooser returns what of a user's is to end.
type chooser func(now time.Time, seen ports.Seen) (session.SignOut, error)

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
		changes := ports.Changes{Sessions: out.Sessions}
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
		changes.Moment = out.Moment
		changes.SignIns = seen.SignIns.Block(now, out.Blocks...)
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

// findByID returns the session with this id, nil if it is not there.
func findByID(list []session.Session, id session.ID) *session.Session {
	i := slices.IndexFunc(list, func(s session.Session) bool { return s.ID() == id })
	if i < 0 {
		return nil
	}
	return &list[i]
}

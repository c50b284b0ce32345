package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// opens are a sign-in's on this replica, and of how many others were told.
type opens struct{ seen, told int }

// tellEach is of how many opens at once others are told: a twentieth of those
// that are normal, so that hardly anybody's open asks anything of them.
func (o *Opener) tellEach() int {
	if o.Counter == nil {
		return 1
	}
	return max(1, o.Rules.Opens.Most/20)
}

// tooOften reports whether the sign-in opens more often than is normal and nobody
// said so yet; then this open is the one that does.
func (o *Opener) tooOften(ctx context.Context, now time.Time, by session.Holder) bool {
	if o.Rules.Opens.Most == 0 {
		return false
	}
	var alone ports.Count
	owed, since := o.opens.see(now, by, func(their *opens) {
		their.seen++
		if their.seen-their.told >= o.tellEach() || their.seen == o.Rules.Opens.Most+1 {
			alone = ports.Count{Before: their.told, After: their.seen}
			their.told = their.seen
		}
	})
	if alone.Before == alone.After {
		return owed
	}
	return o.opens.passes(since, by, alone, func(all ports.SharedCounter, key ports.CounterKey) (ports.Count, error) {
		return all.Add(ctx, key, alone.After-alone.Before)
	}) || owed
}

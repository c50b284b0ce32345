package postgres

import (
	"context"
	"time"

	"github.com/lib/pq"

	"chatkit-session/core/session"
)

// Touch implements ports.UsageStore in one statement, which compares the clocks
// itself. A slow statement counts as clock skew; its uses stay queued for the next
// call.
func (s *Store) Touch(ctx context.Context, uses []session.Use) ([]session.ID, error) {
	rows, err := encode(uses, func(u session.Use) (useRow, error) {
		return useRow{ID: u.Session.String(), At: u.At.UTC(), Opens: u.Opens, Checks: u.Checks, source: newSource(u.Source)}, nil
	})
	if err != nil {
		return nil, err
	}
	var now time.Time
	var texts pq.StringArray
	given := s.clock.Now()
	if err := s.db.QueryRowContext(ctx, touchSQL, rows, given, session.MaxClockSkew.String()).Scan(&now, &texts); err != nil {
		return nil, kinded(err)
	}
	if err := session.CheckClock(now, given, given); err != nil {
		return nil, err
	}
	busy := make([]session.ID, len(texts))
	for i, text := range texts {
		if busy[i], err = session.ParseID(text); err != nil {
			return nil, err
		}
	}
	return busy, nil
}

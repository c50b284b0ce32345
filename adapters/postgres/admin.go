package postgres

import (
	"cmp"
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// OwnerOf implements ports.AdminStore in one statement, or in two if it finds
// nothing.
func (s *Store) OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error) {
	var found struct {
		Owner     string `db:"clerk_user_id"`
		ByBlocked bool   `db:"by_blocked"`
	}
	err := kinded(s.db.GetContext(ctx, &found, ownerOfSQL, append(bearerArgs(by), optionalID(id))...))
	switch {
	case errors.Is(err, session.KindNotFound):
		return session.UserID{}, cmp.Or(s.refuseBlocked(ctx, by), err)
	case err != nil:
		return session.UserID{}, err
	case found.ByBlocked:
		return session.UserID{}, errSignedOut
	}
	return session.ParseUserID(found.Owner)
}

// Stats implements ports.AdminStore. It reads the whole table.
func (s *Store) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	var counts []struct {
		Status    string `db:"status"`
		Count     int    `db:"count"`
		ByBlocked bool   `db:"by_blocked"`
	}
	err := s.db.SelectContext(ctx, &counts, countSQL, append(bearerArgs(by), cutoffArgs(cutoff)...)...)
	switch {
	case err != nil:
		return ports.Stats{}, kinded(err)
	case len(counts) == 0:
		err = s.refuseBlocked(ctx, by)
	case counts[0].ByBlocked:
		err = errSignedOut
	}
	if err != nil {
		return ports.Stats{}, err
	}
	stats := ports.Stats{Sessions: make(map[session.Status]int, len(counts))}
	for _, c := range counts {
		stats.Sessions[session.Status(c.Status)] = c.Count
	}
	var days []struct {
		Day    time.Time `db:"day"`
		Opens  int       `db:"opens"`
		Checks int       `db:"checks"`
	}
	if err := s.db.SelectContext(ctx, &days, daysSQL, since); err != nil {
		return ports.Stats{}, kinded(err)
	}
	for _, d := range days {
		stats.Days = append(stats.Days, ports.Day{Start: d.Day.UTC(), Opens: d.Opens, Checks: d.Checks})
	}
	return stats, nil
}

package sqlite

import (
	"context"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// OwnerOf implements ports.AdminStore.
func (s *Store) OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return session.UserID{}, err
	}
	var owner string
	if err := s.reads.GetContext(ctx, &owner, ownerOfSQL, id.String()); err != nil {
		return session.UserID{}, kinded(err)
	}
	return session.ParseUserID(owner)
}

// Stats implements ports.AdminStore. It reads the whole table.
func (s *Store) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return ports.Stats{}, err
	}
	var counts []struct {
		Status string `db:"status"`
		Count  int    `db:"count"`
	}
	if err := s.reads.SelectContext(ctx, &counts, countSQL, cutoffArgs(cutoff)...); err != nil {
		return ports.Stats{}, kinded(err)
	}
	stats := ports.Stats{Sessions: make(map[session.Status]int, len(counts))}
	for _, c := range counts {
		stats.Sessions[session.Status(c.Status)] = c.Count
	}
	var days []struct {
		Day    int64 `db:"day"`
		Opens  int   `db:"opens"`
		Checks int   `db:"checks"`
	}
	if err := s.reads.SelectContext(ctx, &days, daysSQL, micros(since)); err != nil {
		return ports.Stats{}, kinded(err)
	}
	for _, d := range days {
		stats.Days = append(stats.Days, ports.Day{Start: fromMicros(d.Day), Opens: d.Opens, Checks: d.Checks})
	}
	return stats, nil
}

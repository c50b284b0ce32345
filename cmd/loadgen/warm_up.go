package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"chatkit-session/adapters/postgres/seed"
)

// warmUp opens a session for each user without measuring it, and stores the
// sessions' tokens in the workload.
func (s *workload) warmUp(ctx context.Context, connections int) error {
	s.held = make([]held, s.users.size())
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, connections)
	for w := range errs {
		group.Go(func() {
			p := s.worker(kindReused)
			defer p.conn.close()
			for ctx.Err() == nil && errs[w] == nil {
				i := int(next.Add(1) - 1)
				if i >= s.users.size() {
					return
				}
				s.held[i], errs[w] = p.openSession(ctx, i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("open the users' sessions before the run: %w", err)
		}
	}
	return ctx.Err()
}

func (p *worker) openSession(ctx context.Context, i int) (held, error) {
	got, err := p.conn.do(ctx, p.ask.open(p.users.credential(i), seed.DeviceFresh))
	if err != nil {
		return held{}, err
	}
	opened, err := readOpened(got, p.users.user(i), seed.DeviceFresh)
	return held{opened.Session.ID, opened.Session.Token}, err
}

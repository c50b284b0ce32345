package main

import (
	"errors"
	"fmt"

	"chatkit-session/adapters/system"
	"chatkit-session/core/lifecycle"
)

type cleanupCommand struct{}

// Run cleans up once. It needs only the settings of the database.
func (cleanupCommand) Run(p *process) error {
	c, err := p.databaseSettings()
	if err != nil {
		return err
	}
	clock := system.Clock{}
	s, err := openStore(p.ctx, c, clock)
	if err != nil {
		return err
	}
	done, err := newCleaner(c, s, clock).Clean(p.ctx)
	p.report(done)
	return errors.Join(err, s.Close())
}

func (p *process) report(done lifecycle.Cleaned) {
	_, _ = fmt.Fprintf(p.stdout, "expired %d, purged %d, activity purged %d, sign-ins purged %d\n", done.Expired, done.Purged, done.Activity, done.SignIns)
}

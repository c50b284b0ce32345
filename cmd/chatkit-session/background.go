package main

import (
	"context"
	"log/slog"
	"time"

	"chatkit-session/core/lifecycle"
)

// flushInterval is how often the use of sessions is written.
const flushInterval = 5 * time.Second

// every does task at once and then every interval, until ctx ends; never when
// interval is 0.
func (a *app) every(ctx context.Context, interval time.Duration, task func(context.Context)) {
	if interval == 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		task(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// flush writes how sessions were used.
func (a *app) flush(ctx context.Context) {
	if err := a.usage.Flush(ctx); err != nil && ctx.Err() == nil {
		a.logger.Error("the use of sessions could not be written; it is kept for the next time", "error", err)
	}
}

// lastFlush writes what still waits at shutdown.
func (a *app) lastFlush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	return a.usage.FlushAll(ctx)
}

func (a *app) clean(ctx context.Context) {
	done, err := a.cleaner.Clean(ctx)
	if ctx.Err() != nil {
		return
	}
	if done != (lifecycle.Cleaned{}) {
		a.logger.Info("cleaned up", "expired", done.Expired, "purged", done.Purged, "activity", done.Activity, "signIns", done.SignIns)
	}
	if err != nil {
		a.logger.Error("the clean-up failed", "error", err)
	}
}

func logRelay(logger *slog.Logger, lost error) {
	if lost != nil {
		logger.Warn("replicas do not hear of each other's changes: events come late until they do", "error", lost)
		return
	}
	logger.Info("replicas hear of each other's changes again")
}

func logLease(logger *slog.Logger, c config, remembers bool, inForce time.Duration) {
	if remembers {
		logger.Info("checks are answered from memory", "lease", c.CacheLease.String(), "sessions", c.CacheSessions)
		return
	}
	logger.Warn("checks are not answered from memory: CHATKIT_CACHE_LEASE must be the same on all replicas, or the one in force is not known", "lease", c.CacheLease.String(), "inForce", inForce.String())
}

package main

import (
	"context"
	"log/slog"
	"time"

	"chatkit-session/core/lifecycle"
)

// flushInterval is how often the last activity of sessions is written.
const flushInterval = 5 * time.Second

// every runs task now and then once per interval, until ctx ends. An interval of
// 0 disables the task.
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

// flush writes the last activity of sessions.
func (a *app) flush(ctx context.Context) {
	if err := a.usage.Flush(ctx); err != nil && ctx.Err() == nil {
		a.logger.Error("the last activity of sessions could not be written; the next flush retries it", "error", err)
	}
}

// lastFlush writes the activity that is still pending at shutdown.
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
		a.logger.Error("clean-up failed", "error", err)
	}
}

func logRelay(logger *slog.Logger, lost error) {
	if lost != nil {
		logger.Warn("change notifications between replicas are interrupted: events are delayed until they resume", "error", lost)
		return
	}
	logger.Info("change notifications between replicas have resumed")
}

func logLease(logger *slog.Logger, c config, remembers bool, inForce time.Duration) {
	if remembers {
		logger.Info("token checks use the cache", "lease", c.CacheLease.String(), "sessions", c.CacheSessions)
		return
	}
	logger.Warn("token checks do not use the cache: CHATKIT_CACHE_LEASE differs from the lease in force, or the lease in force is unknown; set the same value on all replicas", "lease", c.CacheLease.String(), "inForce", inForce.String())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/adapters/system"
	"chatkit-session/core/lifecycle"
	"chatkit-session/ports"
)

// cleanupBatch is how many sessions one transaction of the clean-up takes:
// few enough not to hold up anybody, enough for millions in minutes.
const cleanupBatch = 1000

// flushInterval is how often the last activity of sessions is written.
const flushInterval = 5 * time.Second

// store is what the service needs of its database.
type store interface {
	ports.SessionStore
	ports.TokenFinder
	ports.ActivityStore
	ports.SessionCleaner
	ports.StoreProbe
	io.Closer
}

// app is the service, wired.
type app struct {
	config   config
	logger   *slog.Logger
	store    store
	activity *lifecycle.Activity
	cleaner  *lifecycle.Cleaner
	server   *http.Server
}

// assemble opens the store and wires the service. Serving closes the store.
func assemble(ctx context.Context, c config, logger *slog.Logger) (*app, error) {
	opened, err := openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	a, err := wire(c, logger, opened, system.Clock{})
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return a, nil
}

// wire builds the service on a store and a clock.
func wire(c config, logger *slog.Logger, opened store, clock ports.Clock) (*app, error) {
	gate, err := newGate(c, logger, clock)
	if err != nil {
		return nil, err
	}
	activity := lifecycle.NewActivity(opened, c.ActivityResolution)
	handler, err := httpapi.New(httpapi.Config{
		AllowedOrigins:    c.AllowedOrigins,
		TrustedProxies:    c.trustedProxies,
		IntrospectionKeys: c.introspectionKeys,
		RequestTimeout:    c.RequestTimeout,
		Logger:            logger,
	}, httpapi.Core{
		Gate:      gate,
		Opener:    lifecycle.NewOpener(opened, c.keys, system.Identifiers{}, clock, c.policy, c.workflow, activity),
		Lister:    lifecycle.NewLister(opened, clock, c.policy),
		Checker:   lifecycle.NewChecker(opened, clock, c.policy, activity),
		Revoker:   lifecycle.NewRevoker(opened, clock),
		Readiness: lifecycle.NewReadiness(opened, clock),
	})
	if err != nil {
		return nil, err
	}
	return &app{
		config:   c,
		logger:   logger,
		store:    opened,
		activity: activity,
		cleaner:  newCleaner(c, opened, clock),
		server:   httpapi.NewServer(handler, c.RequestTimeout, logger),
	}, nil
}

func newGate(c config, logger *slog.Logger, clock ports.Clock) (*lifecycle.Gate, error) {
	settings := clerk.Config{
		JWTKey:            string(c.ClerkJWTKey),
		SecretKey:         string(c.ClerkSecretKey),
		APIURL:            c.ClerkAPIURL,
		Issuer:            c.ClerkIssuer,
		AuthorizedParties: c.ClerkParties,
		RoleClaims:        c.RoleClaims,
		Clock:             clock,
		Logger:            logger,
	}
	authenticator, err := clerk.NewAuthenticator(settings)
	if err != nil {
		return nil, err
	}
	if c.ClerkSecretKey == "" {
		return lifecycle.NewGate(authenticator, nil, c.accessPolicy, c.defaultRole), nil
	}
	directory, err := clerk.NewDirectory(settings)
	if err != nil {
		return nil, err
	}
	return lifecycle.NewGate(authenticator, directory, c.accessPolicy, c.defaultRole), nil
}

// openStore opens the database, its schema brought up to date.
func openStore(ctx context.Context, c config) (store, error) {
	kind, path, err := databaseKind(c.DatabaseURL)
	if err != nil {
		return nil, err
	}
	if kind == sqliteDatabase {
		return sqlite.Open(ctx, sqlite.Config{Path: path})
	}
	if err := migratePostgres(ctx, c); err != nil {
		return nil, err
	}
	return postgres.Open(ctx, postgres.Config{
		URL:            string(c.DatabaseURL),
		MaxConnections: c.DatabaseMaxConnections,
		Silence:        c.RequestTimeout * 3 / 4, // so that the answer is in time
		Unprepared:     !c.DatabasePrepared,
	})
}

func newCleaner(c config, s store, clock ports.Clock) *lifecycle.Cleaner {
	return lifecycle.NewCleaner(s, clock, c.Retention, cleanupBatch)
}

// serve answers on listener until ctx ends, then stops accepting, finishes
// what is in flight, writes what waits to be written and closes the store.
func (a *app) serve(ctx context.Context, listener net.Listener) error {
	background, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { a.every(background, a.config.CleanupInterval, a.clean) })
	tasks.Go(func() { a.every(background, flushInterval, a.flush) })
	failed := make(chan error, 1)
	go func() { failed <- a.server.Serve(listener) }()

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = a.shutdown(ctx)
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	stop()
	tasks.Wait()
	err = errors.Join(err, a.lastFlush(ctx), a.store.Close())
	a.logger.Info("stopped")
	return err
}

// shutdown lets requests in flight finish.
func (a *app) shutdown(ctx context.Context) error {
	a.logger.Info("stopping", "timeout", a.config.ShutdownTimeout.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("some requests did not finish in time: %w", errors.Join(err, a.server.Close()))
	}
	return nil
}

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

// flush writes what sessions were seen doing.
func (a *app) flush(ctx context.Context) {
	if err := a.activity.Flush(ctx); err != nil && ctx.Err() == nil {
		a.logger.Error("the sessions' last activity could not be written; it is kept for the next time", "error", err)
	}
}

// lastFlush writes what still waits at shutdown.
func (a *app) lastFlush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	return a.activity.Flush(ctx)
}

func (a *app) clean(ctx context.Context) {
	done, err := a.cleaner.Clean(ctx)
	if ctx.Err() != nil {
		return
	}
	if done != (lifecycle.Cleaned{}) {
		a.logger.Info("cleaned up", "expired", done.Expired, "purged", done.Purged)
	}
	if err != nil {
		a.logger.Error("the clean-up failed", "error", err)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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

// store is what the service needs of its database.
type store interface {
	ports.SessionStore
	ports.TokenFinder
	ports.SessionCleaner
	ports.StoreProbe
	io.Closer
}

// app is the service, wired.
type app struct {
	config  config
	logger  *slog.Logger
	store   store
	cleaner *lifecycle.Cleaner
	server  *http.Server
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
	handler, err := httpapi.New(httpapi.Config{
		AllowedOrigins:    c.AllowedOrigins,
		TrustedProxies:    c.trustedProxies,
		IntrospectionKeys: c.introspectionKeys,
		RequestTimeout:    c.RequestTimeout,
		Logger:            logger,
	}, httpapi.Core{
		Gate:      gate,
		Opener:    lifecycle.NewOpener(opened, c.keys, system.Identifiers{}, clock, c.policy, c.workflow),
		Checker:   lifecycle.NewChecker(opened, clock, c.policy),
		Readiness: lifecycle.NewReadiness(opened, clock),
	})
	if err != nil {
		return nil, err
	}
	return &app{
		config:  c,
		logger:  logger,
		store:   opened,
		cleaner: newCleaner(c, opened, clock),
		server:  httpapi.NewServer(handler, c.RequestTimeout, logger),
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
// what is in flight and closes the store.
func (a *app) serve(ctx context.Context, listener net.Listener) error {
	background, stopCleaning := context.WithCancel(ctx)
	cleaned := make(chan struct{})
	go func() {
		defer close(cleaned)
		a.cleanNowAndThen(background)
	}()
	failed := make(chan error, 1)
	go func() { failed <- a.server.Serve(listener) }()

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = a.shutdown(ctx)
	}
	stopCleaning()
	<-cleaned
	err = errors.Join(err, a.store.Close())
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

// cleanNowAndThen cleans up at once and then every interval, until ctx ends.
func (a *app) cleanNowAndThen(ctx context.Context) {
	if a.config.CleanupInterval == 0 {
		return
	}
	ticker := time.NewTicker(a.config.CleanupInterval)
	defer ticker.Stop()
	for {
		a.clean(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
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

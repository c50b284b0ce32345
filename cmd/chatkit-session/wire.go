package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/lease"
	"chatkit-session/adapters/memory"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/adapters/system"
	"chatkit-session/adapters/telemetry"
	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/ports"
)

// store is an open database.
type store interface {
	ports.Store
	io.Closer
}

// assemble opens the store and wires the service. Serving closes the store.
func assemble(ctx context.Context, c config, logger *slog.Logger) (*app, error) {
	clock := system.Clock{}
	opened, err := openStore(ctx, c, clock)
	if err != nil {
		return nil, err
	}
	a, err := wire(ctx, c, logger, opened, clock)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return a, nil
}

// wire builds the service from its settings, a store and a clock.
func wire(ctx context.Context, c config, logger *slog.Logger, opened store, clock ports.Clock) (*app, error) {
	authorizer, err := newAuthorizer(c, logger, clock)
	if err != nil {
		return nil, err
	}
	rates, err := newRates(ctx, c, logger, clock)
	if err != nil {
		return nil, err
	}
	metrics := telemetry.New()
	shared, err := share(ctx, c, logger, opened, rates, clock, metrics)
	if err != nil {
		return nil, errors.Join(err, rates.close())
	}
	deps := lifecycle.Deps{
		Store: shared.leases, Secrets: shared.leases, Sealer: c.keys, IDs: system.Identifiers{}, Clock: clock, Meter: metrics,
		Usage: lifecycle.NewUsageBuffer(opened, clock, c.ActivityResolution), Counter: rates.counter,
		Policy: c.policy, Rules: c.rules, StepUp: access.StepUp{Within: c.StepUpWithin},
	}
	ready := lifecycle.NewReadiness(opened, clock, degradable(metrics, rates, shared)...)
	handler, err := httpapi.New(httpConfig(c, logger, metrics), httpapi.Core{
		Authorizer:    authorizer,
		Opener:        lifecycle.NewOpener(deps, c.workflow),
		Transferrer:   lifecycle.NewTransferrer(deps),
		Lister:        lifecycle.NewLister(shared.store, shared.store, clock, c.policy),
		Watcher:       lifecycle.NewWatcher(deps, shared.news, c.streams),
		Checker:       lifecycle.NewChecker(deps),
		Revoker:       lifecycle.NewRevoker(deps),
		Administrator: lifecycle.NewAdministrator(deps, shared.store),
		Readiness:     ready,
		Limits:        lifecycle.NewLimits(rates.limiter, metrics, clock, c.limits),
		Admission:     lifecycle.NewAdmission(c.MaxInFlight, metrics, clock),
	})
	if err != nil {
		return nil, errors.Join(err, rates.close())
	}
	return &app{
		config:  c,
		logger:  logger,
		store:   opened,
		ready:   ready,
		rates:   rates,
		news:    shared.news,
		leases:  shared.leases,
		usage:   deps.Usage,
		cleaner: newCleaner(c, opened, clock),
		server:  newServer(handler, c, logger),
		metrics: newMetricsServer(metrics, c, logger),

		endStreams: handler.DrainStreams,
	}, nil
}

// httpConfig returns the settings of the HTTP API.
func httpConfig(c config, logger *slog.Logger, metrics *telemetry.Metrics) httpapi.Config {
	return httpapi.Config{
		AllowedOrigins:    c.AllowedOrigins,
		TrustedProxies:    c.trustedProxies,
		IntrospectionKeys: reveal(c.IntrospectionKeys),
		TransferURL:       c.TransferURL,
		StepUpWithin:      c.StepUpWithin,
		NoDocs:            !c.Docs,
		StartPage:         c.startPage,
		RequestTimeout:    c.RequestTimeout,
		Logger:            logger,
		TurnedAway:        metrics.TurnedAway,
	}
}

// newServer returns a server of handler that ends the event streams when it
// shuts down.
func newServer(handler *httpapi.Handler, c config, logger *slog.Logger) *http.Server {
	server := httpapi.NewServer(handler, c.RequestTimeout, c.KeepAlive, logger)
	server.RegisterOnShutdown(handler.EndStreams)
	return server
}

// shared is the state that replicas share, and the means by which they learn of
// each other's changes.
type shared struct {
	store  *lifecycle.Bulkhead
	leases *lease.Cache
	news   *lifecycle.Announcer
}

// share notifies replicas of each other's changes and, if the settings ask for
// it, puts a cache in front of the token checks.
func share(ctx context.Context, c config, logger *slog.Logger, opened store, rates rates, clock ports.Clock, metrics *telemetry.Metrics) (shared, error) {
	relay, err := newRelay(c, rates, opened)
	if err != nil {
		return shared{}, err
	}
	news := lifecycle.NewAnnouncer(relay, func(lost error) { logRelay(logger, lost) })
	bulkhead := lifecycle.NewBulkhead(opened, c.DatabaseMaxConnections, clock)
	sessions := lifecycle.NewAnnouncingStore(bulkhead, news)
	leases, err := lease.New(lease.Config{
		Lease: c.CacheLease, Sessions: c.CacheSessions, Policy: c.policy, Clock: clock, OnLookup: metrics.Looked,
		Registry: opened, MaxLease: longestLease, Trust: c.leaseTrust,
		OnChange: func(remembers bool, inForce time.Duration) { logLease(logger, c, remembers, inForce) },
	}, sessions, bulkhead)
	if err != nil {
		return shared{}, err
	}
	leases.Renew(ctx)
	return shared{bulkhead, leases, news}, nil
}

// newRelay returns the relay of change notifications: Redis if it is set, else
// PostgreSQL. With SQLite there is a single replica, and the relay is nil.
func newRelay(c config, rates rates, opened store) (relay ports.Relay, err error) {
	relay = rates.relay
	if shared, ok := opened.(*postgres.Store); ok && relay == nil {
		relay, err = postgres.NewRelay(shared, string(c.DatabaseDirectURL))
	}
	return relay, err
}

// rates holds the rate limiter and the counters that come with it.
type rates struct {
	limiter ports.RateLimiter
	// parts can degrade: while Redis is down they count in this process alone.
	parts []ports.Degradable
	// relay and counter use Redis; without Redis they are nil.
	relay   ports.Relay
	counter ports.SharedCounter
	close   func() error
}

// degradable returns the parts that can degrade without failing, and registers
// them with the metrics.
func degradable(metrics *telemetry.Metrics, rates rates, shared shared) []ports.Degradable {
	for _, part := range rates.parts {
		metrics.Watch("rate_limit", part)
	}
	metrics.Watch("events", shared.news)
	metrics.Watch("memory", shared.leases)
	return append(slices.Clip(rates.parts), shared.news, shared.leases)
}

// newRates counts in Redis if it is set, else in this process.
func newRates(ctx context.Context, c config, logger *slog.Logger, clock ports.Clock) (rates, error) {
	local := memory.NewLimiter(memory.Config{Clock: clock})
	if c.RedisURL == "" {
		return rates{limiter: local, close: func() error { return nil }}, nil
	}
	client, err := redis.Connect(ctx, redis.Config{URL: string(c.RedisURL), Timeout: c.RedisTimeout, Logger: logger})
	if err != nil {
		return rates{}, err
	}
	shared := redis.NewLimiter(client, local)
	return rates{
		limiter: shared, parts: []ports.Degradable{shared},
		relay: redis.NewRelay(client), counter: redis.NewCounter(client), close: client.Close,
	}, nil
}

const metricsPath = "/metrics"

// newMetricsServer serves the metrics without authentication. Its address must
// be reachable from the operator's network only.
func newMetricsServer(metrics *telemetry.Metrics, c config, logger *slog.Logger) *http.Server {
	routes := http.NewServeMux()
	routes.Handle("GET "+metricsPath, metrics.Handler())
	return httpapi.NewServer(routes, c.RequestTimeout, c.KeepAlive, logger)
}

func newAuthorizer(c config, logger *slog.Logger, clock ports.Clock) (*lifecycle.Authorizer, error) {
	settings := clerk.Config{
		JWTKey:            string(c.ClerkJWTKey),
		SecretKey:         string(c.ClerkSecretKey),
		APIURL:            c.apiURL,
		Issuer:            c.issuer,
		AuthorizedParties: c.parties,
		Audience:          c.ClerkAudience,
		RoleClaims:        c.RoleClaims,
		Remember:          c.ClerkRemember,
		Clock:             clock,
		Logger:            logger,
	}
	authenticator, err := clerk.NewAuthenticator(settings)
	if err != nil {
		return nil, err
	}
	if c.ClerkSecretKey == "" {
		return lifecycle.NewAuthorizer(authenticator, nil, c.accessPolicy, c.defaultRole, c.denied...), nil
	}
	directory, err := clerk.NewDirectory(settings)
	if err != nil {
		return nil, err
	}
	return lifecycle.NewAuthorizer(authenticator, directory, c.accessPolicy, c.defaultRole, c.denied...), nil
}

// openStore applies missing migrations and opens the database.
func openStore(ctx context.Context, c config, clock ports.Clock) (store, error) {
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
		Silence:        c.RequestTimeout * 3 / 4, // leaves time to answer within RequestTimeout
		Unprepared:     !c.DatabasePrepared,
		Clock:          clock,
	})
}

func newCleaner(c config, s store, clock ports.Clock) *lifecycle.Cleaner {
	return lifecycle.NewCleaner(s, clock, lifecycle.Retention{Ended: c.Retention, Activity: c.ActivityRetention, SignIns: c.SignInRetention}, lifecycle.CleanupBatch)
}

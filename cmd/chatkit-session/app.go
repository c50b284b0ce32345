package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
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

// flushInterval is how often the use of sessions is written.
const flushInterval = 5 * time.Second

// store is an open database.
type store interface {
	ports.Store
	io.Closer
}

// app is the service, wired.
type app struct {
	config  config
	logger  *slog.Logger
	store   store
	ready   *lifecycle.Readiness
	rates   rates
	news    *lifecycle.Announcer
	leases  *lease.Cache
	usage   *lifecycle.UsageBuffer
	cleaner *lifecycle.Cleaner
	server  *http.Server
	metrics *http.Server
	// endStreams ends streams of events, evenly within a time.
	endStreams func(within time.Duration)
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

// wire builds the service on a store and a clock.
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
	handler, err := httpapi.New(httpapi.Config{
		AllowedOrigins:    c.AllowedOrigins,
		TrustedProxies:    c.trustedProxies,
		IntrospectionKeys: reveal(c.IntrospectionKeys),
		TransferURL:       c.TransferURL,
		StepUpWithin:      c.StepUpWithin,
		NoDocs:            !c.Docs,
		RequestTimeout:    c.RequestTimeout,
		Logger:            logger,
		TurnedAway:        metrics.TurnedAway,
	}, httpapi.Core{
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

// newServer serves handler, and ends its streams when it shuts down.
func newServer(handler *httpapi.Handler, c config, logger *slog.Logger) *http.Server {
	server := httpapi.NewServer(handler, c.RequestTimeout, c.KeepAlive, logger)
	server.RegisterOnShutdown(handler.EndStreams)
	return server
}

// shared is what replicas have in common, and how they hear of its changes.
type shared struct {
	store  *lifecycle.Bulkhead
	leases *lease.Cache
	news   *lifecycle.Announcer
}

// share lets replicas hear of each other's changes, and checks of tokens go by
// what was read a moment before, if that is wanted.
func share(ctx context.Context, c config, logger *slog.Logger, opened store, rates rates, clock ports.Clock, metrics *telemetry.Metrics) (shared, error) {
	relay, err := newRelay(c, rates, opened)
	if err != nil {
		return shared{}, err
	}
	news := lifecycle.NewAnnouncer(relay, func(lost error) { logRelay(logger, lost) })
	shares := lifecycle.NewBulkhead(opened, c.DatabaseMaxConnections, clock)
	sessions := lifecycle.NewAnnouncingStore(shares, news)
	leases, err := lease.New(lease.Config{
		Lease: c.CacheLease, Sessions: c.CacheSessions, Policy: c.policy, Clock: clock, OnLookup: metrics.Looked,
		Registry: opened, MaxLease: longestLease, Trust: c.leaseTrust,
		OnChange: func(remembers bool, inForce time.Duration) { logLease(logger, c, remembers, inForce) },
	}, sessions, shares)
	if err != nil {
		return shared{}, err
	}
	leases.Renew(ctx)
	return shared{shares, leases, news}, nil
}

func logLease(logger *slog.Logger, c config, remembers bool, inForce time.Duration) {
	if remembers {
		logger.Info("checks are answered from memory", "lease", c.CacheLease.String(), "sessions", c.CacheSessions)
		return
	}
	logger.Warn("checks are not answered from memory: CHATKIT_CACHE_LEASE must be the same on all replicas, or the one in force is not known", "lease", c.CacheLease.String(), "inForce", inForce.String())
}

// rates is what counts how often callers ask.
type rates struct {
	limiter ports.RateLimiter
	// parts may count less well than they should.
	parts []ports.Degradable
	// relay and counter go through what counts; nil where that is in this
	// process.
	relay   ports.Relay
	counter ports.SharedCounter
	close   func() error
}

// degradable are the parts that may do less well than they should, which
// metrics show, too.
func degradable(metrics *telemetry.Metrics, rates rates, shared shared) []ports.Degradable {
	for _, part := range rates.parts {
		metrics.Watch("rate_limit", part)
	}
	metrics.Watch("events", shared.news)
	metrics.Watch("memory", shared.leases)
	return append(slices.Clip(rates.parts), shared.news, shared.leases)
}

// newRates counts in Redis where there is one, and in this process.
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

// newRelay joins replicas by Redis where there is one, or else by the database
// that they share; nil for none.
func newRelay(c config, rates rates, opened store) (relay ports.Relay, err error) {
	relay = rates.relay
	if shared, ok := opened.(*postgres.Store); ok && relay == nil {
		relay, err = postgres.NewRelay(shared, string(c.DatabaseDirectURL))
	}
	return relay, err
}

func logRelay(logger *slog.Logger, lost error) {
	if lost != nil {
		logger.Warn("replicas do not hear of each other's changes: events come late until they do", "error", lost)
		return
	}
	logger.Info("replicas hear of each other's changes again")
}

const metricsPath = "/metrics"

// newMetricsServer is for the operator's network alone: it asks nobody who
// they are.
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

// openStore opens the database, its schema brought up to date.
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
		Silence:        c.RequestTimeout * 3 / 4, // so that the answer is in time
		Unprepared:     !c.DatabasePrepared,
		Clock:          clock,
	})
}

func newCleaner(c config, s store, clock ports.Clock) *lifecycle.Cleaner {
	return lifecycle.NewCleaner(s, clock, lifecycle.Retention{Ended: c.Retention, Activity: c.ActivityRetention, SignIns: c.SignInRetention}, lifecycle.CleanupBatch)
}

// listeners are where the service answers; metrics may be nil.
type listeners struct{ service, metrics net.Listener }

// serve answers until ctx ends, then stops accepting, finishes what is in
// flight, writes what waits to be written and closes the store.
func (a *app) serve(ctx context.Context, on listeners) error {
	background, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { a.every(background, a.config.CleanupInterval, a.clean) })
	tasks.Go(func() { a.every(background, flushInterval, a.flush) })
	// Requests that finish at shutdown are told of, too.
	relaying, fallSilent := context.WithCancel(context.WithoutCancel(ctx))
	defer fallSilent()
	tasks.Go(func() { a.news.Run(relaying) })
	tasks.Go(func() { a.leases.Run(relaying) })
	failed := make(chan error, 2)
	served := 1
	go func() { failed <- a.server.Serve(on.service) }()
	if on.metrics != nil {
		served++
		go func() { failed <- a.metrics.Serve(on.metrics) }()
	}

	var err error
	select {
	case err = <-failed:
		served--
	case <-ctx.Done():
		a.drain(ctx)
	}
	err = errors.Join(err, a.shutdown(ctx), a.metrics.Close())
	for range served {
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	stop()
	fallSilent()
	tasks.Wait()
	err = errors.Join(err, a.lastFlush(ctx), a.close())
	a.logger.Info("stopped")
	return err
}

// drain lets load balancers and clients notice that this replica is about to
// stop.
func (a *app) drain(ctx context.Context) {
	a.ready.Drain()
	a.endStreams(a.config.DrainDelay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainDelay)
	defer cancel()
	<-ctx.Done()
}

// close lets go of what the service works with.
func (a *app) close() error { return errors.Join(a.rates.close(), a.store.Close()) }

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

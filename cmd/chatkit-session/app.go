package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/core/lifecycle"
)

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
	// endStreams ends the event streams, spread evenly over a time.
	endStreams func(within time.Duration)
}

// listenAndServe serves on address until ctx ends. Once it listens, it calls
// started with the actual address.
func listenAndServe(ctx context.Context, c config, logger *slog.Logger, address string, started func(net.Addr)) error {
	a, err := assemble(ctx, c, logger)
	if err != nil {
		return err
	}
	on, err := listen(ctx, address, c.MetricsAddr)
	if err != nil {
		return errors.Join(err, a.close())
	}
	logger.Info("listening", "address", on.service.Addr().String(), "version", version, "store", storeName(c.DatabaseURL))
	if on.metrics != nil {
		logger.Info("metrics", "address", on.metrics.Addr().String(), "path", metricsPath)
	}
	started(on.service.Addr())
	return a.serve(ctx, on)
}

// listeners accept the service's connections. metrics is nil if it is not served.
type listeners struct{ service, metrics net.Listener }

// listen listens on the service's address and, if one is set, on the metrics'.
func listen(ctx context.Context, service, metrics string) (on listeners, err error) {
	how := net.ListenConfig{Control: setUserTimeout}
	if on.service, err = how.Listen(ctx, "tcp", service); err != nil {
		return on, fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	if metrics == "" {
		return on, nil
	}
	if on.metrics, err = how.Listen(ctx, "tcp", metrics); err != nil {
		return on, errors.Join(fmt.Errorf("METRICS_ADDR: %w", err), on.service.Close())
	}
	return on, nil
}

// serve answers requests until ctx ends. Then it shuts down:
//
//  1. /readyz reports that the replica is not ready, for CHATKIT_DRAIN_DELAY,
//     while event streams end one after another.
//  2. The server stops accepting connections and waits for the requests in
//     flight, for CHATKIT_SHUTDOWN_TIMEOUT.
//  3. The background work stops, and the pending activity is written.
//  4. The store and the connection to Redis are closed.
func (a *app) serve(ctx context.Context, on listeners) error {
	background, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { a.every(background, a.config.CleanupInterval, a.clean) })
	tasks.Go(func() { a.every(background, flushInterval, a.flush) })
	// Other replicas must learn of requests that finish during the shutdown, so
	// the relay outlives ctx.
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

// drain gives load balancers and clients time to notice that this replica is
// about to stop.
func (a *app) drain(ctx context.Context) {
	a.ready.Drain()
	a.endStreams(a.config.DrainDelay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainDelay)
	defer cancel()
	<-ctx.Done()
}

// shutdown waits for the requests in flight, and closes their connections after
// ShutdownTimeout.
func (a *app) shutdown(ctx context.Context) error {
	a.logger.Info("stopping", "timeout", a.config.ShutdownTimeout.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("some requests did not finish within CHATKIT_SHUTDOWN_TIMEOUT: %w", errors.Join(err, a.server.Close()))
	}
	return nil
}

// close closes the connection to Redis and the store.
func (a *app) close() error { return errors.Join(a.rates.close(), a.store.Close()) }

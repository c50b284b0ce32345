package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"chatkit-session/adapters/system"
	"chatkit-session/core/lifecycle"
)

type serveCommand struct{}

// Help lists the settings.
func (serveCommand) Help() string {
	var text strings.Builder
	text.WriteString("Settings, from the environment. NAME_FILE names a file that holds NAME's value.\n")
	for _, s := range allSettings() {
		fmt.Fprintf(&text, "\n%s", s.name)
		if s.fallback != "" {
			fmt.Fprintf(&text, " (%s)", s.fallback)
		}
		fmt.Fprintf(&text, "\n%s\n", s.help)
	}
	return text.String()
}

// Run serves until the process is told to stop.
func (serveCommand) Run(p *process) error {
	out := &lines{out: p.stderr}
	defer out.flush()
	c, logger, err := p.settings(out)
	if err != nil {
		return err
	}
	return listenAndServe(p.ctx, c, logger, c.ListenAddr, func(net.Addr) {})
}

// settings reads the environment and logs its warnings to out.
func (p *process) settings(out *lines) (config, *slog.Logger, error) {
	c, warnings, err := parseSettings(p.environ)
	logger := slog.New(prompt{short{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: c.logLevel})}, out})
	for _, warning := range append(warnings, c.unsaid()...) {
		logger.Warn(warning)
	}
	if err == nil && c.RedisURL != "" && !c.given[databaseURL] {
		var wrong mistakes
		wrong.add(databaseURL, errors.New("is not set, and REDIS_URL is: replicas need one PostgreSQL that they share. For one replica, say sqlite:PATH"))
		err = wrong.err()
	}
	return c, logger, err
}

// unsaid are warnings about settings that are not given, and that dev does
// without.
func (c *config) unsaid() []string {
	warnings := c.fallback()
	if len(c.ClerkParties) == 0 {
		warnings = append(warnings, "CLERK_AUTHORIZED_PARTIES is not set: credentials that were issued to any page of the Clerk instance are accepted")
	}
	if c.RateLimitFailures > 0 && len(c.trustedProxies) == 0 {
		warnings = append(warnings, "TRUSTED_PROXIES is not set: behind a proxy all clients count as one for CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE")
	}
	return warnings
}

// listenAndServe serves on address and calls started with the address that it
// got.
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

// listen takes the service's address and, where one is set, the metrics'.
func listen(ctx context.Context, service, metrics string) (on listeners, err error) {
	how := net.ListenConfig{Control: giveUpOnGone}
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

type cleanupCommand struct{}

// Run cleans up once. It needs no setting but the database's.
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

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
)

type serveCommand struct{}

// Help lists the settings.
func (serveCommand) Help() string {
	var text strings.Builder
	text.WriteString("Settings are environment variables. NAME_FILE may be set instead of NAME, to the path of a file that holds the value. Entries of a list are separated by commas.\n")
	group := ""
	for _, s := range allSettings() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&text, "\n%s:\n", group)
		}
		fmt.Fprintf(&text, "\n%s (%s", s.name, s.form)
		if s.fallback != "" {
			fmt.Fprintf(&text, ", default %s", s.fallback)
		}
		fmt.Fprintf(&text, "): %s\n", s.help)
	}
	return text.String()
}

// Run serves until SIGINT or SIGTERM.
func (serveCommand) Run(p *process) error {
	out := &logBuffer{out: p.stderr}
	defer out.flush()
	c, logger, err := p.settings(out)
	if err != nil {
		return err
	}
	return listenAndServe(p.ctx, c, logger, c.ListenAddr, func(net.Addr) {})
}

// settings reads the environment. It returns a logger that writes to out, and
// logs the warnings to it.
func (p *process) settings(out *logBuffer) (config, *slog.Logger, error) {
	c, warnings, err := parseSettings(p.environ)
	logger := slog.New(flushOnWarn{truncate{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: c.logLevel})}, out})
	for _, warning := range append(warnings, c.unsaid()...) {
		logger.Warn(warning)
	}
	if err == nil && c.RedisURL != "" && !c.given[databaseURL] {
		var wrong mistakes
		wrong.add(databaseURL, errors.New("is required with REDIS_URL: replicas must share one PostgreSQL database. For a single replica, set it to sqlite:PATH"))
		err = wrong.err()
	}
	return c, logger, err
}

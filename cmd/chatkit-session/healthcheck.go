package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

type healthcheckCommand struct{}

// Run requests /readyz on this machine, without a proxy.
func (healthcheckCommand) Run(p *process) error {
	address, err := listenAddress(p.environ)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", http.NoBody)
	if err != nil {
		return err
	}
	// Dial the listen address itself: it may contain what a URL cannot, such as
	// an IPv6 zone. Without a host, or with an unspecified one, it is this
	// machine.
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	if response.StatusCode != http.StatusOK {
		_, _ = io.Copy(p.stderr, io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("not ready: %s", response.Status)
	}
	return nil
}

// listenAddress reads only LISTEN_ADDR.
func listenAddress(environ []string) (string, error) {
	const name = "LISTEN_ADDR"
	var kept []string
	for _, pair := range environ {
		if strings.HasPrefix(pair, name+"=") || strings.HasPrefix(pair, name+fileSuffix+"=") {
			kept = append(kept, pair)
		}
	}
	given, wrong := readEnviron(kept)
	var s settings
	wrong.parse(&s, given.values)
	wrong.add(name, checkAddress(s.ListenAddr))
	return s.ListenAddr, wrong.err()
}

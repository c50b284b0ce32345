package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// parseTarget reads the address of the service to ask. Load is an attack on
// whoever did not ask for it: a host that is not this machine must be the
// caller's own, by their word.
func parseTarget(text string, own bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return nil, errors.New("--url must be like http://127.0.0.1:8080")
	}
	if !isLoopback(u.Hostname()) && !own {
		return nil, fmt.Errorf("--url: %q is not this machine: say --i-own-this-host if it is yours", u.Hostname())
	}
	u.Path = ""
	return u, nil
}

// checkDatabase refuses to fill a database elsewhere: it may be the one that a
// product lives on.
func checkDatabase(text string, own bool) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("--database must be like postgres://owner@127.0.0.1/chatkit") // without the cause, which may show a password
	}
	hosts := u.Hostname()
	if given := u.Query().Get("host"); given != "" {
		hosts = given
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host != "" && !strings.HasPrefix(host, "/") && !isLoopback(host) && !own {
			return fmt.Errorf("--database: %q is not this machine: say --i-own-this-host if it is yours, and nobody's sessions are in it", host)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// requireLoopback refuses to listen where others can reach.
func requireLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("--listen: %q is not a loopback address", host)
	}
	return nil
}

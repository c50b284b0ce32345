package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// parseTarget parses the address of the service to measure. Load on somebody
// else's service is an attack, so the caller must confirm that another host is
// their own.
func parseTarget(text string, own bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return nil, errors.New("--url must be like http://127.0.0.1:8080")
	}
	if !isLoopback(u.Hostname()) && !own {
		return nil, fmt.Errorf("--url: %q is not this machine: add --i-own-this-host if it is yours", u.Hostname())
	}
	u.Path = ""
	return u, nil
}

// checkDatabase refuses to fill a database on another machine, which may be a
// production database, unless the caller confirms it.
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
			return fmt.Errorf("--database: %q is not this machine: add --i-own-this-host if it is yours and holds no real sessions", host)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// requireLoopback returns an error unless the address is a loopback address.
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

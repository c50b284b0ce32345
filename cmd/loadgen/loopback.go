package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
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

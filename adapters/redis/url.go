package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// errNotURL contains no part of the URL.
var errNotURL = errors.New("must be like redis://host:6379, rediss://user:password@host:6379/0, redis://one:6379,two:6379 or redis://one:26379,two:26379/0?master=NAME")

func parseURL(text string) (*goredis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := rest[at:end]
	// url.Parse does not support a list of hosts, so it parses the rest without them.
	u, err := url.Parse(scheme + "://" + rest[:at] + rest[end:])
	if err != nil || (scheme != "redis" && scheme != "rediss") || u.Fragment != "" {
		return nil, errNotURL
	}
	options := &goredis.UniversalOptions{Username: u.User.Username()}
	options.Password, _ = u.User.Password()
	if scheme == "rediss" {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // the client verifies each host's name
	}
	if err := parameters(options, u.Query()); err != nil {
		return nil, err
	}
	port := "6379"
	if options.MasterName != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := hostPort(host, port)
		if err != nil {
			return nil, errNotURL
		}
		options.Addrs = append(options.Addrs, address)
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if options.DB, err = strconv.Atoi(database); err != nil || options.DB < 0 {
			return nil, errNotURL
		}
	}
	if options.DB != 0 && options.MasterName == "" && (options.IsClusterMode || len(options.Addrs) > 1) {
		return nil, errors.New("must not name a database: a cluster has only one")
	}
	return options, nil
}

// parameters sets options from a URL's query.
func parameters(options *goredis.UniversalOptions, given url.Values) (err error) {
	for name, values := range given {
		switch {
		case len(values) > 1 || values[0] == "":
			err = errNotURL
		case name == "cluster" && len(given) == 1:
			options.IsClusterMode, err = strconv.ParseBool(values[0])
		case name == "master":
			options.MasterName = values[0]
		case name == "sentinel_password" && given.Has("master"):
			options.SentinelPassword = values[0]
		default:
			err = errNotURL
		}
		if err != nil {
			return fmt.Errorf("%w; the only parameters are cluster=true, or master=NAME and sentinel_password=PASSWORD", errNotURL)
		}
	}
	return nil
}

// hostPort returns the host's address, with port if the host has none.
func hostPort(host, port string) (string, error) {
	if u, err := url.Parse("redis://" + host); err != nil || u.Hostname() == "" || u.Host != host {
		return "", errNotURL
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host += ":" + port
	}
	_, _, err := net.SplitHostPort(host)
	return host, err
}

// CheckURL returns an error if text is no valid Config.URL. The error does not contain
// the URL, which may have a password.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

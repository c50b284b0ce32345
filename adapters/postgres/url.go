package postgres

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/lib/pq"
)

var (
	errNotURL = errors.New("must be postgres://user:password@host/database, with options that PostgreSQL knows")
	errHash   = errors.New("has a #, which ends an address: write it as %23 in a password")
	errAt     = errors.New("has an @ behind its host: write / as %2F, ? as %3F and @ as %40 in a password")
	errMixed  = errors.New("has a socket before other hosts: the driver would encrypt to none of them")
	errBinds  = errors.New("channel_binding must be disable, prefer or require, and require needs TLS")
)

// complete returns config's URL in the form that the driver reads, with what it
// leaves open. No error shows the URL: a part of a password that was not encoded
// may stand anywhere in it.
func complete(config Config) (string, error) {
	u, err := parseURL(config.URL)
	if err != nil {
		return "", err
	}
	query := u.Query()
	if err := bind(query); err != nil {
		return "", err
	}
	if query.Get("sslmode") == "" {
		query.Del("sslmode")
		u.RawQuery = query.Encode()
		mode, err := defaultSSLMode(u.String())
		if err != nil {
			return "", err
		}
		query.Set("sslmode", mode)
	}
	defaults := map[string]string{
		"application_name": "chatkit-session",
		"connect_timeout":  connectTimeout,
	}
	if config.Unprepared {
		defaults["binary_parameters"] = "yes" // a statement and its values go in one message
	}
	for name, value := range defaults {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), checkSockets(u.String())
}

// parseURL reads a URL as PostgreSQL's own clients do
// (https://www.postgresql.org/docs/current/libpq-connect.html): of several hosts,
// each with a port of its own, and of a socket's folder with its slashes encoded.
// Hosts and ports are in the query then.
func parseURL(text string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return nil, errNotURL
	}
	if strings.Contains(text, "#") {
		return nil, errHash
	}
	end := strings.IndexAny(rest+"/", "/?")
	authority, tail := rest[:end], rest[end:]
	path, options, _ := strings.Cut(tail, "?")
	if strings.Contains(path, "@") || (strings.Contains(options, "@") && !strings.Contains(authority, "@")) {
		return nil, errAt
	}
	at := strings.LastIndexByte(authority, '@')
	hosts := authority[at+1:]
	u, err := url.Parse("postgres://" + tail)
	if err != nil {
		return nil, errNotURL
	}
	if at >= 0 {
		if u.User, err = parseUser(authority[:at]); err != nil {
			return nil, errNotURL
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errNotURL
	}
	if hosts != "" {
		if err := addHosts(query, hosts); err != nil {
			return nil, err
		}
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// parseUser reads a user and a password, in which PostgreSQL's own clients take
// any character that ends neither.
func parseUser(text string) (*url.Userinfo, error) {
	name, password, both := strings.Cut(text, ":")
	user, wrong := url.PathUnescape(name)
	secret, err := url.PathUnescape(password)
	if err = errors.Join(wrong, err); err != nil {
		return nil, err
	}
	if !both {
		return url.User(user), nil
	}
	return url.UserPassword(user, secret), nil
}

// defaultPort is that of a host that names none beside one that does.
const defaultPort = "5432"

// addHosts puts the hosts of a URL, and their ports, where the query names none.
func addHosts(query url.Values, text string) error {
	var hosts, ports []string
	named := false
	for one := range strings.SplitSeq(text, ",") {
		host, port := one, ""
		if i := strings.LastIndexByte(one, ':'); i > strings.LastIndexByte(one, ']') {
			host, port = one[:i], one[i+1:]
		}
		if strings.Trim(port, "0123456789") != "" {
			return errNotURL
		}
		name, err := url.PathUnescape(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		if err != nil {
			return errNotURL
		}
		named = named || port != ""
		hosts, ports = append(hosts, name), append(ports, cmp.Or(port, defaultPort))
	}
	if !query.Has("host") {
		query.Set("host", strings.Join(hosts, ","))
	}
	if !query.Has("port") && named {
		query.Set("port", strings.Join(ports, ","))
	}
	return nil
}

// defaultSSLMode is what the environment of PostgreSQL's own clients says (PGSSLMODE).
// Otherwise it encrypts and verifies the server's certificate and name, unless all
// hosts are on this machine, whether the URL names them or the environment (PGHOST).
func defaultSSLMode(text string) (string, error) {
	config, err := pq.NewConfig(text)
	if err != nil {
		return "", errNotURL // without the cause, which may show it
	}
	if config.SSLMode != "" {
		return string(config.SSLMode), nil
	}
	for _, one := range eachHost(config) {
		if !isHere(one) {
			return string(pq.SSLModeVerifyFull), nil
		}
	}
	return string(pq.SSLModeDisable), nil
}

// checkSockets refuses hosts on other machines behind a socket: the driver takes
// the first host's word for whether any is encrypted to, whatever sslmode says.
func checkSockets(dsn string) error {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return errNotURL // without the cause, which may show it
	}
	isSocket := !config.Hostaddr.IsValid() && (strings.HasPrefix(config.Host, "/") || strings.HasPrefix(config.Host, "@"))
	for _, one := range eachHost(config) {
		if isSocket && !isHere(one) {
			return errMixed
		}
	}
	return nil
}

// isHere reports whether a configuration's one host is on this machine.
func isHere(config pq.Config) bool {
	if config.Hostaddr.IsValid() { // then the host's name is looked up nowhere
		return config.Hostaddr.IsLoopback()
	}
	ip := net.ParseIP(config.Host)
	return config.Host == "" || config.Host == "localhost" || strings.HasPrefix(config.Host, "/") || strings.HasPrefix(config.Host, "@") || (ip != nil && ip.IsLoopback())
}

// bind takes channel_binding out of the options: the driver does not know it.
// What it is required against, somebody in the middle, is kept out by verifying
// who the server is.
func bind(query url.Values) error {
	binding := query.Get("channel_binding")
	query.Del("channel_binding")
	switch binding {
	case "", "disable", "prefer":
		return nil
	case "require":
		if mode := query.Get("sslmode"); mode == "disable" || mode == "allow" {
			return errBinds
		}
		query.Set("sslmode", "verify-full")
		return nil
	}
	return errBinds
}

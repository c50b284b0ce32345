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
	errHash   = errors.New("must not contain #: write it as %23 in a password")
	errAt     = errors.New("must not contain @ after the host: in a password write / as %2F, ? as %3F and @ as %40")
	errMixed  = errors.New("has a socket before other hosts: the driver would encrypt to none of them")
	errBinds  = errors.New("channel_binding must be disable, prefer or require; require needs TLS")
)

// complete returns config's URL with default options, in the form that the driver
// reads. No error contains any part of the URL: a password that is not encoded can
// be anywhere in it.
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

// parseURL parses a URL as libpq does
// (https://www.postgresql.org/docs/current/libpq-connect.html): it may name several
// hosts, each with its own port, or a socket's folder with encoded slashes. The
// result has the hosts and ports in its query.
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
	if err := errors.Join(wrong, err); err != nil {
		return nil, err
	}
	if !both {
		return url.User(user), nil
	}
	return url.UserPassword(user, secret), nil
}

// defaultPort is used for a host without a port if another host has one.
const defaultPort = "5432"

// addHosts adds a URL's hosts and ports to the query, unless the query has its own.
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

// defaultSSLMode returns PGSSLMODE if the environment sets it. Otherwise it returns
// "verify-full", or "disable" if all hosts, of the URL or of PGHOST, are on this
// machine.
func defaultSSLMode(text string) (string, error) {
	config, err := pq.NewConfig(text)
	if err != nil {
		return "", errNotURL // without the cause, which may contain the URL
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
		return errNotURL // without the cause, which may contain the URL
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

// bind removes channel_binding from the options, because the driver does not
// support it. It protects against a man in the middle; verifying the server's
// certificate and name does so as well.
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

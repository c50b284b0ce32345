// Package redis lets replicas count together in Redis. What is in there may be
// lost: the service goes on without it, each replica for itself.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says where Redis is.
type Config struct {
	// URL is redis://[user:password@]host[:port][/database], rediss:// over
	// TLS. Several hosts, separated by commas, are nodes of a cluster, and so
	// is one with ?cluster=true. With ?master=NAME they are sentinels, which
	// say where the master of that name is; user and password are its, theirs is
	// in &sentinel_password=, if they want one.
	URL string
	// Timeout is how long Redis may take to answer before it is doubted, and
	// then before it is lost; 0 means DefaultTimeout.
	Timeout time.Duration
	// Retry is after what time a Redis that was lost is tried again, at first;
	// 0 means DefaultRetry.
	Retry time.Duration
	// Logger gets a line when Redis is lost and one when it is back; nil means
	// nowhere.
	Logger *slog.Logger
}

// What a Config means that does not say.
const (
	DefaultTimeout = 50 * time.Millisecond
	DefaultRetry   = 250 * time.Millisecond
)

// inFlight is how many calls ask at once; others wait for their turn here, where
// the wait is not held against Redis.
const inFlight = 16

// spare is how many connections there are besides, for what asks whether Redis
// answers while all others hang.
const spare = 8

// CheckURL reports whether a Config's URL is none. Its error does not show the
// URL, which may hold a password.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// quiet takes the library's own lines out of standard error, where it writes
// whatever the service's logger is.
var quiet = sync.OnceFunc(logging.Disable)

// Connect returns a Client. Redis need not be there: that is said in the log,
// and it is used from when it comes.
func Connect(ctx context.Context, config Config) (*Client, error) {
	options, err := parseURL(config.URL)
	if err != nil {
		return nil, err
	}
	quiet()
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
	}
	if config.Retry == 0 {
		config.Retry = DefaultRetry
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{timeout: config.Timeout, retry: config.Retry, logger: config.Logger, turns: make(chan struct{}, inFlight), heard: make(chan string), lost: make(chan struct{})}
	c.open, c.end = context.WithCancel(context.WithoutCancel(ctx))
	options.ContextTimeoutEnabled = true
	options.DialTimeout, options.DialerRetries = grace, 1
	options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = c.longest(), c.longest(), c.longest()
	options.ConnMaxIdleTime = 4 * time.Minute // some networks forget one after five, and say nothing
	options.PoolSize = 2*inFlight + spare     // as many may be left of those of which nothing is heard any more
	options.MaxRetries = -1                   // as once, for connections of its own
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.redis = goredis.NewUniversalClient(options)
	c.cluster, _ = c.redis.(*goredis.ClusterClient)
	c.redis.AddHook(once{})
	c.counter = redis_rate.NewLimiter(c.redis)
	c.begin(ctx)
	return c, nil
}

// once has no command sent again that was not answered: it may have been
// counted. A cluster's client would do so whatever its MaxRetries. Where a
// cluster says that another node has the key, nothing was counted, and it is
// followed.
type once struct{}

// notAgain is a command that is sent once.
type notAgain struct{ goredis.Cmder }

func (notAgain) NoRetry() bool { return true }

func (once) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (once) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, command goredis.Cmder) error { return next(ctx, notAgain{command}) }
}

func (once) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// keyPrefix tells the service's keys from others in the same database: with
// libraryPrefix, which redis_rate puts before it, all of them begin with
// rate:chatkit:.
const (
	keyPrefix     = "chatkit:"
	libraryPrefix = "rate:"
)

// slot is a key that a cluster keeps on one node, whatever stands around it.
func slot(key string) string { return "{" + strings.NewReplacer("{", "(", "}", ")").Replace(key) + "}" }

// errNotURL shows no part of what it is about.
var errNotURL = errors.New("must be like redis://host:6379, rediss://user:password@host:6379/0 redis://one:6379,two:6379 or redis://one:26379,two:26379/0?master=NAME")

func parseURL(text string) (*goredis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := rest[at:end]
	// What is left is a URL with no host, which url.Parse takes apart: it knows
	// no list of hosts.
	u, err := url.Parse(scheme + "://" + rest[:at] + rest[end:])
	if err != nil || (scheme != "redis" && scheme != "rediss") || u.Fragment != "" {
		return nil, errNotURL
	}
	options := &goredis.UniversalOptions{Username: u.User.Username()}
	options.Password, _ = u.User.Password()
	if scheme == "rediss" {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // for the name of each host
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
		return nil, errors.New("must not name a database: a cluster has one")
	}
	return options, nil
}

// parameters reads a URL's parameters.
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

// hostPort is a host's address, on port unless it says another.
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

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
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says where Redis is.
type Config struct {
	// URL is redis://[user:password@]host[:port][/database], rediss:// over
	// TLS. Several hosts, separated by commas, are nodes of a cluster, and so
	// is one with ?cluster=true.
	URL string
	// Timeout is how long Redis may take to answer before the service goes on
	// without it; 0 means DefaultTimeout.
	Timeout time.Duration
	// Retry is how often a Redis that did not answer is tried again; 0 means
	// DefaultRetry.
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

// dialTimeout bounds a connection's making, which goes on when its caller has
// given up, for the next.
const dialTimeout = time.Second

// Client asks Redis for as long as it answers. After one failure nobody asks it
// again, and so nobody waits for it, until it was found to answer in the
// background.
type Client struct {
	redis          goredis.UniversalClient
	timeout, retry time.Duration
	logger         *slog.Logger

	down atomic.Bool

	// mu guards that no probe starts when the client has closed, which ends
	// open.
	mu     sync.Mutex
	open   context.Context //nolint:containedctx // the client's own life.
	end    context.CancelFunc
	probes sync.WaitGroup
}

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
	options.ContextTimeoutEnabled = true
	options.DialTimeout, options.DialerRetries = dialTimeout, 1
	options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = config.Timeout, config.Timeout, config.Timeout
	options.MaxRetries = -1 // what was counted and not answered would be counted twice
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := &Client{
		redis: goredis.NewUniversalClient(options), timeout: config.Timeout, retry: config.Retry, logger: config.Logger,
	}
	c.open, c.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := c.probe(ctx, "start"); err != nil {
		c.lose("start", err) //nolint:contextcheck // looking for it goes on until Close
	}
	return c, nil
}

// Close ends all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.probes.Wait()
	return c.redis.Close()
}

var errDown = errors.New("redis did not answer before")

// do asks Redis about key, unless it is known not to answer. That ctx ended
// says nothing of Redis.
func (c *Client) do(ctx context.Context, key string, ask func(context.Context) error) error {
	if c.down.Load() {
		return errDown
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := ask(bounded)
	if err != nil && ctx.Err() == nil {
		c.lose(key, err) //nolint:contextcheck // looking for it goes on until Close
	}
	return err
}

// lose goes on without Redis, and looks for it where it was missed.
func (c *Client) lose(key string, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Err() != nil || !c.down.CompareAndSwap(false, true) {
		return
	}
	c.logger.Warn("Redis does not answer: each replica counts for itself until it does", "error", cause)
	c.probes.Go(func() { c.find(key) })
}

// find waits until Redis answers again.
func (c *Client) find(key string) {
	ticker := time.NewTicker(c.retry)
	defer ticker.Stop()
	for {
		select {
		case <-c.open.Done():
			return
		case <-ticker.C:
		}
		if c.probe(c.open, key) == nil {
			c.down.Store(false)
			c.logger.Info("Redis answers again: replicas count together")
			return
		}
	}
}

// probe writes where the key is: a server that only reads would not do. The
// connection may take its time, the answer not.
func (c *Client) probe(ctx context.Context, key string) error {
	connecting, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.write(connecting, key); err != nil {
		return err
	}
	answering, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.write(answering, key)
}

func (c *Client) write(ctx context.Context, key string) error {
	return c.redis.Set(ctx, keyPrefix+"probe:"+slot(key), 1, time.Second).Err()
}

// keyPrefix tells the service's keys from others in the same database.
const keyPrefix = "chatkit:"

// slot is a key that a cluster keeps on one node, whatever stands around it.
func slot(key string) string { return "{" + strings.NewReplacer("{", "(", "}", ")").Replace(key) + "}" }

// errNotURL shows no part of what it is about.
var errNotURL = errors.New("must be like redis://host:6379, rediss://user:password@host:6379/0 or redis://one:6379,two:6379")

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
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := hostPort(host)
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
	for name, values := range u.Query() {
		if options.IsClusterMode, err = strconv.ParseBool(values[0]); err != nil || name != "cluster" {
			return nil, fmt.Errorf("%w; the only parameter is cluster=true", errNotURL)
		}
	}
	if options.DB != 0 && (options.IsClusterMode || len(options.Addrs) > 1) {
		return nil, errors.New("must not name a database: a cluster has one")
	}
	return options, nil
}

// hostPort is a host's address, on Redis' own port unless it says another.
func hostPort(host string) (string, error) {
	if u, err := url.Parse("redis://" + host); err != nil || u.Hostname() == "" || u.Host != host {
		return "", errNotURL
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host += ":6379"
	}
	_, _, err := net.SplitHostPort(host)
	return host, err
}

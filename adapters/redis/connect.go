// Package redis shares rate limits, counters and notifications between replicas.
// Redis may lose all of its data or be unavailable: then each replica counts on its
// own.
package redis

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config configures a Client.
type Config struct {
	// URL is redis://[user:password@]host[:port][/database], or rediss:// for
	// TLS. Several hosts, separated by commas, or ?cluster=true, mean a cluster.
	// With ?master=NAME the hosts are sentinels of that master; user and password
	// are the master's, and &sentinel_password= is the sentinels'.
	URL string
	// Timeout is how long Redis may take to answer a call or a probe, see Client;
	// 0 means DefaultTimeout.
	Timeout time.Duration
	// Retry is the first interval between attempts to find a lost Redis; 0 means
	// DefaultRetry.
	Retry time.Duration
	// Logger receives a line when Redis is lost and one when it is found again. Nil
	// discards them.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	DefaultTimeout = 50 * time.Millisecond
	DefaultRetry   = 250 * time.Millisecond
)

// inFlight is the maximum number of concurrent calls. Others wait for their turn in
// this process, which is no reason to doubt Redis.
const inFlight = 16

// spare is the number of extra connections, for probes while all others hang.
const spare = 8

// quiet disables the library's own log, which it writes to standard error.
var quiet = sync.OnceFunc(logging.Disable)

// Connect returns a Client. If Redis is unavailable, Connect logs that, and the Client
// uses Redis once it answers.
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
	options.ConnMaxIdleTime = 4 * time.Minute // some networks drop idle connections after five, without notice
	options.PoolSize = 2*inFlight + spare     // as many connections may hang while new ones are used
	options.MaxRetries = -1                   // see once
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.redis = goredis.NewUniversalClient(options)
	c.cluster, _ = c.redis.(*goredis.ClusterClient)
	c.redis.AddHook(once{})
	c.counter = redis_rate.NewLimiter(c.redis)
	c.begin(ctx)
	return c, nil
}

// once prevents the library from repeating a command that was not answered, because
// Redis may have counted it. A cluster client would repeat it whatever its
// MaxRetries. It still follows a redirection to another node, which counted nothing.
type once struct{}

// notAgain is a command that is not repeated.
type notAgain struct{ goredis.Cmder }

func (notAgain) NoRetry() bool { return true }

func (once) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (once) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, command goredis.Cmder) error { return next(ctx, notAgain{command}) }
}

func (once) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

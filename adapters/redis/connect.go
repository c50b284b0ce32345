// Package redis lets replicas count together in Redis. What is in there may be
// lost: the service goes on without it, each replica for itself.
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

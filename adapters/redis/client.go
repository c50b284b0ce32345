package redis

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
)

// Client asks Redis for as long as it answers. A call that fails, or is not
// answered in time, is a reason to doubt, not to do without Redis: it may have
// waited for this process. Only when a question of the Client's own is not
// answered either is Redis lost. Then nobody asks it, and so nobody waits for
// it, until it was found to answer in the background.
type Client struct {
	redis          goredis.UniversalClient
	cluster        *goredis.ClusterClient // redis, or nil where it is none
	counter        *redis_rate.Limiter
	timeout, retry time.Duration
	logger         *slog.Logger

	mu sync.Mutex
	// lost is closed while Redis is; when it is found there is another.
	lost chan struct{}
	// turns has one for each call that asks; with each lost, there is another,
	// so that calls of which nothing is heard any more hold nobody up.
	turns chan struct{}
	// doubted says that somebody asks whether Redis answers, or looks for it.
	doubted bool
	// heard gets the key of each call that is answered in time, if somebody
	// doubts.
	heard chan string
	// tries is how often Redis was looked for since it last stayed, and found
	// when it last was found.
	tries int
	found time.Time

	// open ends when the client closes; mu guards that no task starts then.
	open  context.Context //nolint:containedctx // the client's own life.
	end   context.CancelFunc
	tasks sync.WaitGroup
}

// grace is what a call has on top of the timeout until its connection is given
// up for broken. Those who asked have long gone on if Redis is lost; where it is
// not, their call is counted here.
const grace = 3 * time.Second

// longest is for how long a call keeps a connection on which nothing comes.
func (c *Client) longest() time.Duration { return c.timeout + grace }

// connecting bounds what a question has, its connection's making included, which
// goes on when it is over, for the next.
const connecting = time.Second

var (
	errLost   = errors.New("redis did not answer before")
	errSilent = errors.New("redis does not answer in time")
)

// Close ends all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	err := c.redis.Close()
	c.tasks.Wait()
	return err
}

// begin lets connecting take its time, and the answer not.
func (c *Client) begin(ctx context.Context) {
	const key = "start"
	err := c.count(ctx, key)
	if err == nil {
		err = c.confirm(key)
	}
	if err != nil {
		c.lose(key, err)
	}
}

// do asks Redis about key, unless it is known not to answer. While Redis is not
// lost it waits for its turn and for the answer, so that what Redis counts is
// what was allowed, however busy this process is: answered without Redis, a call
// would be one more. Once Redis is lost nobody waits: a connection that breaks
// costs those who wait nothing, a Redis that says nothing five timeouts, and
// those who come after that nothing either. What is left to ctx is shared with
// what its caller has to do then.
//
// That ctx ended says nothing of Redis, and does not break the connection that
// waits for the answer.
func (c *Client) do(ctx context.Context, key string, ask func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, has := ctx.Deadline(); has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	lost, turns := c.state()
	if isClosed(lost) {
		return errLost
	}
	take, answer := turns, make(chan error, 1)
	for {
		select {
		case <-lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		case take <- struct{}{}:
			take = nil // this call has its own
			go func() {
				defer func() { <-turns }()
				answer <- c.ask(ctx, key, ask)
			}()
		case err := <-answer:
			return err
		}
	}
}

// ask doubts when the timeout has passed, also
// when nobody waits for the answer any more.
func (c *Client) ask(ctx context.Context, key string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.longest())
	defer cancel()
	impatient := time.AfterFunc(c.timeout, func() { c.doubt(key) })
	defer impatient.Stop()
	began := time.Now()
	err := ask(ctx)
	if err != nil {
		c.doubt(key)
	} else if time.Since(began) < c.timeout {
		c.hear(key)
	}
	return err
}

// hear tells who doubts that Redis answered about key in time.
func (c *Client) hear(key string) {
	select {
	case c.heard <- key:
	default:
	}
}

// state returns what is closed when Redis is lost, and the turns until then.
func (c *Client) state() (lost <-chan struct{}, turns chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost, c.turns
}

// isLost reports whether Redis is lost.
func (c *Client) isLost() bool {
	lost, _ := c.state()
	return isClosed(lost)
}

func isClosed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// doubt asks where key is whether Redis answers, once for all who doubt at a
// time, and goes on without it if not.
func (c *Client) doubt(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubted || c.open.Err() != nil {
		return
	}
	c.doubted = true
	c.tasks.Go(func() {
		if err := c.confirm(key); err != nil {
			c.lose(key, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.doubted = false
	})
}

// questions is how many are asked of a Redis that says nothing.
const questions = 4

// confirm reports whether Redis answers. One that says nothing is asked again:
// where it is this process or a connection that was held up, the next answer is
// in time, and where Redis is slow none is.
func (c *Client) confirm(key string) (err error) {
	for range questions {
		if err = c.probe(key); !errors.Is(err, errSilent) {
			break
		}
	}
	return err
}

// lose goes on without Redis, and looks for it where it was missed.
func (c *Client) lose(key string, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Err() != nil {
		return
	}
	if c.doubted = true; time.Since(c.found) > steady {
		c.tries = 0
	}
	close(c.lost)
	c.logger.Warn("Redis does not answer: each replica counts for itself until it does", "error", cause)
	c.tasks.Go(func() {
		if c.find(key) {
			c.regain()
		}
	})
}

// regain asks Redis again.
func (c *Client) regain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost, c.turns = make(chan struct{}), make(chan struct{}, inFlight)
	c.doubted, c.found = false, time.Now()
	c.logger.Info("Redis answers again: replicas count together")
}

// steady is after what time a Redis that answers is one that stays.
const steady = time.Minute

// find waits until Redis answers again; it reports whether it does. One that
// comes and goes is looked for at longer and longer intervals, up to eight times
// the first.
func (c *Client) find(key string) bool {
	for ; ; c.tries++ {
		select {
		case <-c.open.Done():
			return false
		case <-time.After(c.retry << min(c.tries, 3)):
		}
		if c.cluster != nil {
			c.cluster.ReloadState(c.open) // another node may have the key now
		}
		if c.probe(key) == nil {
			c.tries++
			return true
		}
	}
}

// beat is how often a silence is measured, late by how much a beat may be late.
const beat, late = 5 * time.Millisecond, 5 * time.Millisecond

// probe reports whether Redis counts where key is, within the timeout. Of that
// time only counts what this process was there to hear: where beats come late,
// it is the scheduler that keeps the answer.
func (c *Client) probe(key string) error {
	answer := make(chan error, 1)
	go func() { answer <- c.count(c.open, key) }()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for silent := time.Duration(0); silent < c.timeout; {
		began := time.Now()
		select {
		case err := <-answer:
			return err
		case other := <-c.heard:
			if c.cluster == nil || other == key {
				return nil
			}
		case <-ticker.C:
			if time.Since(began) < beat+late {
				silent += beat
			}
		}
	}
	return errSilent
}

// often is so much that there always is one, which Redis must write: one that
// only reads would not do.
var often = redis_rate.PerSecond(1000)

// count does what all calls do on keys that are like theirs and on the same node
// of a cluster, so that Redis answers neither without the other.
func (c *Client) count(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+connecting)
	defer cancel()
	if _, err := c.counter.Allow(ctx, keyPrefix+"probe:"+slot(key), often); err != nil {
		return err
	}
	for name, script := range map[string]*goredis.Script{"times": addScript, "things": addDistinctScript} {
		if err := script.Run(ctx, c.redis, []string{libraryPrefix + keyPrefix + "probe:" + name + ":" + slot(key)}, 1, time.Second.Milliseconds()).Err(); err != nil {
			return err
		}
	}
	return nil
}

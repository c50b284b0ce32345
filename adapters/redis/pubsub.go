package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// channel is the channel of PUBLISH. All databases of a Redis server share it.
const channel = keyPrefix + "sessions"

// Relay tells other replicas which sessions changed. It sends with PUBLISH and receives
// with SUBSCRIBE on a dedicated connection. It implements ports.Relay.
type Relay struct{ client *Client }

var _ ports.Relay = (*Relay)(nil)

// NewRelay returns a Relay.
func NewRelay(client *Client) *Relay { return &Relay{client} }

// Send implements ports.Relay.
func (r *Relay) Send(ctx context.Context, ids []session.ID) error {
	return session.Wrap(session.KindUnavailable, r.client.do(ctx, channel, func(ctx context.Context) error {
		return r.client.redis.Publish(ctx, channel, session.JoinIDs(ids)).Err()
	}))
}

// Receive implements ports.Relay. The library's subscription reconnects automatically;
// Receive returns instead, so that the caller knows that messages may be lost.
func (r *Relay) Receive(ctx context.Context, ready func(), heard func(ids []session.ID)) error {
	subscription := r.client.redis.Subscribe(ctx)
	hangUp := func() { _ = subscription.Close() }
	defer hangUp()
	defer context.AfterFunc(ctx, hangUp)()
	if err := subscription.Subscribe(ctx, channel); err != nil {
		return session.Wrap(session.KindUnavailable, err)
	}
	for {
		said, err := subscription.Receive(ctx)
		if err != nil {
			return session.Wrap(session.KindUnavailable, err)
		}
		switch said := said.(type) {
		case *goredis.Subscription:
			ready()
		case *goredis.Message:
			heard(session.SplitIDs(said.Payload))
		}
	}
}

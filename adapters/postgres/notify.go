package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/lib/pq"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// channel is where replicas tell each other of sessions. Each database has its
// own.
const channel = "chatkit_sessions"

// Relay carries between replicas that sessions changed, by NOTIFY in a
// statement of its own on one of the store's connections, and LISTEN on a
// connection that it keeps. It implements ports.Relay.
type Relay struct {
	store  *Store
	dsn    string
	dialer dialer
}

var _ ports.Relay = (*Relay)(nil)

// NewRelay returns a Relay. direct is the URL of the store's database past any
// pooler in transaction mode, through which nothing is heard; empty for the
// store's own.
func NewRelay(store *Store, direct string) (*Relay, error) {
	config := Config{URL: direct}
	if direct == "" {
		config = Config{URL: store.url, Unprepared: store.pooled}
	}
	dsn, err := complete(config)
	if err != nil {
		return nil, err
	}
	if !config.Unprepared {
		// What a replica that stands still does not take in fills the one queue
		// that the server has for all of them.
		dsn += "&tcp_keepalives_idle=" + peerTimeout + "&tcp_user_timeout=" + peerTimeout
	}
	return &Relay{store: store, dsn: dsn}, nil
}

// Send implements ports.Relay.
func (r *Relay) Send(ctx context.Context, ids []session.ID) error {
	_, err := r.store.db.ExecContext(ctx, notifySQL, channel, session.JoinIDs(ids))
	return session.Wrap(session.KindUnavailable, err)
}

// lingers is for how long the driver's listener may live on when nobody
// listens to it any more.
const lingers = 100 * time.Millisecond

var errDisconnected = errors.New("the connection ended")

// Receive implements ports.Relay. The driver's listener would connect again by
// itself; it is given up instead, so that its caller knows.
func (r *Relay) Receive(ctx context.Context, ready func(), heard func(ids []session.ID)) error {
	failed, listening := make(chan error, 1), make(chan error, 1)
	listener := pq.NewDialListener(r.dialer, r.dsn, lingers, lingers, func(_ pq.ListenerEventType, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	defer func() { go hangUp(listener) }() // it may be in the middle of connecting
	go func() { listening <- listener.Listen(channel) }()
	for {
		select {
		case <-ctx.Done():
			return session.Wrap(session.KindUnavailable, ctx.Err())
		case err := <-failed:
			return session.Wrap(session.KindUnavailable, err)
		case err := <-listening:
			if err != nil {
				return session.Wrap(session.KindUnavailable, err)
			}
			ready()
		case said := <-listener.Notify:
			if said == nil { // it connected again
				return session.Wrap(session.KindUnavailable, errDisconnected)
			}
			heard(session.SplitIDs(said.Extra))
		}
	}
}

func hangUp(listener *pq.Listener) {
	_ = listener.Close()
	for range listener.Notify { // until it has ended
	}
}

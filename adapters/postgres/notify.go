package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/lib/pq"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// channel is the channel of NOTIFY. A channel belongs to one database.
const channel = "chatkit_sessions"

// Relay tells other replicas which sessions changed. It sends with NOTIFY, in a
// statement of its own on one of the store's connections, and receives with LISTEN
// on a dedicated connection. It implements ports.Relay.
type Relay struct {
	store  *Store
	dsn    string
	dialer dialer
}

var _ ports.Relay = (*Relay)(nil)

// NewRelay returns a Relay for the store's database. direct is a URL of that
// database that bypasses a pooler in transaction mode, because LISTEN does not work
// through one. If direct is empty, the Relay uses the store's URL.
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
		// The server has one queue of notifications for all replicas, which a
		// stopped replica would fill. So its connection is closed.
		dsn += "&tcp_keepalives_idle=" + peerTimeout + "&tcp_user_timeout=" + peerTimeout
	}
	return &Relay{store: store, dsn: dsn}, nil
}

// Send implements ports.Relay.
func (r *Relay) Send(ctx context.Context, ids []session.ID) error {
	_, err := r.store.db.ExecContext(ctx, notifySQL, channel, session.JoinIDs(ids))
	return session.Wrap(session.KindUnavailable, err)
}

// lingers bounds how long the driver's listener waits before it reconnects, and so
// how long it lives after it is closed.
const lingers = 100 * time.Millisecond

var errDisconnected = errors.New("the connection ended")

// Receive implements ports.Relay. The driver's listener reconnects automatically;
// Receive returns instead, so that the caller knows that messages may be lost.
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
	defer func() { go hangUp(listener) }() // Close waits while the listener connects
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
			if said == nil { // the listener has reconnected
				return session.Wrap(session.KindUnavailable, errDisconnected)
			}
			heard(session.SplitIDs(said.Extra))
		}
	}
}

func hangUp(listener *pq.Listener) {
	_ = listener.Close()
	for range listener.Notify { // until the listener ends
	}
}

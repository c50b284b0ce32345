package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The bounds of a stream of events.
const (
	// maxStreamDuration is when whoever listens must show anew who they are, or up
	// to a quarter of it earlier, so that not all come back at once.
	maxStreamDuration = time.Hour
	// heartbeat keeps proxies from taking a stream for dead, and finds out
	// clients that are.
	heartbeat = 20 * time.Second
	// streamWriteTimeout is how long a client may take to receive something once buffers
	// are full; one that takes longer is dropped.
	streamWriteTimeout = 10 * time.Second
	// reconnectDelay is after how long, at least, a client comes back; four times as
	// long at most.
	reconnectDelay = 2 * time.Second
)

const contentTypeEvents = "text/event-stream"

// WatchSession tells a session's own client what happens to it.
func (s *server) WatchSession(c echo.Context, params api.WatchSessionParams) error {
	request, err := watchRequest(params)
	if err != nil {
		return err
	}
	watch, err := s.Watcher.Watch(c.Request().Context(), callerOf(c), request)
	if err != nil {
		return err
	}
	defer watch.Close()
	ports.ReleaseInFlight(c.Request().Context()) // a stream is no work in flight
	return s.stream(c, watch)
}

func watchRequest(params api.WatchSessionParams) (ports.WatchRequest, error) {
	request := ports.WatchRequest{Token: valueOf(params.XChatKitToken), Last: valueOf(params.LastEventID)}
	switch {
	case request.Token != "":
		return request, nil
	case params.SessionId == nil:
		return request, session.Invalid("sessionId", "is required unless the header X-ChatKit-Token is sent")
	}
	var err error
	request.Session, err = parseID(*params.SessionId)
	return request, err
}

// stream passes on what there is to tell until the session ends, the client is
// gone or too slow, the service stops, or it is time to come back.
func (s *server) stream(c echo.Context, watch ports.Watch) error {
	life := maxStreamDuration - rand.N(maxStreamDuration/4) //nolint:gosec // no secret
	ctx, cancel := context.WithTimeout(unbounded(c), life)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	defer context.AfterFunc(s.draining, func() { time.AfterFunc(s.drainDelay(), cancel) })()
	to, err := beginStream(c)
	if err != nil {
		return err
	}
	defer to.end()
	to.write(fmt.Sprintf("retry: %d\nid: %s\n\n", (reconnectDelay + rand.N(3*reconnectDelay)).Milliseconds(), watch.Known())) //nolint:gosec // no secret
	for ctx.Err() == nil && to.broken == nil {
		event, err := nextWithin(ctx, watch, heartbeat)
		switch {
		case err == nil:
			to.event(event, watch.Known())
			if event.Type.Ends() {
				c.Set(outcomeKey, string(event.Type))
				return nil
			}
		case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
			return err
		case ctx.Err() == nil:
			to.write(":\n\n")
		}
	}
	return nil
}

// share is how long a stream goes on once streams are to end one after the
// other.
func (s *server) drainDelay() time.Duration {
	return rand.N(time.Duration(s.drainWithin.Load()) + 1) //nolint:gosec // no secret
}

// nextWithin is the next event, if there is one within the time.
func nextWithin(ctx context.Context, watch ports.Watch, within time.Duration) (ports.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return watch.Next(ctx)
}

// eventStream is an answer of server-sent events.
type eventStream struct {
	response *echo.Response
	control  *http.ResponseController
	// broken is why no more can be written.
	broken error
}

// beginStream begins the answer, which the connection's own times do not bound.
func beginStream(c echo.Context) (*eventStream, error) {
	s := &eventStream{response: c.Response(), control: http.NewResponseController(c.Response().Writer)}
	// The server's reader would take the end of its time for the client's.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, contentTypeEvents)
	header.Set("X-Accel-Buffering", "no")
	return s, nil
}

// event writes an event after which the client knows this.
func (s *eventStream) event(event ports.Event, known string) {
	data, err := json.Marshal(eventToWire(event))
	if err != nil {
		s.broken = err
		return
	}
	s.write(fmt.Sprintf("event: %s\nid: %s\ndata: %s\n\n", event.Type, known, data))
}

// write lets the client have the text now, or within the time that it has.
func (s *eventStream) write(text string) {
	if s.broken = s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); s.broken != nil {
		return
	}
	if _, s.broken = io.WriteString(s.response, text); s.broken == nil {
		s.broken = s.control.Flush()
	}
}

// end gives the answer's end its time.
func (s *eventStream) end() {
	if s.broken == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)) // the connection ends then
	}
}

func eventToWire(event ports.Event) any {
	found := event.Session
	id, expires, actor := found.ID().String(), api.Time(found.ExpiresAt()), actorToWire(found.Actor())
	switch event.Type {
	case session.EventExpiring:
		return api.SessionExpiring{SessionId: id, Actor: actor, ExpiresAt: expires, ExpiresIn: seconds(event.ExpiresIn)}
	case session.EventRefreshed:
		return api.SessionRefreshed{SessionId: id, Actor: actor, ExpiresAt: expires, RefreshAfter: api.Time(event.RefreshAfter)}
	case session.EventRevoked:
		return api.SessionRevoked{SessionId: id, Actor: actor, Reason: api.EndReason(event.Reason)}
	case session.EventExpired:
	}
	return api.SessionExpired{SessionId: id, Actor: actor}
}

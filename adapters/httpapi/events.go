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

// The bounds of an event stream.
const (
	// maxStreamDuration is when a client must reconnect and authenticate
	// again. A random part of up to a quarter is subtracted, to spread the
	// reconnections.
	maxStreamDuration = time.Hour
	// heartbeat is the interval of comments that keep proxies from closing the
	// stream and detect clients that are gone.
	heartbeat = 20 * time.Second
	// streamWriteTimeout is how long a write may block once buffers are full.
	// A slower client is disconnected.
	streamWriteTimeout = 10 * time.Second
	// reconnectDelay is the minimum delay before a client reconnects. The
	// actual delay is random and up to four times as long.
	reconnectDelay = 2 * time.Second
)

const contentTypeEvents = "text/event-stream"

// WatchSession streams the events of a session to its client.
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

// stream sends events until the session ends, the client is gone or too slow,
// the service stops, or maxStreamDuration has passed.
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

// drainDelay returns how long a stream continues after draining began.
func (s *server) drainDelay() time.Duration {
	return rand.N(time.Duration(s.drainWithin.Load()) + 1) //nolint:gosec // no secret
}

// nextWithin returns the next event, or context.DeadlineExceeded.
func nextWithin(ctx context.Context, watch ports.Watch, within time.Duration) (ports.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return watch.Next(ctx)
}

// eventStream is an answer with server-sent events.
type eventStream struct {
	response *echo.Response
	control  *http.ResponseController
	// broken is the error of the first failed write.
	broken error
}

// beginStream starts the answer without the connection's read and write
// timeouts.
func beginStream(c echo.Context) (*eventStream, error) {
	s := &eventStream{response: c.Response(), control: http.NewResponseController(c.Response().Writer)}
	// Otherwise the server takes an expired read deadline for a closed connection.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, contentTypeEvents)
	header.Set("X-Accel-Buffering", "no")
	return s, nil
}

// event writes an event. known is what the client knows after it.
func (s *eventStream) event(event ports.Event, known string) {
	data, err := json.Marshal(eventToWire(event))
	if err != nil {
		s.broken = err
		return
	}
	s.write(fmt.Sprintf("event: %s\nid: %s\ndata: %s\n\n", event.Type, known, data))
}

// write sends text at once, within streamWriteTimeout.
func (s *eventStream) write(text string) {
	if s.broken = s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); s.broken != nil {
		return
	}
	if _, s.broken = io.WriteString(s.response, text); s.broken == nil {
		s.broken = s.control.Flush()
	}
}

// end bounds the time of the end of the answer.
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

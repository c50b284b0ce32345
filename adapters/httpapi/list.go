package httpapi

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The bounds of a page.
const (
	defaultPage = 20
	largestPage = 100
)

// ListSessions shows a page of the caller's sessions.
func (s *server) ListSessions(c echo.Context, params api.ListSessionsParams) error {
	caller, err := s.admit(c, access.ReadOwn)
	if err != nil {
		return err
	}
	request, err := listRequest(params)
	if err != nil {
		return err
	}
	page, err := s.Lister.List(c.Request().Context(), caller, request)
	if err != nil {
		return err
	}
	answer := api.SessionPage{Sessions: make([]api.ListedSession, len(page.Sessions))}
	for i, listed := range page.Sessions {
		answer.Sessions[i] = listedToWire(listed)
	}
	if !page.Next.ID.IsZero() {
		next := cursor(page.Next)
		answer.NextCursor = &next
	}
	return c.JSON(http.StatusOK, answer)
}

// ShowSession shows one of the caller's sessions.
func (s *server) ShowSession(c echo.Context, id string, params api.ShowSessionParams) error {
	caller, err := s.admit(c, access.ReadOwn)
	if err != nil {
		return err
	}
	parsed, err := parseID("id", id)
	if err != nil {
		return err
	}
	listed, err := s.Lister.Show(c.Request().Context(), caller, parsed, valueOf(params.XChatKitToken))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.ShownSession{Session: listedToWire(listed)})
}

func listRequest(params api.ListSessionsParams) (ports.ListRequest, error) {
	request := ports.ListRequest{Limit: defaultPage, Token: valueOf(params.XChatKitToken)}
	var err error
	if params.Status != nil {
		if request.Status, err = session.ParseStatus(string(*params.Status)); err != nil {
			return request, err
		}
	}
	if params.Limit != nil {
		if request.Limit = *params.Limit; request.Limit < 1 || request.Limit > largestPage {
			return request, session.Invalid("limit", "must be 1 to "+strconv.Itoa(largestPage))
		}
	}
	if params.Cursor != nil {
		request.After, err = parseCursor(*params.Cursor)
	}
	return request, err
}

// cursor writes a position so that clients do not take it for anything.
func cursor(p ports.Position) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.CreatedAt.UnixMicro(), 10) + " " + p.ID.String()))
}

func parseCursor(text string) (ports.Position, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		micros, id, _ := strings.Cut(string(raw), " ")
		var at int64
		if at, err = strconv.ParseInt(micros, 10, 64); err == nil {
			var parsed session.ID
			if parsed, err = session.ParseID(id); err == nil && at > 0 {
				return ports.Position{CreatedAt: time.UnixMicro(at).UTC(), ID: parsed}, nil
			}
		}
	}
	return ports.Position{}, session.Invalid("cursor", "must be the nextCursor of a page")
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// listedToWire is a session as its user sees it in a list: no token is in it.
func listedToWire(listed ports.Listed) api.ListedSession {
	s := listed.Session
	wire := api.ListedSession{
		Id: s.ID().String(), DeviceId: s.Device().String(), UserId: s.User().String(), WorkflowId: s.Workflow().String(),
		Status: api.ListedSessionStatus(listed.Status), Current: listed.Current,
		CreatedAt: api.Time(s.CreatedAt()), LastActivityAt: api.Time(s.LastActivityAt()), ExpiresAt: api.Time(s.ExpiresAt()),
		Metadata: s.Metadata().Tree(),
	}
	if !s.EndedAt().IsZero() {
		ended, reason := api.Time(s.EndedAt()), string(s.EndReason())
		wire.EndedAt, wire.EndReason = &ended, &reason
	}
	return wire
}

package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The bounds of a page.
const (
	defaultPage = 20
	maxPage     = 100
)

// parsePage parses the parameters of every list: the maximum number of items,
// and the position after which the page starts.
func parsePage(limit *api.Limit, after *api.Cursor) (int, ports.Position, error) {
	most := defaultPage
	if limit != nil {
		if most = *limit; most < 1 || most > maxPage {
			return 0, ports.Position{}, session.Invalid("limit", "must be between 1 and "+strconv.Itoa(maxPage))
		}
	}
	if after == nil {
		return most, ports.Position{}, nil
	}
	position, err := parseCursor(*after)
	return most, position, err
}

// nextCursor returns the cursor of the next page, or nil on the last page. It
// is encoded so that clients treat it as opaque.
func nextCursor(p ports.Position) *string {
	if p.ID.IsZero() {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.At.UnixMicro(), 10) + " " + p.ID.String()))
	return &text
}

// parseCursor parses a cursor of nextCursor. It accepts no other spelling.
func parseCursor(text string) (ports.Position, error) {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	micros, id, _ := strings.Cut(string(raw), " ")
	at, err := strconv.ParseInt(micros, 10, 64)
	parsed, wrong := session.ParseID(id)
	position := ports.Position{At: time.UnixMicro(at).UTC(), ID: parsed}
	if err != nil || wrong != nil || at <= 0 || *nextCursor(position) != text {
		return ports.Position{}, session.Invalid("cursor", "must be the nextCursor of another page")
	}
	return position, nil
}

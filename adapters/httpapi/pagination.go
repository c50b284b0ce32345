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

// pageOf reads what every list is asked with: how many a page may have, and
// after what it goes on.
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

// nextCursor writes where the next page goes on so that clients do not take it
// for anything; nil when there is none.
func nextCursor(p ports.Position) *string {
	if p.ID.IsZero() {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.At.UnixMicro(), 10) + " " + p.ID.String()))
	return &text
}

// parseCursor accepts what nextCursor writes, as it writes it.
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

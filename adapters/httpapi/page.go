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
	largestPage = 100
)

// pageOf reads what every list is asked with: how many a page may have, and
// after what it goes on.
func pageOf(limit *api.Limit, after *api.Cursor) (int, ports.Position, error) {
	most := defaultPage
	if limit != nil {
		if most = *limit; most < 1 || most > largestPage {
			return 0, ports.Position{}, session.Invalid("limit", "must be 1 to "+strconv.Itoa(largestPage))
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

func parseCursor(text string) (ports.Position, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		micros, id, _ := strings.Cut(string(raw), " ")
		var at int64
		if at, err = strconv.ParseInt(micros, 10, 64); err == nil {
			var parsed session.ID
			if parsed, err = session.ParseID(id); err == nil && at > 0 {
				return ports.Position{At: time.UnixMicro(at).UTC(), ID: parsed}, nil
			}
		}
	}
	return ports.Position{}, session.Invalid("cursor", "must be the nextCursor of a page")
}

package session

import (
	"strconv"
	"strings"
	"time"
)

// Limit is a maximum number of events per time window. The zero Limit allows any
// number.
type Limit struct {
	Most   int
	Within time.Duration
}

// ParseLimit parses "MOST/WITHIN", such as 10/10m, or "off" for the zero Limit.
func ParseLimit(text string) (Limit, error) {
	if text == "off" {
		return Limit{}, nil
	}
	most, within, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(most)
	d, wrong := time.ParseDuration(within)
	if err != nil || wrong != nil || n < 1 || d <= 0 {
		return Limit{}, Invalid("limit", "must be a number per duration, such as 10/10m, or off")
	}
	return Limit{Most: n, Within: d}, nil
}

// Passed reports whether count exceeds the limit.
func (l Limit) Passed(count int) bool { return l.Most > 0 && count > l.Most }

// rounding is the maximum rounding error of a duration that a store computed.
const rounding = time.Microsecond / 2

// Left returns how many events remain, and when that grows by one, for a limit
// whose events return one by one at even intervals and that is unused again after
// full.
func (l Limit) Left(full time.Duration) (remaining int, next time.Duration) {
	if l.Most == 0 || full <= rounding {
		return l.Most, 0
	}
	interval := l.Interval()
	gone := min(int((full-rounding+interval-1)/interval), l.Most)
	return l.Most - gone, full - time.Duration(gone-1)*interval
}

// Interval returns the time after which one event returns. The limit must not be
// zero.
func (l Limit) Interval() time.Duration { return l.Within / time.Duration(l.Most) }

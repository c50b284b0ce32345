package session

import (
	"strconv"
	"strings"
	"time"
)

// Limit is how often something may happen within a time; the zero Limit is
// never passed.
type Limit struct {
	Most   int
	Within time.Duration
}

// ParseLimit accepts "MOST/WITHIN", such as 10/10m, or "off" for none.
func ParseLimit(text string) (Limit, error) {
	if text == "off" {
		return Limit{}, nil
	}
	most, within, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(most)
	d, wrong := time.ParseDuration(within)
	if err != nil || wrong != nil || n < 1 || d <= 0 {
		return Limit{}, Invalid("limit", "must be a number and a time such as 10/10m, or off")
	}
	return Limit{Most: n, Within: d}, nil
}

// Passed reports whether count is more than the limit allows.
func (l Limit) Passed(count int) bool { return l.Most > 0 && count > l.Most }

// rounding is how much a time that was computed elsewhere may be off.
const rounding = time.Microsecond / 2

// Left says what is left of a limit that comes back evenly, one by one, and is
// whole again after full: how many may still happen at once, and after what
// time one more may.
func (l Limit) Left(full time.Duration) (remaining int, next time.Duration) {
	if l.Most == 0 || full <= rounding {
		return l.Most, 0
	}
	interval := l.Interval()
	gone := min(int((full-rounding+interval-1)/interval), l.Most)
	return l.Most - gone, full - time.Duration(gone-1)*interval
}

// Interval is after what time one more may happen; the limit must not be zero.
func (l Limit) Interval() time.Duration { return l.Within / time.Duration(l.Most) }

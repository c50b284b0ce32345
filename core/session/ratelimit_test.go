package session_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"chatkit-session/core/session"
)

func TestParseLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]session.Limit{
		"off":    {},
		"10/10m": {Most: 10, Within: 10 * time.Minute},
		"1/1ns":  {Most: 1, Within: 1},
	} {
		if got, err := session.ParseLimit(text); err != nil || got != want {
			t.Errorf("ParseLimit(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "10/", "/10m", "0/10m", "-1/10m", "10/0s", "10/-1m", "x/10m", "10/x", "10/10m/1", "OFF", "1.5/1m"} {
		if got, err := session.ParseLimit(text); !errors.Is(err, session.KindInvalid) || got != (session.Limit{}) {
			t.Errorf("ParseLimit(%q) = %v, %v", text, got, err)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	limit := session.Limit{Most: 2, Within: time.Minute}
	passed := ""
	for count := range 6 {
		if limit.Passed(count) {
			passed += fmt.Sprint(count)
		}
		if (session.Limit{}).Passed(count) {
			t.Errorf("the zero Limit is passed at %d", count)
		}
	}
	if passed != "345" {
		t.Errorf("Passed at %s", passed)
	}
}

// The limit is ten a minute; the keys are the times after which it is unused again.
func TestLimit_Left(t *testing.T) {
	t.Parallel()
	limit := session.Limit{Most: 10, Within: time.Minute}
	for full, want := range map[time.Duration]struct {
		remaining int
		next      time.Duration
	}{
		0:                                 {10, 0},
		-time.Second:                      {10, 0},
		time.Microsecond:                  {9, time.Microsecond},
		time.Second:                       {9, time.Second},
		6 * time.Second:                   {9, 6 * time.Second},
		6*time.Second + 100:               {9, 6*time.Second + 100}, // rounded elsewhere
		6*time.Second + time.Microsecond:  {8, time.Microsecond},
		54 * time.Second:                  {1, 6 * time.Second},
		55 * time.Second:                  {0, time.Second},
		60 * time.Second:                  {0, 6 * time.Second},
		66 * time.Second:                  {0, 12 * time.Second}, // of a limit that was larger
		60*time.Second - time.Microsecond: {0, 6*time.Second - time.Microsecond},
	} {
		if remaining, next := limit.Left(full); remaining != want.remaining || next != want.next {
			t.Errorf("Left(%s) = %d, %s; want %d, %s", full, remaining, next, want.remaining, want.next)
		}
	}
	if remaining, next := (session.Limit{}).Left(time.Minute); remaining != 0 || next != 0 {
		t.Errorf("Left of the zero Limit = %d, %s", remaining, next)
	}
}

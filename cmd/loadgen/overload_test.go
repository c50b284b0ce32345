package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgserver"
)

// From scratch and with little of everything: more than the service can answer
// was asked, and opens beside bad checks.
func TestOverload(t *testing.T) {
	t.Parallel()
	if _, err := pgserver.Binary("initdb"); errors.Is(err, pgserver.ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL: %v", err)
	}
	var out strings.Builder
	path := filepath.Join(t.TempDir(), "overload.json")
	err := run(t.Context(), []string{
		"overload", "--chatkit-session", buildService(t), "--users", "12", "--busy", "2", "--connections", "20", "--flood", "10", "--opening", "2",
		"--duration", "100ms", "--no-apart", "--json", path,
	}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got overloaded
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Capacity.Good == 0 || len(got.Rounds) != len(overloads) || got.Rounds[1].RateAsked != 5*got.Capacity.RateReached || got.Rounds[0].Requests == 0 {
		t.Errorf("measured %+v", got)
	}
	if got.Before.Good == 0 || got.During.Good == 0 || got.Flood.Good == 0 || got.Flood.Kind != kindUnknown {
		t.Errorf("of the flood it measured %+v %+v %+v", got.Before, got.During, got.Flood)
	}
}

func TestOverload_Refuses(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"--busy=0", "--connections=10001", "--flood=0", "--opening=-1", "--users=0", "--rate=-1", "--duration=2h"} {
		if err := run(t.Context(), []string{"overload", "--chatkit-session", os.Args[0], wrong}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "must") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestOverloaded_Print(t *testing.T) {
	t.Parallel()
	at := func(rate, p99 float64) report {
		return report{RateReached: rate, Requests: 100, Good: 100, Latency: percentiles{P50: p99 / 2, P99: p99}}
	}
	round := overloadRound{Times: 5, report: at(900, 300), Memory: 100 << 20}
	round.RateAsked, round.Requests, round.Failed = 5000, 500, &percentiles{P99: 40}
	round.Errors = map[string]int64{refusedAtOnce: 390, "no answer in time": 10}
	o := overloaded{Server: "fsync=off", Kind: kindReused, Apart: true, Capacity: at(1000, 20), Rounds: []overloadRound{round}, Before: at(250, 2), During: at(249, 5), Flood: at(700, 1000)}
	o.Flood.Connections, o.During.Requests = 2000, 101
	var out strings.Builder
	if err := o.print(&out); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"open-reused asked/s good/s of capacity good p99 refused p99 failed otherwise memory", "5 times 5000 900 0.90 300 ms 40 ms 10 100 MiB",
		"without 250 0 1.0 ms 2.0 ms 1.00", "with 2000 connections 249 1 2.5 ms 5.0 ms 2.50 700",
		"service and PostgreSQL have half of the processors, the client the other half; PostgreSQL: fsync=off",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

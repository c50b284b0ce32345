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

// From scratch and with little of everything: each hot path was measured on
// both servers, and the clean-up ended all that was due while it was watched.
func TestScale(t *testing.T) {
	t.Parallel()
	if _, err := pgserver.Binary("initdb"); errors.Is(err, pgserver.ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL: %v", err)
	}
	var out strings.Builder
	path := filepath.Join(t.TempDir(), "scale.json")
	err := run(t.Context(), []string{
		"scale", "--chatkit-session", buildService(t), "--few", "20", "--sessions", "400", "--due", "5000",
		"--users", "12", "--connections", "2", "--rounds", "1", "--duration", "100ms", "--durable", "--json", path,
	}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got scaled
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for i, row := range got.Rows {
		if row.Kind != hotPaths[i] || len(row.Few) != 1 || len(row.Many) != 1 || row.Few[0].Good == 0 || row.Many[0].Good == 0 {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	if len(got.Rows) != len(hotPaths) || got.CleanUp == nil || len(got.CleanUp.During) == 0 || len(got.CleanUp.After) != 1 {
		t.Errorf("measured %+v", got)
	}
	const durable = " fsync=on synchronous_commit=on full_page_writes=on "
	if !strings.Contains(out.String(), "it ended 5000 sessions beside 72 in ") || !strings.Contains(out.String(), durable) || !strings.Contains(got.Server, durable) {
		t.Errorf("printed\n%s", out.String())
	}
}

func TestScale_Refuses(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"--rounds=0", "--rounds=101", "--few=-1", "--sessions=100000001", "--due=-1", "--users=0", "--rate=-1", "--duration=2h"} {
		if err := run(t.Context(), []string{"scale", "--chatkit-session", os.Args[0], wrong}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "must") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// Neither of two is always the first.
func TestInTurns(t *testing.T) {
	t.Parallel()
	var did string
	do := func(what string) func() error {
		return func() error { did += what; return nil }
	}
	if err := inTurns(3, do("f"), do("m")); err != nil || did != "fmmffm" {
		t.Errorf("did %s, %v", did, err)
	}
}

func TestScaled_Print(t *testing.T) {
	t.Parallel()
	rates := func(values ...float64) (rounds []report) {
		for _, v := range values {
			rounds = append(rounds, report{RateReached: v, Latency: percentiles{P50: v / 100, P99: v / 10}})
		}
		return rounds
	}
	s := scaled{
		Few: 5, Many: 50, Due: 600, Users: 4, Connections: 3, Server: "fsync=off",
		Rows:    []scaledRow{{kindReused, rates(100, 300, 200), rates(100, 200, 100)}, {kindVerify, rates(100), rates(120)}},
		CleanUp: &cleanUp{Seconds: 3, Before: rates(10, 30, 20), During: rates(60, 10, 50, 40), After: rates(20)},
	}
	var out strings.Builder
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"path         of 5/s  of 50/s  slower  budget", "open-reused  200     100      1.50    1.30    missed", "verify       100     120      0.83    1.30    met",
		"before        3       20          0.20 ms  2.00 ms  1.00       2.00    met", "during        4       45          0.45 ms  4.50 ms  2.25       2.00    missed",
		"it ended 600 sessions beside 5 in 3.0 s, 200/s\n", "4 users ask, ", "; 3 connections\nPostgreSQL: fsync=off\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

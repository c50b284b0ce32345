package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hundred is a stats of 1 ms, 2 ms, … 100 ms, the last two failed.
func hundred() *stats {
	t := newStats()
	for n := 1; n <= 98; n++ {
		t.record(time.Duration(n)*time.Millisecond, nil)
	}
	t.record(99*time.Millisecond, failure("status 503 unavailable"))
	t.record(100*time.Millisecond, failure("status 503 unavailable"))
	return t
}

func TestTally_Percentiles(t *testing.T) {
	t.Parallel()
	for percent, want := range map[float64]float64{50: 49, 90: 88, 99: 97, 99.9: 98} { // of the good ones
		if got := hundred().milliseconds(percent); got < want*0.999 || got > want*1.001 {
			t.Errorf("p%v = %v ms, want %v", percent, got, want)
		}
	}
}

// What no histogram can hold counts as the most or the least that it can.
func TestTally_Extremes(t *testing.T) {
	t.Parallel()
	one := newStats()
	one.record(-time.Second, nil)
	one.record(24*time.Hour, nil)
	if one.latencies.TotalCount() != 2 || one.latencies.Min() != 1 || one.latencies.Max() < slowest.Microseconds() {
		t.Errorf("%d counted, from %d to %d", one.latencies.TotalCount(), one.latencies.Min(), one.latencies.Max())
	}
}

func TestTallies_Sum(t *testing.T) {
	t.Parallel()
	total := (&workerStats{[]*stats{hundred(), hundred()}}).sum()
	if total.good != 196 || total.failed() != 4 || total.errors["status 503 unavailable"] != 4 || total.latencies.TotalCount() != 196 || total.failures.TotalCount() != 4 || total.failures.Max() < 100_000 {
		t.Errorf("sum = %d good, %v", total.good, total.errors)
	}
}

func TestReport_JSON(t *testing.T) {
	t.Parallel()
	r := newReport(hundred(), 2*time.Second)
	r.Kind, r.RateAsked, r.Connections, r.Users = kindVerify, 50, 4, 10
	path := filepath.Join(t.TempDir(), "report.json")
	if err := writeJSON(path, r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"kind": "verify", "rateAsked": 50.0, "rateReached": 49.0, "connections": 4.0, "users": 10.0, "seconds": 2.0, "requests": 100.0, "good": 98.0,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	errs, _ := got["errors"].(map[string]any)
	latency, _ := got["latencyMilliseconds"].(map[string]any)
	if errs["status 503 unavailable"] != 2.0 || len(latency) != 5 || latency["max"] != 98.047 {
		t.Errorf("errors %v, latency %v", errs, latency)
	}
	if failed, _ := got["failedLatencyMilliseconds"].(map[string]any); failed["p50"] != 99.007 || failed["max"] != 100.031 {
		t.Errorf("those that failed: %v", failed)
	}
	if text, err := json.Marshal(newReport(newStats(), time.Second)); err != nil || strings.Contains(string(text), "failedLatency") {
		t.Errorf("without failures: %s, %v", text, err)
	}
}

func TestReport_Print(t *testing.T) {
	t.Parallel()
	r := newReport(hundred(), 2*time.Second)
	r.Kind, r.Connections, r.Users = kindVerify, 4, 10
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"verify: 49.0/s good, as fast as answered, 4 connections, 10 users, 2.0 s\n", "requests  100, 2 failed\n", "latency   p50 49.0", "failed    p50 99.0", "error     2 × status 503 unavailable\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		newProgress(&out).follow(ctx, "list", &workerStats{[]*stats{hundred()}})
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "list   1 s      98 good/s  2 failed") || !strings.HasPrefix(lines[1], "list   2 s       0 good/s") {
			t.Errorf("progress:\n%s", out.String())
		}
	})
}

// On a terminal each line takes the last one's place.
func TestProgress_Lives(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := progress{&out, true}
	p.say("one")
	p.say("two")
	p.end()
	if got := out.String(); got != "\r\x1b[Kone\r\x1b[Ktwo\n" {
		t.Errorf("wrote %q", got)
	}
}

func TestComparison(t *testing.T) {
	t.Parallel()
	pair := func(floor, service float64) roundPair {
		return roundPair{round{report: report{RateReached: floor, Good: 1}}, round{report: report{RateReached: service, Good: 1}}}
	}
	c := comparison{Sessions: 5, Users: 4, Connections: 3, Rows: []comparedRow{
		{kindReused, "", 0.7, []roundPair{pair(1000, 900), pair(2000, 500), pair(1000, 800)}},
		{kindVerify, "from memory", 0.75, []roundPair{pair(1000, 600), pair(1000, 800)}},
	}, Services: []comparedService{{"", "", 32 << 20}, {"from memory", "", 65 << 20}}}
	var out strings.Builder
	if err := c.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"open-reused          1000     800        0.80   0.70    met", "verify, from memory  1000     700        0.70   0.75    missed", "each was asked about 875.0 times here",
		"as it is     32.0 MiB     64 MiB  met", "from memory  65.0 MiB     64 MiB  missed",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	wrong := pair(1, 1)
	wrong.Service.Errors = map[string]int64{"status 500": 1}
	if pair(1, 1).check() != nil || wrong.check() == nil {
		t.Error("a round with errors counts, or one without does not")
	}
}

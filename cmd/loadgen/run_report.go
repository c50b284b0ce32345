package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report is the outcome of a run. Its latencies are in milliseconds, from when
// each request was due.
type report struct {
	Kind        string           `json:"kind"`
	RateAsked   float64          `json:"rateAsked,omitempty"` // absent in a closed loop
	RateReached float64          `json:"rateReached"`         // successful requests per second
	Connections int              `json:"connections"`
	Users       int              `json:"users"`
	Seconds     float64          `json:"seconds"`
	Requests    int64            `json:"requests"`
	Good        int64            `json:"good"`
	Errors      map[string]int64 `json:"errors"`              // by status and code, or by what was wrong with the answer
	Latency     percentiles      `json:"latencyMilliseconds"` // of successful requests
	Failed      *percentiles     `json:"failedLatencyMilliseconds,omitempty"`
}

type percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func newReport(total *stats, took time.Duration) report {
	r := report{
		Seconds: took.Seconds(), RateReached: float64(total.good) / took.Seconds(),
		Requests: total.good + total.failed(), Good: total.good, Errors: total.errors,
		Latency: percentilesOf(total.latencies),
	}
	if total.failures != nil {
		failed := percentilesOf(total.failures)
		r.Failed = &failed
	}
	return r
}

func percentilesOf(of *hdrhistogram.Histogram) percentiles {
	at := func(percent float64) float64 { return float64(of.ValueAtPercentile(percent)) / 1000 }
	return percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(of.Max()) / 1000}
}

// milliseconds returns a percentile of the latencies of successful requests.
func (t *stats) milliseconds(percent float64) float64 {
	return float64(t.latencies.ValueAtPercentile(percent)) / 1000
}

func (p percentiles) String() string {
	return fmt.Sprintf("p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms", p.P50, p.P90, p.P99, p.P999, p.Max)
}

// print writes the report as a table.
func (r report) print(w io.Writer) error {
	asked := "as fast as answered"
	if r.RateAsked > 0 {
		asked = fmt.Sprintf("%.1f/s asked", r.RateAsked)
	}
	_, err := fmt.Fprintf(w, `%s: %.1f/s good, %s, %d connections, %d users, %.1f s
requests  %d, %d failed
latency   %s
`, r.Kind, r.RateReached, asked, r.Connections, r.Users, r.Seconds, r.Requests, r.Requests-r.Good, r.Latency)
	if err == nil && r.Failed != nil {
		_, err = fmt.Fprintf(w, "failed    %s\n", r.Failed)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Errors)) {
		if err == nil {
			_, err = fmt.Fprintf(w, "error     %d × %s\n", r.Errors[reason], reason)
		}
	}
	return err
}

// writeJSON writes value to a file.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

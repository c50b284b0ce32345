package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// comparison is the outcome of compare.
type comparison struct {
	Sessions      int           `json:"sessions"`
	Users         int           `json:"users"`
	Connections   int           `json:"connections"`
	ServiceMemory int64         `json:"serviceMemoryBytes"` // the most that was resident; 0 when unknown
	Rows          []comparedRow `json:"rows"`
}

type comparedRow struct {
	Kind   string      `json:"kind"`
	With   string      `json:"with,omitempty"`
	Budget float64     `json:"budget"`
	Rounds []roundPair `json:"rounds"`
}

// roundPair are a round of the floor and one of the service beside it. What else the
// machine does changes from minute to minute: only neighbours are compared.
type roundPair struct {
	Floor   round `json:"floor"`
	Service round `json:"service"`
}

type round struct {
	report
	CPU       float64 `json:"cpuMillisecondsPerRequest,omitempty"` // of the server alone; 0 when unknown
	ClientCPU float64 `json:"clientCPUMillisecondsPerRequest"`     // of what asks
}

// check refuses rounds in which something failed: a wrong answer is fast.
func (p roundPair) check() error {
	for name, r := range map[string]round{"the floor": p.Floor, "the service": p.Service} {
		if r.Good == 0 || len(r.Errors) > 0 {
			return fmt.Errorf("%s answered %d requests well and failed with %v", name, r.Good, r.Errors)
		}
	}
	return nil
}

func (p roundPair) ratio() float64 { return p.Service.RateReached / p.Floor.RateReached }

// name says what the row is about.
func (r comparedRow) name() string {
	if r.With == "" {
		return r.Kind
	}
	return r.Kind + ", " + r.With
}

// median of what of says of each round.
func (r comparedRow) median(of func(roundPair) float64) float64 {
	values := make([]float64, len(r.Rounds))
	for i, pair := range r.Rounds {
		values[i] = of(pair)
	}
	return median(values)
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// print writes the comparison as a table; each figure is the median of the
// rounds by itself.
func (c comparison) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "path\tfloor/s\tservice/s\tratio\tbudget\t\tfloor p99\tservice p99\tfloor CPU\tservice CPU\tclient CPU")
	for _, row := range c.Rows {
		ratio, verdict := row.median(roundPair.ratio), "met"
		if ratio < row.Budget {
			verdict = "missed"
		}
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%.1f ms\t%.1f ms\t%.3f ms\t%.3f ms\t%.3f ms\n", row.name(),
			row.median(func(p roundPair) float64 { return p.Floor.RateReached }),
			row.median(func(p roundPair) float64 { return p.Service.RateReached }),
			ratio, row.Budget, verdict,
			row.median(func(p roundPair) float64 { return p.Floor.Latency.P99 }),
			row.median(func(p roundPair) float64 { return p.Service.Latency.P99 }),
			row.median(func(p roundPair) float64 { return p.Floor.CPU }),
			row.median(func(p roundPair) float64 { return p.Service.CPU }),
			row.median(func(p roundPair) float64 { return p.Service.ClientCPU }))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "%d sessions stored, %d users, %d connections; CPU is the server's, and the client's, for a request; the service's memory peaked at %.1f MiB (budget 64)\n",
		c.Sessions, c.Users, c.Connections, float64(c.ServiceMemory)/(1<<20))
	return err
}

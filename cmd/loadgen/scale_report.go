package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// The budgets of scale: the factor by which many sessions may slow a hot path, and
// the factor by which the p99 may rise while the clean-up runs.
const (
	sizeBudget    = 1.3
	cleanUpBudget = 2.0
)

// scaled is the outcome of scale.
type scaled struct {
	Server      string      `json:"server"` // the servers' settings
	Few         int         `json:"few"`
	Many        int         `json:"many"`
	Due         int         `json:"due"`
	Users       int         `json:"users"` // the same number at every size
	Connections int         `json:"connections"`
	Rows        []scaledRow `json:"rows,omitempty"`
	CleanUp     *cleanUp    `json:"cleanUp,omitempty"`
}

// scaledRow holds the rounds of a hot path. Few[i] and Many[i] were measured one
// after the other.
type scaledRow struct {
	Kind string   `json:"kind"`
	Few  []report `json:"few"`
	Many []report `json:"many"`
}

// slower returns the median of the ratios of the rates.
func (r scaledRow) slower() float64 {
	ratios := make([]float64, len(r.Few))
	for i := range r.Few {
		ratios[i] = r.Few[i].RateReached / r.Many[i].RateReached
	}
	return median(ratios)
}

// cleanUp holds the rounds around a clean-up and its duration.
type cleanUp struct {
	Seconds float64  `json:"seconds"`
	Before  []report `json:"before"`
	During  []report `json:"during"`
	After   []report `json:"after"`
}

// medianOf returns the median of a value over the rounds.
func medianOf(rounds []report, of func(report) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	return median(values)
}

func rateOf(r report) float64 { return r.RateReached }
func p50Of(r report) float64  { return r.Latency.P50 }
func p99Of(r report) float64  { return r.Latency.P99 }

// verdict says whether a value is within its budget.
func verdict(value, most float64) string {
	if value > most {
		return "missed"
	}
	return "met"
}

// print writes tables. Each figure is the median over its rounds.
func (s scaled) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if len(s.Rows) > 0 {
		_, _ = fmt.Fprintf(table, "path\tof %d/s\tof %d/s\tslower\tbudget\t\tp99\tp99\n", s.Few, s.Many)
	}
	for _, row := range s.Rows {
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%.1f ms\t%.1f ms\n", row.Kind, medianOf(row.Few, rateOf), medianOf(row.Many, rateOf),
			row.slower(), sizeBudget, verdict(row.slower(), sizeBudget), medianOf(row.Few, p99Of), medianOf(row.Many, p99Of))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "%d users ask, the same however many sessions are stored: what they hold is read again and again, and the others' sessions are not; %d connections\nPostgreSQL: %s\n",
		s.Users, s.Connections, s.Server)
	if err != nil || s.CleanUp == nil {
		return err
	}
	return s.CleanUp.tell(to, s)
}

// tell writes the table of the clean-up.
func (c cleanUp) tell(to io.Writer, s scaled) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "the clean-up\trounds\trequests/s\tp50\tp99\tp99 ratio\tbudget\t")
	before := medianOf(c.Before, p99Of)
	for _, phase := range []struct {
		name   string
		rounds []report
	}{{"before", c.Before}, {"during", c.During}, {"after", c.After}} {
		ratio := medianOf(phase.rounds, p99Of) / before
		_, _ = fmt.Fprintf(table, "%s\t%d\t%.0f\t%.2f ms\t%.2f ms\t%.2f\t%.2f\t%s\n", phase.name, len(phase.rounds), medianOf(phase.rounds, rateOf),
			medianOf(phase.rounds, p50Of), before*ratio, ratio, cleanUpBudget, verdict(ratio, cleanUpBudget))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "it ended %d sessions beside %d in %.1f s, %.0f/s\n", s.Due, s.Few, c.Seconds, float64(s.Due)/c.Seconds)
	return err
}

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// The budgets of overload, of five times what the service can answer and of the
// flood.
const (
	goodBudget     = 0.85 // of what the service can answer
	goodP99Budget  = 500  // milliseconds
	refusedBudget  = 50   // milliseconds, of 99 in a hundred
	residentBudget = 256 << 20
	floodBudget    = 3.0 // times the p99 of opens without it
)

// refusedAtOnce is how a request is refused that is one too many.
const refusedAtOnce = "status 503 overloaded"

// overloaded is the outcome of overload.
type overloaded struct {
	Server   string          `json:"server"`
	Kind     string          `json:"kind"`
	Apart    bool            `json:"apart"` // service and client had processors of their own
	Capacity report          `json:"capacity"`
	Rounds   []overloadRound `json:"rounds"`
	// Before and During are opens without and with the flood beside them.
	Before report `json:"before"`
	During report `json:"during"`
	Flood  report `json:"flood"`
}

// overloadRound is a round in which so many times as much was asked as the
// service can answer.
type overloadRound struct {
	Times float64 `json:"times"`
	report
	// Memory is the most that the service has had resident so far, in bytes.
	Memory int64 `json:"memory"`
}

// otherwise is how many failed for another reason than that they were too many.
func (r report) otherwise() int64 { return r.Requests - r.Good - r.Errors[refusedAtOnce] }

// print writes tables.
func (o overloaded) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "%s\tasked/s\tgood/s\tof capacity\tgood p99\trefused p99\tfailed otherwise\tmemory\n", o.Kind)
	_, _ = fmt.Fprintf(table, "capacity\t\t%.0f\t1.00\t%.0f ms\n", o.Capacity.RateReached, o.Capacity.Latency.P99)
	for _, r := range o.Rounds {
		refused := percentiles{}
		if r.Failed != nil {
			refused = *r.Failed
		}
		_, _ = fmt.Fprintf(table, "%g times\t%.0f\t%.0f\t%.2f\t%.0f ms\t%.0f ms\t%d\t%.0f MiB\n", r.Times, r.RateAsked, r.RateReached,
			r.RateReached/o.Capacity.RateReached, r.Latency.P99, refused.P99, r.otherwise(), float64(r.Memory)/(1<<20))
	}
	_, _ = fmt.Fprintf(table, "budget at 5 times\t\t\t%.2f\t%d ms\t%d ms\t0\t%d MiB\n", goodBudget, goodP99Budget, refusedBudget, residentBudget>>20)
	_, _ = fmt.Fprint(table, "\nopens beside bad checks\topens/s\tfailed\tp50\tp99\tp99 ratio\tbad checks/s\n")
	before := o.Before.Latency.P99
	_, _ = fmt.Fprintf(table, "without\t%.0f\t%d\t%.1f ms\t%.1f ms\t1.00\n", o.Before.RateReached, o.Before.Requests-o.Before.Good, o.Before.Latency.P50, before)
	_, _ = fmt.Fprintf(table, "with %d connections\t%.0f\t%d\t%.1f ms\t%.1f ms\t%.2f\t%.0f\n", o.Flood.Connections, o.During.RateReached,
		o.During.Requests-o.During.Good, o.During.Latency.P50, o.During.Latency.P99, o.During.Latency.P99/before, o.Flood.RateReached)
	_, _ = fmt.Fprintf(table, "budget\t\t0\t\t\t%.2f\n", floodBudget)
	if err := table.Flush(); err != nil {
		return err
	}
	together := "service, PostgreSQL and client share all processors"
	if o.Apart {
		together = "service and PostgreSQL have half of the processors, the client the other half"
	}
	_, err := fmt.Fprintf(to, "%s; PostgreSQL: %s\n", together, o.Server)
	return err
}

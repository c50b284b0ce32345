package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// comparison is the outcome of compare.
type comparison struct {
	Server      string            `json:"server"` // its settings
	Sessions    int               `json:"sessions"`
	Users       int               `json:"users"`
	Connections int               `json:"connections"`
	Rows        []comparedRow     `json:"rows"`
	Services    []comparedService `json:"services"`
}

// comparedService is the service in one setup.
type comparedService struct {
	With     string `json:"with,omitempty"`
	Settings string `json:"settings,omitempty"`
	Memory   int64  `json:"memoryBytes"` // maximum resident set; 0 when unknown
}

// memoryBudget bounds the resident memory in every setup.
const memoryBudget = 64 << 20

type comparedRow struct {
	Kind   string      `json:"kind"`
	With   string      `json:"with,omitempty"`
	Budget float64     `json:"budget"`
	Rounds []roundPair `json:"rounds"`
}

// roundPair is a round of the floor and the next one of the service. Other load on
// the machine changes from minute to minute, so only neighbours are compared.
type roundPair struct {
	Floor   round `json:"floor"`
	Service round `json:"service"`
}

type round struct {
	report
	CPU       float64 `json:"cpuMillisecondsPerRequest,omitempty"` // of the server alone; 0 when unknown
	ClientCPU float64 `json:"clientCPUMillisecondsPerRequest"`     // of loadgen
}

// check rejects rounds with failed requests: a wrong answer is fast.
func (p roundPair) check() error {
	for name, r := range map[string]round{"the floor": p.Floor, "the service": p.Service} {
		if r.Good == 0 || len(r.Errors) > 0 {
			return fmt.Errorf("%s: %d requests succeeded, the others failed with %v", name, r.Good, r.Errors)
		}
	}
	return nil
}

func (p roundPair) ratio() float64 { return p.Service.RateReached / p.Floor.RateReached }

// name is the row's title.
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
		ratio := row.median(roundPair.ratio)
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%.1f ms\t%.1f ms\t%.3f ms\t%.3f ms\t%.3f ms\n", row.name(),
			row.median(func(p roundPair) float64 { return p.Floor.RateReached }),
			row.median(func(p roundPair) float64 { return p.Service.RateReached }),
			ratio, row.Budget, verdict(row.Budget, ratio),
			row.median(func(p roundPair) float64 { return p.Floor.Latency.P99 }),
			row.median(func(p roundPair) float64 { return p.Service.Latency.P99 }),
			row.median(func(p roundPair) float64 { return p.Floor.CPU }),
			row.median(func(p roundPair) float64 { return p.Service.CPU }),
			row.median(func(p roundPair) float64 { return p.Service.ClientCPU }))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(to, "%d sessions stored, %d users, %d connections; CPU is the server's, and the client's, for a request\nPostgreSQL: %s\n", c.Sessions, c.Users, c.Connections, c.Server); err != nil {
		return err
	}
	if err := c.explainMemory(to); err != nil {
		return err
	}
	return c.printServices(to)
}

// explainMemory explains the rows that use the cache: they check few tokens, each
// of them often.
func (c comparison) explainMemory(to io.Writer) error {
	var rates []float64
	for _, row := range c.Rows {
		if row.With == fromMemory.name {
			rates = append(rates, row.median(func(p roundPair) float64 { return p.Service.RateReached }))
		}
	}
	if len(rates) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(to, "%s: what was read of a token counts for %v (CHATKIT_CACHE_LEASE), in which each was asked about %.1f times here; only the first of these costs a statement, and tokens that are asked about once in %[2]v gain nothing\n",
		fromMemory.name, lease, slices.Min(rates)*lease.Seconds()/float64(c.Users))
	return err
}

// printServices writes how much memory each setup took.
func (c comparison) printServices(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "the service\tpeak memory\tbudget\t")
	for _, service := range c.Services {
		_, _ = fmt.Fprintf(table, "%s\t%.1f MiB\t%d MiB\t%s\n", cmp.Or(service.With, "as it is"), float64(service.Memory)/(1<<20), memoryBudget>>20,
			verdict(float64(service.Memory), memoryBudget))
	}
	return table.Flush()
}

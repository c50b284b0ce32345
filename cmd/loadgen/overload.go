package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatkit-session/adapters/postgres/seed"
)

// overloadCommand measures what the service does with more than it can answer.
type overloadCommand struct {
	Service     string        `name:"chatkit-session" required:"" type:"existingfile" placeholder:"PATH" help:"The binary to measure."`
	Kind        string        `enum:"open-reused,verify,introspect,list,mixed" default:"list" help:"What to ask: ${enum}."`
	Users       int           `default:"4000" help:"How many users ask."`
	Busy        int           `default:"64" help:"How many connections are kept busy to find out what the service can answer."`
	Connections int           `default:"5000" help:"How many connections ask for more than that."`
	Flood       int           `default:"2000" help:"How many connections check unknown tokens, as fast as they are answered."`
	Opening     int           `default:"32" help:"How many connections open sessions beside them."`
	Rate        float64       `help:"How many sessions a second those open; when 0, a quarter of what the service can."`
	Duration    time.Duration `default:"10s" help:"How long each measurement takes."`
	Apart       bool          `default:"true" negatable:"" help:"Let the service and PostgreSQL have one half of the processors and the client the other (Linux): what asks for five times as much takes nothing of what answers."`
	Durable     bool          `help:"Let the server write as those do that are to keep what they have: fsync, full_page_writes and synchronous_commit on."`
	JSON        string        `name:"json" type:"path" placeholder:"FILE" help:"Also write the reports to FILE."`
}

// overloads are how many times as much as the service can answer is asked.
var overloads = []float64{2, 5}

// Run builds everything up, measures, and takes everything down again.
func (c overloadCommand) Run(p *process) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if c.Apart {
		if err := runOn(firstHalf); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, runOn(allOfThem)) }()
	}
	on, err := scaleCommand{Service: c.Service, Users: c.Users, Connections: c.Busy, Duration: c.Duration, Durable: c.Durable}.testbed(p, c.Users*seed.PerUser)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.end()) }()
	if c.Apart {
		if err := runOn(secondHalf); err != nil {
			return err
		}
	}
	result, err := c.measure(on)
	if err != nil {
		return err
	}
	if c.JSON != "" {
		if err := writeJSON(c.JSON, result); err != nil {
			return err
		}
	}
	return result.print(p.stdout)
}

func (c overloadCommand) check() error {
	for name, n := range map[string]int{"busy": c.Busy, "connections": c.Connections, "flood": c.Flood, "opening": c.Opening} {
		if n < 1 || n > mostConnections {
			return fmt.Errorf("--%s must be 1 to %d", name, mostConnections)
		}
	}
	return c.round(c.Kind, c.Busy, c.Rate).check()
}

func (c overloadCommand) round(kind string, connections int, rate float64) runCommand {
	return scaleCommand{Users: c.Users, Connections: connections, Duration: c.Duration}.round(kind, rate)
}

func (c overloadCommand) measure(on *testbed) (result overloaded, err error) {
	result = overloaded{Kind: c.Kind, Apart: c.Apart}
	if result.Server, err = on.serverSettings(); err != nil {
		return result, err
	}
	if result.Capacity, err = on.measure(c.round(c.Kind, c.Busy, 0)); err != nil {
		return result, err
	}
	for _, times := range overloads {
		run := c.round(c.Kind, c.Connections, times*result.Capacity.RateReached)
		workers, err := on.connect(run)
		if err != nil {
			return result, err
		}
		r := run.measureOn(on.ctx, workers, newProgress(on.stderr))
		if err := on.ctx.Err(); err != nil {
			return result, err
		}
		result.Rounds = append(result.Rounds, overloadRound{Times: times, report: r, Memory: on.memory()})
	}
	err = c.flood(on, &result)
	return result, err
}

// settle is how long a flood lasts before opens are measured beside it: at its
// beginning the client itself is busy with thousands of requests at once.
const settle = 3 * time.Second

// flood measures opens before and while unknown tokens are checked.
func (c overloadCommand) flood(on *testbed, into *overloaded) (err error) {
	rate := c.Rate
	if rate == 0 {
		opens, err := on.measure(c.round(kindReused, c.Busy, 0))
		if err != nil {
			return err
		}
		rate = opens.RateReached / 4
	}
	opens := c.round(kindReused, c.Opening, rate)
	if into.Before, err = on.measure(opens); err != nil {
		return err
	}
	bad := c.round(kindUnknown, c.Flood, 0)
	bad.Duration = longestRun
	workers, err := on.connect(bad)
	if err != nil {
		return err
	}
	flooding, stop := context.WithCancel(on.ctx)
	var flood sync.WaitGroup
	flood.Go(func() { into.Flood = bad.measureOn(flooding, workers, newProgress(on.stderr)) })
	select {
	case <-on.ctx.Done():
	case <-time.After(settle):
	}
	into.During = opens.measure(on.ctx, on.workload, newProgress(on.stderr))
	stop()
	flood.Wait()
	return on.ctx.Err()
}

// connectors is how many connections are made at a time.
const connectors = 32

// connect returns the workers of a run with their connections made: the time that
// takes is the client's as much as the service's, and is not measured.
func (s *testbed) connect(run runCommand) ([]sender, error) {
	senders := s.workload.workers(run.Kind, run.Connections)
	errs, group := make([]error, connectors), sync.WaitGroup{}
	for first := range errs {
		group.Go(func() {
			for i := first; i < len(senders) && errs[first] == nil; i += connectors {
				if p, ok := senders[i].(*worker); ok {
					errs[first] = p.conn.dial(s.ctx)
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return senders, nil
}

// memory is the most that the service on the testbed has had resident, in bytes.
func (s *testbed) memory() int64 { return s.children[len(s.children)-1].memory() }

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/seed"
)

// scaleCommand measures how the service slows down with many stored sessions.
type scaleCommand struct {
	Service     string        `name:"chatkit-session" required:"" type:"existingfile" placeholder:"PATH" help:"The binary to measure."`
	Few         int           `default:"100000" help:"Number of sessions of the small database, including the six of each of --users, which is the minimum."`
	Sessions    int           `default:"10000000" help:"Number of sessions of the large database. The hot paths are compared on both. 0 skips the comparison."`
	Due         int           `default:"1000000" help:"Number of expired sessions that are added to the small database to measure the clean-up. 0 skips it."`
	Rate        float64       `help:"Requests per second while the clean-up is measured. 0 is a third of the capacity."`
	Users       int           `default:"4000" help:"Number of users."`
	Connections int           `default:"32" help:"Number of connections, with one request at a time on each."`
	Rounds      int           `default:"3" help:"Number of rounds. The median counts."`
	Duration    time.Duration `default:"10s" help:"Duration of a round."`
	Durable     bool          `help:"Run the temporary servers with fsync, full_page_writes and synchronous_commit on, as in production."`
	JSON        string        `name:"json" type:"path" placeholder:"FILE" help:"Also write all rounds to FILE."`
}

// hotPaths are the kinds of requests that are compared. Opening new devices is
// last, because it adds sessions.
var hotPaths = []string{kindReused, kindVerify, kindIntrospect, kindList, kindCreated}

// Run sets up the servers, measures and removes everything again.
func (c scaleCommand) Run(p *process) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	own := c.Users * seed.PerUser // the minimum: the sessions of the users
	c.Few = max(c.Few, own)
	if c.Sessions > 0 {
		c.Sessions = max(c.Sessions, own)
	}
	few, err := c.testbed(p, c.Few)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.end()) }()
	result := scaled{Few: c.Few, Many: c.Sessions, Due: c.Due, Users: c.Users, Connections: c.Connections}
	if result.Server, err = few.serverSettings(); err != nil {
		return err
	}
	if c.Sessions > 0 {
		if result.Rows, err = c.compareSizes(p, few); err != nil {
			return err
		}
	}
	if c.Due > 0 {
		if result.CleanUp, err = c.cleanUp(few); err != nil {
			return err
		}
	}
	if c.JSON != "" {
		if err := writeJSON(c.JSON, result); err != nil {
			return err
		}
	}
	return result.print(p.stdout)
}

func (c scaleCommand) check() error {
	if c.Rounds < 1 || c.Rounds > mostRounds {
		return fmt.Errorf("--rounds must be 1 to %d", mostRounds)
	}
	for _, n := range []int{c.Few, c.Sessions, c.Due} {
		if n < 0 || n > mostSessions {
			return fmt.Errorf("--few, --sessions and --due must be at most %d", mostSessions)
		}
	}
	return c.round(kindMixed, c.Rate).check()
}

// round returns the settings of a round. The tokens outlive all rounds: minting
// would take processor time from them.
func (c scaleCommand) round(kind string, rate float64) runCommand {
	return runCommand{
		Kind: kind, Users: c.Users, Connections: c.Connections, Duration: c.Duration, Rate: rate,
		TokenLifetime: 24 * time.Hour, IntrospectionKey: "of the bench",
	}
}

// compareSizes alternates rounds on the small and on the large database, and also
// which of them is first: other load on the machine changes from minute to minute,
// and the work that one round leaves to PostgreSQL is done during the next.
func (c scaleCommand) compareSizes(p *process, few *testbed) (rows []scaledRow, err error) {
	many, err := c.testbed(p, c.Sessions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, many.end()) }()
	for _, kind := range hotPaths {
		row := scaledRow{Kind: kind}
		measureFew := func() error { return few.add(&row.Few, c.round(kind, 0)) }
		measureMany := func() error { return many.add(&row.Many, c.round(kind, 0)) }
		if err := inTurns(c.Rounds, measureFew, measureMany); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// inTurns calls both functions the given number of times, and changes the order
// each time.
func inTurns(times int, one, other func() error) error {
	for n := range times {
		first, second := one, other
		if n%2 == 1 {
			first, second = other, one
		}
		if err := first(); err != nil {
			return err
		}
		if err := second(); err != nil {
			return err
		}
	}
	return nil
}

// cleanUp measures requests before, during and after a large clean-up.
func (c scaleCommand) cleanUp(on *testbed) (*cleanUp, error) {
	if err := on.fill(seed.Plan{Due: c.Due, Bulk: true}); err != nil {
		return nil, err
	}
	rate := c.Rate
	if rate == 0 {
		most, err := on.measure(c.round(kindMixed, 0))
		if err != nil {
			return nil, err
		}
		rate = most.RateReached / 3
	}
	result := &cleanUp{}
	rounds := func(into *[]report) error {
		for range c.Rounds {
			r, err := on.measure(c.round(kindMixed, rate))
			if err != nil {
				return err
			}
			*into = append(*into, r)
		}
		return nil
	}
	if err := rounds(&result.Before); err != nil {
		return nil, err
	}
	if err := c.during(on, rate, result); err != nil {
		return nil, err
	}
	return result, rounds(&result.After)
}

// during measures rounds until the clean-up ends. A round that ends after it does
// not count.
func (c scaleCommand) during(on *testbed, rate float64, into *cleanUp) error {
	start, ended := time.Now(), make(chan error, 1)
	go func() {
		err := on.cleanUp(c.Due)
		into.Seconds = time.Since(start).Seconds()
		ended <- err
	}()
	for {
		r, err := on.measure(c.round(kindMixed, rate))
		if err != nil {
			return errors.Join(err, <-ended)
		}
		select {
		case err := <-ended:
			if err == nil && len(into.During) == 0 {
				err = fmt.Errorf("the clean-up took %.1f s, less than a round: give more --due or a shorter --duration", into.Seconds)
			}
			return err
		default:
			into.During = append(into.During, r)
		}
	}
}

// testbed is a database server with sessions, and the service on it.
type testbed struct {
	bench
	stopDatabase func()
	workload     *workload
}

// testbed sets one up. Its service does no clean-up in the background.
func (c scaleCommand) testbed(p *process, sessions int) (_ *testbed, err error) {
	dir, err := os.MkdirTemp("", "loadgen-scale-")
	if err != nil {
		return nil, err
	}
	s := &testbed{stopDatabase: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	s.bench = bench{compareCommand: compareCommand{Service: c.Service, Users: c.Users, Durable: c.Durable}, process: p, dir: dir, key: keyring.Generate()}
	if s.database, s.stopDatabase, err = s.compareCommand.database(); err != nil {
		s.stopDatabase = func() {}
		return nil, err
	}
	if err := errors.Join(s.call("dev", "--write-keys", s.keys()), s.call("migrate")); err != nil {
		return nil, err
	}
	prepared, err := seedCommand{Keys: s.keys(), Sessions: sessions, Users: c.Users, Workflow: benchWorkflow}.plan()
	if err != nil {
		return nil, err
	}
	prepared.Bulk = true
	if err := s.fill(prepared); err != nil {
		return nil, err
	}
	if err := s.serve(c); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *testbed) keys() string { return filepath.Join(s.dir, "keys") }

// fill adds rows.
func (s *testbed) fill(plan seed.Plan) error {
	conn, err := postgres.Connect(s.ctx, postgres.Config{URL: s.database})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if plan.Sealer == nil {
		plain, err := seedCommand{Keys: s.keys(), Workflow: benchWorkflow}.plan()
		if err != nil {
			return err
		}
		plan.Sealer, plan.Workflow, plan.Now = plain.Sealer, plain.Workflow, plain.Now
	}
	start, show := time.Now(), newProgress(s.stderr)
	plan.Wrote = func(rows int) {
		show.say(fmt.Sprintf("%d rows, %.0f/s", rows, float64(rows)/time.Since(start).Seconds()))
	}
	_, err = seed.Fill(s.ctx, conn, plan)
	show.end()
	_, _ = fmt.Fprintf(s.stderr, "with indexes after %.0f s\n", time.Since(start).Seconds())
	return err
}

// serve starts the service and signs the users in.
func (s *testbed) serve(c scaleCommand) error {
	service, err := s.startService("CHATKIT_CLEANUP_INTERVAL=0s")
	if err != nil {
		return err
	}
	run := c.round(kindMixed, 0)
	run.Keys, run.IntrospectionKey = s.keys(), s.key
	s.workload, err = run.workload(s.ctx, &url.URL{Scheme: "http", Host: service.address})
	return err
}

// measure runs a round. Failed requests are an error: a wrong answer is fast.
func (s *testbed) measure(run runCommand) (report, error) {
	s.workload.run = strings.ToLower(rand.Text()[:8]) // names devices that no user has yet
	r := run.measure(s.ctx, s.workload, newProgress(s.stderr))
	if err := s.ctx.Err(); err != nil {
		return r, err
	}
	if r.Good == 0 || len(r.Errors) > 0 {
		return r, fmt.Errorf("%s: %d requests succeeded, the others failed with %v", run.Kind, r.Good, r.Errors)
	}
	return r, nil
}

// add measures another round.
func (s *testbed) add(to *[]report, run runCommand) error {
	r, err := s.measure(run)
	*to = append(*to, r)
	return err
}

// cleanUp runs chatkit-session cleanup. It is an error if it ends fewer than want
// sessions.
func (s *testbed) cleanUp(want int) error {
	command := exec.CommandContext(s.ctx, s.Service, "cleanup") //nolint:gosec // the caller's own program
	command.Env = s.environ()
	said, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("chatkit-session cleanup: %w\n%s", err, said)
	}
	var ended int
	if _, err := fmt.Sscanf(string(said), "expired %d,", &ended); err != nil || ended < want {
		return fmt.Errorf("the clean-up must end %d sessions but reported %q", want, said)
	}
	return nil
}

// end stops what was started and removes what it left.
func (s *testbed) end() error {
	err := s.stop()
	s.stopDatabase()
	return errors.Join(err, os.RemoveAll(s.dir))
}

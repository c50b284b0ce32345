package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"chatkit-session/adapters/postgres/seed"
)

// runCommand asks a service.
type runCommand struct {
	URL              string        `name:"url" required:"" help:"The service, such as http://127.0.0.1:8080."`
	Keys             string        `required:"" type:"existingdir" placeholder:"DIR" help:"Folder of chatkit-session dev --write-keys, whose key the service trusts."`
	Kind             string        `enum:"open-reused,open-created,open-refreshed,verify,introspect,list,mixed,verify-unknown" required:"" help:"What to ask: ${enum}. open-refreshed needs users that seed has prepared, and each run uses them up."`
	Users            int           `default:"1000" help:"How many users ask."`
	Duration         time.Duration `default:"10s" help:"For how long, at most an hour."`
	Connections      int           `default:"32" help:"How many connections to ask on, one request at a time on each."`
	Rate             float64       `help:"Requests a second that are due whether or not those before are answered; as fast as they are answered when 0."`
	Requests         int64         `help:"Most requests; any number when 0."`
	TokenLifetime    time.Duration `default:"10m" help:"How long the minted tokens are good; they are minted again in time."`
	IntrospectionKey string        `env:"INTROSPECTION_KEY" help:"One of the service's INTROSPECTION_KEYS."`
	JSON             string        `name:"json" type:"path" placeholder:"FILE" help:"Also write the report to FILE."`
	IOwnThisHost     bool          `name:"i-own-this-host" help:"Confirm that a host that is not this machine is yours."`
}

// The bounds of a run.
const (
	mostUsers       = 1_000_000
	mostConnections = 10_000
	mostRate        = 1_000_000
	longestRun      = time.Hour
)

// check validates the flags.
func (r runCommand) check() error {
	for _, rule := range []struct {
		holds bool
		says  string
	}{
		{r.Users >= 1 && r.Users <= mostUsers, fmt.Sprintf("--users must be 1 to %d", mostUsers)},
		{r.Connections >= 1 && r.Connections <= mostConnections, fmt.Sprintf("--connections must be 1 to %d", mostConnections)},
		{r.Rate >= 0 && r.Rate <= mostRate, fmt.Sprintf("--rate must be 0 to %d", mostRate)},
		{r.Duration > 0 && r.Duration <= longestRun, "--duration must be more than 0s and at most " + longestRun.String()},
		{r.Requests >= 0, "--requests must not be negative"},
		{r.TokenLifetime >= 10*time.Second && r.TokenLifetime <= 24*time.Hour, "--token-lifetime must be 10s to 24h"},
		{r.Kind != kindIntrospect || r.IntrospectionKey != "", "introspect needs --introspection-key"},
	} {
		if !rule.holds {
			return errors.New(rule.says)
		}
	}
	return nil
}

// Run measures and reports. The report counts failed requests; it is an error only
// if no request succeeded.
func (r runCommand) Run(p *process) error {
	target, err := parseTarget(r.URL, r.IOwnThisHost)
	if err := errors.Join(err, r.check()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	s, err := r.workload(ctx, target)
	if err != nil {
		return err
	}
	show := newProgress(p.stderr)
	result := r.measure(ctx, s, show)
	if err := result.print(p.stdout); err != nil {
		return err
	}
	if r.JSON != "" {
		if err := writeJSON(r.JSON, result); err != nil {
			return err
		}
	}
	if result.Good == 0 {
		return errors.New("no request succeeded")
	}
	return p.ctx.Err()
}

// workload signs the users in and opens their sessions.
func (r runCommand) workload(ctx context.Context, to *url.URL) (*workload, error) {
	identity, err := loadIdentity(r.Keys)
	if err != nil {
		return nil, err
	}
	s := &workload{to: to, run: strings.ToLower(rand.Text()[:8]), key: r.IntrospectionKey}
	if r.Kind == kindUnknown {
		return s, nil
	}
	if r.Kind == kindCreated || r.Kind == kindMixed {
		if s.creators, err = newUserPool(ctx, identity, creatingUsers, r.Users, r.TokenLifetime); err != nil {
			return nil, err
		}
		go s.creators.keepSignedIn(ctx)
	}
	if r.Kind == kindCreated {
		return s, nil
	}
	if s.users, err = newUserPool(ctx, identity, measuredUsers, r.Users, r.TokenLifetime); err != nil {
		return nil, err
	}
	go s.users.keepSignedIn(ctx)
	if r.Kind == kindRefreshed {
		return s, nil
	}
	if err := s.warmUp(ctx, r.Connections); err != nil {
		return nil, err
	}
	return s, nil
}

// measure runs the workload for the run's duration.
func (r runCommand) measure(ctx context.Context, s *workload, show progress) report {
	return r.measureOn(ctx, s.workers(r.Kind, r.Connections), show)
}

// measureOn is measure with these workers.
func (r runCommand) measureOn(ctx context.Context, senders []sender, show progress) report {
	all := newWorkerStats(len(senders))
	most := r.Requests
	if due := int64(r.Users * seed.DuePerUser); r.Kind == kindRefreshed && (most == 0 || most > due) {
		most = due
	}
	followed, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		show.follow(followed, r.Kind, all)
	}()
	took := drive(ctx, &schedule{start: time.Now(), duration: r.Duration, rate: r.Rate, most: most}, senders, all)
	stop()
	<-told
	result := newReport(all.sum(), took)
	result.Kind, result.RateAsked, result.Connections, result.Users = r.Kind, r.Rate, r.Connections, r.Users
	for _, each := range senders {
		if p, ok := each.(*worker); ok {
			p.conn.close()
		}
	}
	return result
}

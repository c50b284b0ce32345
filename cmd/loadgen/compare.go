package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres/throwaway"
)

// compareCommand measures the service against the floor.
type compareCommand struct {
	Service     string        `name:"chatkit-session" required:"" type:"existingfile" placeholder:"PATH" help:"The binary to measure."`
	Database    string        `placeholder:"URL" help:"An empty database, as its owner; a throw-away server of installed binaries, without fsync, when not given."`
	Sessions    int           `default:"100000" help:"How many sessions are stored."`
	Users       int           `default:"4000" help:"How many users ask."`
	Connections int           `default:"32" help:"How many connections they ask on."`
	Rounds      int           `default:"3" help:"How many rounds each is measured in turn; the median of their ratios counts."`
	Duration    time.Duration `default:"10s" help:"How long a round takes."`
	JSON        string        `name:"json" type:"path" placeholder:"FILE" help:"Also write all rounds to FILE."`
}

// budget is a row of the table: how much of the floor's requests/s the service
// is to reach.
type budget struct {
	kind string
	want float64
}

// budgets are those that are about requests a second. What verify and
// introspect are compared with checks no signature.
var budgets = []budget{{kindReused, 0.70}, {kindVerify, 0.75}, {kindIntrospect, 0.75}}

const mostRounds = 100

// Run builds everything up, measures, and takes everything down again.
func (c compareCommand) Run(p *process) (err error) {
	if c.Rounds < 1 || c.Rounds > mostRounds {
		return fmt.Errorf("--rounds must be 1 to %d", mostRounds)
	}
	if err := c.asRun(kindReused).check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "loadgen-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	database, stop, err := c.database()
	if err != nil {
		return err
	}
	defer stop()
	b := bench{compareCommand: c, process: p, dir: dir, database: database, key: keyring.Generate()}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.build(); err != nil {
		return err
	}
	result, err := b.measure()
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

func (c compareCommand) database() (string, func(), error) {
	if c.Database != "" {
		return c.Database, func() {}, nil
	}
	u, stop, err := throwaway.Start()
	if err != nil {
		return "", nil, fmt.Errorf("no PostgreSQL (or give --database): %w", err)
	}
	return u.String(), stop, nil
}

// asRun is a round as a run.
func (c compareCommand) asRun(kind string) runCommand {
	// The tokens last for all rounds: minting would take part of the machine.
	return runCommand{Kind: kind, Users: c.Users, Connections: c.Connections, Duration: c.Duration, TokenLifetime: 24 * time.Hour, IntrospectionKey: "of the bench"}
}

// bench is what a comparison needs while it runs.
type bench struct {
	compareCommand
	*process

	dir, database, key string
	floor, service     *child
	onFloor, onService *scene
}

// build makes keys, schema and sessions, and starts both servers.
func (b *bench) build() error {
	keys := filepath.Join(b.dir, "keys")
	if err := b.call("dev", "--write-keys", keys); err != nil {
		return err
	}
	if err := b.call("migrate"); err != nil {
		return err
	}
	if err := (seedCommand{Database: b.database, Keys: keys, Sessions: b.Sessions, Users: b.Users, Workflow: benchWorkflow}).Run(b.process); err != nil {
		return err
	}
	if err := b.startFloor(keys); err != nil {
		return err
	}
	if err := b.startService(); err != nil {
		return err
	}
	return b.signIn(keys)
}

const benchWorkflow = "workflow_load"

// environ are the service's settings. Nobody's own count: figures are to be
// those of the defaults.
func (b *bench) environ() []string {
	keys := filepath.Join(b.dir, "keys")
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"DATABASE_URL=" + b.database,
		"CHATKIT_WORKFLOW_ID=" + benchWorkflow,
		"CHATKIT_TOKEN_KEYS_FILE=" + filepath.Join(keys, "token_keys"),
		"CLERK_JWT_KEY_FILE=" + filepath.Join(keys, "clerk_jwt_key.pem"),
		"CLERK_ISSUER_FILE=" + filepath.Join(keys, "clerk_issuer"),
		"INTROSPECTION_KEYS=" + b.key,
		// More than anybody asks, so that what counts them still does.
		"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=1000000",
		"CHATKIT_ANOMALY_OPENS=1000000/1m",
	}
}

// call runs a command of the service's binary to its end.
func (b *bench) call(args ...string) error {
	command := exec.CommandContext(b.ctx, b.Service, args...) //nolint:gosec // the caller's own program
	command.Env = b.environ()
	if args[0] == "dev" {
		command.Env = nil // the files that its settings name are not there yet
	}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("chatkit-session %s: %w\n%s", args[0], err, out)
	}
	return nil
}

func (b *bench) startFloor(keys string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address, err := freeAddress(b.ctx)
	if err != nil {
		return err
	}
	b.floor, err = startChild(b.ctx, "the floor", address, filepath.Join(b.dir, "floor.log"), b.environ(), self,
		"floor", "--database", b.database, "--keys", keys, "--listen", address, "--workflow", benchWorkflow)
	return err
}

func (b *bench) startService() error {
	address, err := freeAddress(b.ctx)
	if err != nil {
		return err
	}
	b.service, err = startChild(b.ctx, "the service", address, filepath.Join(b.dir, "service.log"),
		append(b.environ(), "LISTEN_ADDR="+address), b.Service, "serve")
	return err
}

// signIn lets the same users hold sessions on both. They open them there,
// which warms both up.
func (b *bench) signIn(keys string) error {
	identity, err := loadIdentity(keys)
	if err != nil {
		return err
	}
	users, err := gather(b.ctx, identity, measuredUsers, b.Users, 24*time.Hour)
	if err != nil {
		return err
	}
	at := func(c *child) *scene {
		return &scene{to: &url.URL{Scheme: "http", Host: c.address}, users: users, key: b.key}
	}
	b.onFloor, b.onService = at(b.floor), at(b.service)
	return errors.Join(b.onFloor.learn(b.ctx, b.Connections), b.onService.learn(b.ctx, b.Connections))
}

// stop ends what was started.
func (b *bench) stop() error {
	var errs []error
	for _, c := range []*child{b.service, b.floor} {
		if c != nil {
			errs = append(errs, c.stop())
		}
	}
	return errors.Join(errs...)
}

// measure lets floor and service take turns.
func (b *bench) measure() (comparison, error) {
	result := comparison{Sessions: b.Sessions, Users: b.Users, Connections: b.Connections}
	for _, row := range budgets {
		compared := comparedRow{Kind: row.kind, Budget: row.want}
		for range b.Rounds {
			pair := roundPair{Floor: b.round(b.ctx, row.kind, b.floor, b.onFloor), Service: b.round(b.ctx, row.kind, b.service, b.onService)}
			if err := errors.Join(b.ctx.Err(), pair.check()); err != nil {
				return result, fmt.Errorf("%s: %w", row.kind, err)
			}
			compared.Rounds = append(compared.Rounds, pair)
		}
		result.Rows = append(result.Rows, compared)
	}
	result.ServiceMemory = b.service.memory()
	return result, nil
}

func (b *bench) round(ctx context.Context, kind string, c *child, s *scene) round {
	before := c.cpu()
	r := round{report: b.asRun(kind).measure(ctx, s, newProgress(b.stderr))}
	if r.Requests > 0 {
		r.CPU = float64((c.cpu() - before).Microseconds()) / 1000 / float64(r.Requests)
	}
	return r
}

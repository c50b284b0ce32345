package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgserver"
)

// compareCommand measures the service against the floor.
type compareCommand struct {
	Service     string        `name:"chatkit-session" required:"" type:"existingfile" placeholder:"PATH" help:"The binary to measure."`
	Database    string        `placeholder:"URL" help:"URL of an empty database, as its owner. By default, a temporary server is started from the installed binaries, without fsync."`
	Durable     bool          `help:"Run the temporary server with fsync, full_page_writes and synchronous_commit on, as in production."`
	Sessions    int           `default:"100000" help:"Number of stored sessions."`
	Users       int           `default:"4000" help:"Number of users."`
	Connections int           `default:"32" help:"Number of connections, with one request at a time on each."`
	Rounds      int           `default:"3" help:"Number of rounds. Service and floor alternate, and the median of the ratios counts."`
	Duration    time.Duration `default:"10s" help:"Duration of a round."`
	JSON        string        `name:"json" type:"path" placeholder:"FILE" help:"Also write all rounds to FILE."`
}

// budget is a row of the table: the share of the floor's requests per second that
// the service must reach with a setup.
type budget struct {
	kind string
	want float64
	with setup
}

// setup is a name for settings that differ from the defaults.
type setup struct{ name, settings string }

// The setups, in the order in which they are measured. The floor caches nothing.
var (
	forgetful  = setup{"each token verified", "CLERK_REMEMBERED_TOKENS=0"}
	asItIs     = setup{}
	fromMemory = setup{"from memory", "CHATKIT_CACHE_LEASE=" + lease.String() + " CHATKIT_CACHE_SESSIONS=100000"}

	setups = []setup{forgetful, asItIs, fromMemory}
)

// lease is CHATKIT_CACHE_LEASE in fromMemory.
const lease = 5 * time.Second

// budgets are the budgets for requests per second. verify and introspect are
// compared with a floor that checks no signature.
var budgets = []budget{
	{kindReused, 0.70, forgetful},
	{kindReused, 0.70, asItIs},
	{kindVerify, 0.75, asItIs},
	{kindIntrospect, 0.75, asItIs},
	{kindVerify, 0.75, fromMemory},
	{kindIntrospect, 0.75, fromMemory},
}

const mostRounds = 100

// Run sets up the servers, measures and removes everything again.
func (c compareCommand) Run(p *process) (err error) {
	if c.Rounds < 1 || c.Rounds > mostRounds {
		return fmt.Errorf("--rounds must be 1 to %d", mostRounds)
	}
	if c.Durable && c.Database != "" {
		return errors.New("--durable has no effect with --database: leave one of them out")
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
	start := pgserver.Start
	if c.Durable {
		start = pgserver.StartDurable
	}
	u, stop, err := start()
	if err != nil {
		return "", nil, fmt.Errorf("no PostgreSQL (or give --database): %w", err)
	}
	return u.String(), stop, nil
}

// asRun returns the settings of a round.
func (c compareCommand) asRun(kind string) runCommand {
	// The tokens outlive all rounds: minting would take processor time from them.
	return runCommand{Kind: kind, Users: c.Users, Connections: c.Connections, Duration: c.Duration, TokenLifetime: 24 * time.Hour, IntrospectionKey: "of the bench"}
}

// bench is the state of a running comparison.
type bench struct {
	compareCommand
	*process

	dir, database, key string
	children           []*serverProcess // that were started
	users              *userPool
	floor              served
}

// served is a server and the users who are signed in to it.
type served struct {
	serverProcess *serverProcess
	workload      *workload
}

// build creates the keys, the schema and the sessions, and starts the floor.
func (b *bench) build() error {
	keys := filepath.Join(b.dir, "keys")
	if err := b.call("dev", "--write-keys", keys); err != nil {
		return err
	}
	if err := b.call("migrate"); err != nil {
		return err
	}
	if err := (seedCommand{Database: b.database, Keys: keys, Sessions: b.Sessions, Users: b.Users, Workflow: benchWorkflow, IOwnThisHost: true}).Run(b.process); err != nil {
		return err
	}
	identity, err := loadIdentity(keys)
	if err != nil {
		return err
	}
	if b.users, err = newUserPool(b.ctx, identity, measuredUsers, b.Users, 24*time.Hour); err != nil {
		return err
	}
	floor, err := b.startFloor(keys)
	if err != nil {
		return err
	}
	b.floor, err = b.signIn(floor)
	return err
}

const benchWorkflow = "workflow_load"

// environ returns the service's environment. It ignores the caller's, so that the
// defaults are measured.
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
		// Above any rate that is measured, so that the limiter runs but refuses nothing.
		"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=1000000",
		"CHATKIT_ANOMALY_OPENS=1000000/1m",
	}
}

// call runs a command of the service's binary to its end.
func (b *bench) call(args ...string) error {
	command := exec.CommandContext(b.ctx, b.Service, args...) //nolint:gosec // the caller's own program
	command.Env = b.environ()
	if args[0] == "dev" {
		command.Env = nil // its settings name files that do not exist yet
	}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("chatkit-session %s: %w\n%s", args[0], err, out)
	}
	return nil
}

func (b *bench) startFloor(keys string) (*serverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.start("the floor", func(address string) ([]string, []string) {
		return b.environ(), []string{self, "floor", "--database", b.database, "--keys", keys, "--listen", address, "--workflow", benchWorkflow}
	})
}

func (b *bench) startService(settings ...string) (*serverProcess, error) {
	return b.start("the service", func(address string) ([]string, []string) {
		return append(b.environ(), append(settings, "LISTEN_ADDR="+address)...), []string{b.Service, "serve"}
	})
}

// start starts a server on an address of its own.
func (b *bench) start(name string, how func(address string) (environ, command []string)) (*serverProcess, error) {
	address, err := freeAddress(b.ctx)
	if err != nil {
		return nil, err
	}
	environ, command := how(address)
	log := filepath.Join(b.dir, fmt.Sprintf("server-%d.log", len(b.children)))
	c, err := startServer(b.ctx, name, address, log, environ, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	b.children = append(b.children, c)
	return c, nil
}

// signIn opens the users' sessions on the server. That warms it up.
func (b *bench) signIn(to *serverProcess) (served, error) {
	s := &workload{to: &url.URL{Scheme: "http", Host: to.address}, users: b.users, key: b.key}
	return served{to, s}, s.warmUp(b.ctx, b.Connections)
}

// stop ends the processes.
func (b *bench) stop() error {
	var errs []error
	for _, c := range b.children {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}

// serverSettings returns the settings of the database server that decide what a
// write costs.
func (b *bench) serverSettings() (text string, err error) {
	conn, err := postgres.Connect(b.ctx, postgres.Config{URL: b.database})
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // it only reads
	const settings = `SELECT string_agg(name || '=' || current_setting(name), ' ' ORDER BY n) FROM unnest(ARRAY[
		'server_version_num', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size']) WITH ORDINALITY s(name, n)`
	err = conn.QueryRowContext(b.ctx, settings).Scan(&text)
	return text, err
}

// measure measures one setup after the other.
func (b *bench) measure() (comparison, error) {
	server, err := b.serverSettings()
	if err != nil {
		return comparison{}, err
	}
	result := comparison{Server: server, Sessions: b.Sessions, Users: b.Users, Connections: b.Connections}
	for _, with := range setups {
		if err := b.measureSetup(with, &result); err != nil {
			return result, err
		}
	}
	return result, nil
}

// measureSetup runs the service only while it is measured: an idle service also
// flushes, cleans up and keeps connections.
func (b *bench) measureSetup(with setup, into *comparison) error {
	serverProcess, err := b.startService(strings.Fields(with.settings)...)
	if err != nil {
		return err
	}
	service, err := b.signIn(serverProcess)
	if err != nil {
		return err
	}
	for _, row := range budgets {
		if row.with != with {
			continue
		}
		compared, err := b.measureRow(row, service)
		if err != nil {
			return fmt.Errorf("%s: %w", compared.name(), err)
		}
		into.Rows = append(into.Rows, compared)
	}
	into.Services = append(into.Services, comparedService{with.name, with.settings, serverProcess.memory()})
	return serverProcess.stop()
}

// measureRow alternates floor and service, and also which of them is first: the
// work that one leaves to PostgreSQL is done while the other is measured.
func (b *bench) measureRow(row budget, service served) (comparedRow, error) {
	compared := comparedRow{Kind: row.kind, With: row.with.name, Budget: row.want}
	for n := range b.Rounds {
		var pair roundPair
		if n%2 == 0 {
			pair.Floor = b.round(row.kind, b.floor)
		}
		pair.Service = b.round(row.kind, service)
		if n%2 == 1 {
			pair.Floor = b.round(row.kind, b.floor)
		}
		if err := errors.Join(b.ctx.Err(), pair.check()); err != nil {
			return compared, err
		}
		compared.Rounds = append(compared.Rounds, pair)
	}
	return compared, nil
}

func (b *bench) round(kind string, on served) round {
	before, own := on.serverProcess.cpu(), ownCPU()
	r := round{report: b.asRun(kind).measure(b.ctx, on.workload, newProgress(b.stderr))}
	if r.Requests > 0 {
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(r.Requests) }
		r.CPU, r.ClientCPU = each(on.serverProcess.cpu()-before), each(ownCPU()-own)
	}
	return r
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

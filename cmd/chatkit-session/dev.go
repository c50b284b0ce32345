package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/keyring"
)

// devCommands are the commands for development.
type devCommands struct {
	Run devCommand    `cmd:"" default:"withargs" help:"Run the service on SQLite with an identity provider of its own, on loopback only. This is what dev does without a subcommand."`
	Env devEnvCommand `cmd:"" help:"Open a session on the running dev service and print shell variables for it: URL, TOKEN, CHATKIT_SESSION_ID, SESSION_ID and INTROSPECTION_KEY."`
}

// devCommand runs the service with no other program installed. It has its own
// identity provider, and anyone who can read that provider's key file can sign
// in as any user. That is why dev listens on loopback only, and why serve
// cannot reach any of this code.
type devCommand struct {
	Listen    string `default:"${devListen}" help:"Loopback address to listen on."`
	DataDir   string `default:"${devDataDir}" type:"path" help:"Folder that keeps the database and the keys between runs."`
	User      string `default:"user_dev" help:"User to sign in as."`
	Role      string `default:"member" help:"The user's role, such as admin."`
	WriteKeys string `type:"path" placeholder:"DIR" help:"Instead of running, write the keys that serve needs to DIR and print its settings and a curl command; for a local stack."`
}

// Help says which settings apply.
func (devCommand) Help() string {
	return "dev takes the settings of serve, except for these, which it sets itself: LISTEN_ADDR (use --listen), DATABASE_URL, CHATKIT_TOKEN_KEYS and Clerk's keys, issuer and authorized parties. " +
		"It has its own defaults for four more: CHATKIT_WORKFLOW_ID is workflow_dev, LOG_LEVEL is debug, ALLOWED_ORIGINS are the local pages on ports 3000 and 5173, and INTROSPECTION_KEYS is a key kept in the data folder."
}

const (
	devListen  = "127.0.0.1:8080"
	devDataDir = ".chatkit-dev"
	devIssuer  = "https://dev.clerk.accounts.dev"
	// devTokenLifetime lets a developer paste the printed command all day.
	devTokenLifetime = 24 * time.Hour
)

// Run serves on loopback, or writes the keys.
func (d devCommand) Run(p *process) error {
	if d.WriteKeys != "" {
		return d.writeKeys(p)
	}
	if err := requireLoopback("--listen", d.Listen); err != nil {
		return err
	}
	keys, err := loadDevKeys(d.DataDir)
	if err != nil {
		return err
	}
	environ, ignored := d.environ(p.environ, keys)
	c, warnings, err := parseSettings(environ)
	if err != nil {
		return err
	}
	c.startPage = true
	logger := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: c.logLevel}))
	for _, name := range ignored {
		logger.Warn(name + " is set but has no effect in dev")
	}
	for _, warning := range warnings {
		logger.Warn(warning)
	}
	instance := devInstance{User: d.User, Role: d.Role}
	if len(c.IntrospectionKeys) > 0 {
		instance.IntrospectionKey = string(c.IntrospectionKeys[0])
	}
	err = listenAndServe(p.ctx, c, logger, d.Listen, func(address net.Addr) {
		instance.Address = address.String()
		if err := instance.register(d.DataDir); err != nil {
			logger.Warn("dev env will not find this service", "error", err)
		}
		_ = d.introduce(p, keys, instance)
	})
	return errors.Join(err, instance.unregister(d.DataDir))
}

// introduce prints where the service listens and what to do next.
func (d devCommand) introduce(p *process, keys devKeys, instance devInstance) error {
	_, err := fmt.Fprintf(p.stdout, "chatkit-session dev listens on %s and signs in as %s (%s). Stop it with Ctrl-C.\n\n"+
		"In another terminal, set URL, TOKEN, CHATKIT_SESSION_ID, SESSION_ID and INTROSPECTION_KEY:\n\n  %s\n\n",
		instance.url(), d.User, d.Role, d.evalLine(instance))
	if err := errors.Join(err, d.printCurl(p, keys, instance.url())); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Start page, with links to the documentation: %s/\n", instance.url())
	return err
}

// evalLine is the shell command that sets the variables of dev env for the
// instance.
func (d devCommand) evalLine(instance devInstance) string {
	command := []string{devProgram(), "dev", "env"}
	if folder, err := filepath.Abs(devDataDir); err != nil || folder != d.DataDir {
		command = append(command, "--data-dir", shellQuote(d.DataDir))
	}
	if d.Listen != devListen {
		command = append(command, "--listen", shellQuote(instance.Address))
	}
	return `eval "$(` + strings.Join(command, " ") + `)"`
}

// devProgram is the shell command that starts this program again: go run for
// a binary that go run built, whose file is gone once it ends.
func devProgram() string {
	program, err := os.Executable()
	switch {
	case err != nil:
		return "chatkit-session"
	case strings.Contains(filepath.ToSlash(program), "/go-build"):
		return "go run ./cmd/chatkit-session"
	}
	return shellQuote(program)
}

// environ returns the caller's environment with dev's own settings in place of
// the caller's, and the names of the caller's variables that this discards.
func (d devCommand) environ(environ []string, keys devKeys) (_, ignored []string) {
	own := []string{
		"LISTEN_ADDR=" + d.Listen,
		"DATABASE_URL=sqlite:" + filepath.Join(d.DataDir, "sessions.db"),
		"CHATKIT_TOKEN_KEYS=" + keys.token,
		"CLERK_JWT_KEY=" + string(keys.identity.PublicPEM()),
		"CLERK_ISSUER=" + keys.identity.Issuer(),
		"CLERK_SECRET_KEY=",
		"CLERK_AUTHORIZED_PARTIES=",
	}
	for _, fallback := range []string{
		"CHATKIT_WORKFLOW_ID=workflow_dev",
		"LOG_LEVEL=debug",
		"ALLOWED_ORIGINS=http://localhost:3000,http://127.0.0.1:3000,http://localhost:5173,http://127.0.0.1:5173",
		"INTROSPECTION_KEYS=" + keys.introspection,
	} {
		if name, _, _ := strings.Cut(fallback, "="); !isSet(environ, name) && !isSet(environ, name+fileSuffix) {
			own = append(own, fallback)
		}
	}
	kept := make([]string, 0, len(environ)+len(own))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case !containsName(own, strings.TrimSuffix(name, fileSuffix)):
			kept = append(kept, pair)
		case value != "":
			ignored = append(ignored, name)
		}
	}
	return append(kept, own...), ignored
}

// containsName reports whether one of the pairs NAME=VALUE has the name.
func containsName(pairs []string, name string) bool {
	return slices.ContainsFunc(pairs, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

// isSet reports whether environ sets a variable to a value that is not empty.
func isSet(environ []string, name string) bool {
	return containsName(environ, name) && !slices.Contains(environ, name+"=")
}

// requireLoopback returns an error that names the setting unless the address
// can be reached from this machine only.
func requireLoopback(setting, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s: %q must be a loopback address, such as %s: anyone who can read dev's key can sign in as any user", setting, address, devListen)
	}
	return nil
}

// devKeys are the secrets of a dev service, kept in its data folder.
type devKeys struct {
	identity      *fakeclerk.Instance
	token         string // CHATKIT_TOKEN_KEYS
	introspection string // INTROSPECTION_KEYS
}

// The files of devKeys. Other programs read them by these names.
const (
	signingKeyFile       = "signing_key.pem"
	tokenKeysFile        = "token_keys"
	introspectionKeyFile = "introspection_key"
)

// loadDevKeys reads the keys of a data folder and makes those that are missing.
func loadDevKeys(dir string) (keys devKeys, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keys, err
	}
	private, err := readOrMake(filepath.Join(dir, signingKeyFile), func() ([]byte, error) {
		fresh, err := fakeclerk.New(devIssuer)
		if err != nil {
			return nil, err
		}
		return fresh.PrivatePEM(), nil
	})
	if err != nil {
		return keys, err
	}
	if keys.identity, err = fakeclerk.Load(private, devIssuer); err != nil {
		return keys, err
	}
	generate := func() ([]byte, error) { return []byte(keyring.Generate()), nil }
	token, err := readOrMake(filepath.Join(dir, tokenKeysFile), generate)
	if err != nil {
		return keys, err
	}
	introspection, err := readOrMake(filepath.Join(dir, introspectionKeyFile), generate)
	keys.token, keys.introspection = strings.TrimSpace(string(token)), strings.TrimSpace(string(introspection))
	return keys, err
}

// mint signs a token in Clerk's format for a user who has just signed in: each
// token is of a sign-in of its own.
func (k devKeys) mint(user, role string) (string, error) {
	signIn := make([]byte, 8)
	_, _ = rand.Read(signIn) // never fails (crypto/rand)
	return k.identity.Mint(fakeclerk.Claims{
		Subject:  user,
		SignIn:   "sess_dev_" + hex.EncodeToString(signIn),
		Role:     role,
		IssuedAt: time.Now(),
		Lifetime: devTokenLifetime,
	})
}

// readOrMake returns the file's content. If there is no file, it first writes
// one that only this user can read.
func readOrMake(path string, content func() ([]byte, error)) ([]byte, error) {
	stored, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return stored, err
	}
	fresh, err := content()
	if err != nil {
		return nil, err
	}
	return fresh, os.WriteFile(path, fresh, 0o600)
}

// writeKeys writes the files that serve needs and prints the settings that
// name them.
func (d devCommand) writeKeys(p *process) error {
	keys, err := loadDevKeys(d.WriteKeys)
	if err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(d.WriteKeys, name) }
	public, issuer := file("clerk_jwt_key.pem"), file("clerk_issuer")
	if err := errors.Join(os.WriteFile(public, keys.identity.PublicPEM(), 0o600), os.WriteFile(issuer, []byte(keys.identity.Issuer()), 0o600)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Settings of serve for these keys (leave CLERK_AUTHORIZED_PARTIES unset, or set it to http://localhost:3000):\n\n"+
		"  export CHATKIT_WORKFLOW_ID=workflow_dev \\\n    CLERK_JWT_KEY_FILE=%s \\\n    CLERK_ISSUER_FILE=%s \\\n    CHATKIT_TOKEN_KEYS_FILE=%s \\\n    INTROSPECTION_KEYS_FILE=%s\n\n",
		shellQuote(public), shellQuote(issuer), shellQuote(file(tokenKeysFile)), shellQuote(file(introspectionKeyFile)))
	return errors.Join(err, d.printCurl(p, keys, "http://"+d.Listen))
}

// printCurl prints a command that opens a session.
func (d devCommand) printCurl(p *process, keys devKeys, url string) error {
	token, err := keys.mint(d.User, d.Role)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Open a session with one command, valid for %.0f hours:\n\n  curl -sS -X POST %s/api/chatkit/session -H 'Authorization: Bearer %s'\n\n",
		devTokenLifetime.Hours(), url, token)
	return err
}

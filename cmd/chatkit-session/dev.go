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

// devCommand runs the service with nothing else installed. It has its own
// identity provider, whose private key lies in a file: that is why it listens
// on loopback only, and why serve cannot reach any of it.
type devCommand struct {
	Listen    string `default:"127.0.0.1:8080" help:"Loopback address to listen on."`
	DataDir   string `default:".chatkit-dev" type:"path" help:"Folder that keeps the database and the keys between runs."`
	User      string `default:"user_dev" help:"User that the printed line is for."`
	Role      string `default:"member" help:"Their role, such as admin."`
	WriteKeys string `type:"path" placeholder:"DIR" help:"Write the keys that serve needs to DIR, print its settings and a curl line, and exit; for a local stack."`
}

// Help says which settings count.
func (devCommand) Help() string {
	return "The settings of serve count, but for the address, which is --listen, and for the database, the keys and Clerk's, which dev brings itself. " +
		"Unless they are set, CHATKIT_WORKFLOW_ID is workflow_dev, LOG_LEVEL is debug and ALLOWED_ORIGINS are local pages on the ports 3000 and 5173."
}

const (
	devIssuer = "https://dev.clerk.accounts.dev"
	// devTokenLifetime is long, so that the printed line can be pasted all day.
	devTokenLifetime = 24 * time.Hour
)

// Run serves on loopback, or writes the keys.
func (d devCommand) Run(p *process) error {
	if d.WriteKeys != "" {
		return d.writeKeys(p)
	}
	if err := requireLoopback(d.Listen); err != nil {
		return err
	}
	identity, keys, err := devSecrets(d.DataDir)
	if err != nil {
		return err
	}
	environ, ignored := d.environ(p.environ, identity, keys)
	c, warnings, err := parseSettings(environ)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: c.logLevel}))
	for _, name := range ignored {
		logger.Warn(name + " is set, and does not count in dev")
	}
	for _, warning := range warnings {
		logger.Warn(warning)
	}
	return listenAndServe(p.ctx, c, logger, d.Listen, func(address net.Addr) {
		_ = d.printCurl(p, identity, "http://"+address.String())
		_, _ = fmt.Fprintf(p.stdout, "The first answer says \"created\", the next \"reused\". The API is described at http://%s/docs.\nStop with Ctrl-C; sessions survive a restart.\n", address)
	})
}

// environ is the caller's environment with what dev decides itself put over
// it, and the names of what does not count for that.
func (d devCommand) environ(environ []string, identity *fakeclerk.Instance, keys string) (_, ignored []string) {
	own := []string{
		"LISTEN_ADDR=" + d.Listen,
		"DATABASE_URL=sqlite:" + filepath.Join(d.DataDir, "sessions.db"),
		"CHATKIT_TOKEN_KEYS=" + keys,
		"CLERK_JWT_KEY=" + string(identity.PublicPEM()),
		"CLERK_ISSUER=" + identity.Issuer(),
		"CLERK_SECRET_KEY=",
		"CLERK_AUTHORIZED_PARTIES=",
	}
	for _, fallback := range []string{
		"CHATKIT_WORKFLOW_ID=workflow_dev",
		"LOG_LEVEL=debug",
		"ALLOWED_ORIGINS=http://localhost:3000,http://127.0.0.1:3000,http://localhost:5173,http://127.0.0.1:5173",
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

func containsName(pairs []string, name string) bool {
	return slices.ContainsFunc(pairs, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

// isSet reports whether a variable is; an empty one is not.
func isSet(environ []string, name string) bool {
	return containsName(environ, name) && !slices.Contains(environ, name+"=")
}

// requireLoopback refuses addresses that others can reach.
func requireLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen: dev trusts anybody who can read its key: %q is not a loopback address", host)
	}
	return nil
}

// devSecrets returns the identity provider and the token keys of dir, made
// when they are missing.
func devSecrets(dir string) (*fakeclerk.Instance, string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	private, err := readOrMake(filepath.Join(dir, "signing_key.pem"), func() ([]byte, error) {
		fresh, err := fakeclerk.New(devIssuer)
		if err != nil {
			return nil, err
		}
		return fresh.PrivatePEM(), nil
	})
	if err != nil {
		return nil, "", err
	}
	identity, err := fakeclerk.Load(private, devIssuer)
	if err != nil {
		return nil, "", err
	}
	keys, err := readOrMake(filepath.Join(dir, "token_keys"), func() ([]byte, error) { return []byte(keyring.Generate()), nil })
	return identity, strings.TrimSpace(string(keys)), err
}

// readOrMake returns the file's content, written first when there is no file.
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

// writeKeys leaves what serve takes, and says as which setting.
func (d devCommand) writeKeys(p *process) error {
	identity, _, err := devSecrets(d.WriteKeys)
	if err != nil {
		return err
	}
	keys, issuer := filepath.Join(d.WriteKeys, "clerk_jwt_key.pem"), filepath.Join(d.WriteKeys, "clerk_issuer")
	if err := errors.Join(os.WriteFile(keys, identity.PublicPEM(), 0o600), os.WriteFile(issuer, []byte(identity.Issuer()), 0o600)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "The settings of serve for these keys (CLERK_AUTHORIZED_PARTIES unset, or http://localhost:3000):\n\n  export CHATKIT_WORKFLOW_ID=workflow_dev \\\n    CLERK_JWT_KEY_FILE=%s \\\n    CLERK_ISSUER_FILE=%s \\\n    CHATKIT_TOKEN_KEYS_FILE=%s\n\n",
		keys, issuer, filepath.Join(d.WriteKeys, "token_keys"))
	return errors.Join(err, d.printCurl(p, identity, "http://"+d.Listen))
}

// printCurl prints a line that opens a session when it is pasted.
func (d devCommand) printCurl(p *process, identity *fakeclerk.Instance, address string) error {
	signIn := make([]byte, 8)
	_, _ = rand.Read(signIn) // never fails (crypto/rand)
	now := time.Now()
	token, err := identity.Mint(fakeclerk.Claims{
		Subject:  d.User,
		SignIn:   "sess_dev_" + hex.EncodeToString(signIn),
		Role:     d.Role,
		IssuedAt: now,
		Lifetime: devTokenLifetime,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Open a session as %s (the line works until %s):\n\n  curl -sS -X POST %s/api/chatkit/session -H 'Authorization: Bearer %s'\n\n",
		d.User, now.Add(devTokenLifetime).UTC().Format(time.RFC3339), address, token)
	return err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// devEnvCommand prints shell variables for a running dev service:
//
//  1. dev, once it listens, registers in its data folder: it writes a file
//     with its address, which only the user can read.
//  2. dev env reads these files. A file whose address refuses connections was
//     left by a dev that was killed, and is skipped.
//  3. dev env mints a token with the key of the data folder and opens a session
//     on the one service that is left.
//  4. dev removes its file when it ends.
type devEnvCommand struct {
	DataDir string `default:"${devDataDir}" type:"path" help:"Data folder of the running dev service."`
	Listen  string `placeholder:"ADDRESS" help:"Address of the dev service; required only if several use the data folder."`
	User    string `help:"User to sign in as; the user of the dev service by default."`
	Role    string `help:"The user's role, such as admin; the role of the dev service by default."`
}

// Help shows the command line to use.
func (devEnvCommand) Help() string {
	return "Use it in another terminal while dev runs:\n\n  eval \"$(chatkit-session dev env)\"\n\n" +
		"URL is the address of the service. TOKEN is a Clerk token of a new sign-in. CHATKIT_SESSION_ID is the token of the session that this command opens, and SESSION_ID is the session's id. INTROSPECTION_KEY is a key for introspection."
}

// devEnvTimeout bounds each step of dev env that uses the network.
const devEnvTimeout = 10 * time.Second

// Run prints the variables. Nothing is printed to stdout if it fails.
func (e devEnvCommand) Run(p *process) error {
	instance, err := e.find(p.ctx)
	if err != nil {
		return err
	}
	keys, err := loadDevKeys(e.DataDir)
	if err != nil {
		return err
	}
	if e.User != "" {
		instance.User = e.User
	}
	if e.Role != "" {
		instance.Role = e.Role
	}
	token, err := keys.mint(instance.User, instance.Role)
	if err != nil {
		return err
	}
	sessionToken, sessionID, err := instance.open(p.ctx, token)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "export URL=%s\nexport TOKEN=%s\nexport CHATKIT_SESSION_ID=%s\nexport SESSION_ID=%s\nexport INTROSPECTION_KEY=%s\n",
		shellQuote(instance.url()), shellQuote(token), shellQuote(sessionToken), shellQuote(sessionID), shellQuote(instance.IntrospectionKey))
	return err
}

// find returns the dev service that runs with the data folder. It is an error
// if there is none, or more than one and Listen does not choose.
func (e devEnvCommand) find(ctx context.Context) (devInstance, error) {
	registered, err := registeredDevs(e.DataDir)
	if err != nil {
		return devInstance{}, err
	}
	var running []devInstance
	var choices []string
	for _, instance := range registered {
		if e.Listen != "" && !sameAddress(e.Listen, instance.Address) {
			continue
		}
		if instance.running(ctx) {
			running = append(running, instance)
			choices = append(choices, "--listen "+instance.Address)
		}
	}
	switch {
	case len(running) == 1:
		return running[0], nil
	case len(running) > 1:
		return devInstance{}, fmt.Errorf("%d dev services run with the data folder %s: choose one with %s", len(running), e.DataDir, strings.Join(choices, " or "))
	case e.Listen != "":
		return devInstance{}, fmt.Errorf("no dev service runs on %s with the data folder %s: start one with chatkit-session dev --listen %s, or leave out --listen", e.Listen, e.DataDir, e.Listen)
	}
	return devInstance{}, fmt.Errorf("no dev service runs with the data folder %s: start one with chatkit-session dev, or name its folder with --data-dir", e.DataDir)
}

// sameAddress reports whether two addresses resolve to the same host and port.
func sameAddress(a, b string) bool {
	one, err := net.ResolveTCPAddr("tcp", a)
	if err != nil {
		return false
	}
	other, err := net.ResolveTCPAddr("tcp", b)
	return err == nil && one.String() == other.String()
}

// devInstance is a running dev service, as its file in the data folder
// describes it.
type devInstance struct {
	Address string `json:"address"`
	// Process is the service's process id. It tells this service's file from
	// the file of a later one on the same address.
	Process int `json:"process"`
	// User and Role are those of dev's own command line.
	User string `json:"user"`
	Role string `json:"role"`
	// IntrospectionKey is the first of the service's INTROSPECTION_KEYS.
	IntrospectionKey string `json:"introspectionKey"`
}

func (i devInstance) url() string { return "http://" + i.Address }

// runningFolder is the folder of a data folder that has a file for each
// running dev service.
const runningFolder = "running"

func (i devInstance) file(dataDir string) string {
	return filepath.Join(dataDir, runningFolder, url.QueryEscape(i.Address)+".json")
}

// register writes the service's file. Only the user can read it, and it
// appears whole.
func (i *devInstance) register(dataDir string) error {
	i.Process = os.Getpid()
	folder := filepath.Join(dataDir, runningFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), i.file(dataDir))
}

// unregister removes the service's file, if it has one. The file of a later
// service on the same address stays.
func (i *devInstance) unregister(dataDir string) error {
	if i.Address == "" {
		return nil
	}
	stored, err := readDevInstance(i.file(dataDir))
	if err == nil && stored.Process == i.Process {
		err = os.Remove(i.file(dataDir))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// registeredDevs returns the services that have a file in the data folder. Some
// of them may have been killed.
func registeredDevs(dataDir string) ([]devInstance, error) {
	files, err := filepath.Glob(filepath.Join(dataDir, runningFolder, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []devInstance
	for _, file := range files {
		instance, err := readDevInstance(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // that service has just ended
		}
		if err != nil {
			return nil, err
		}
		all = append(all, instance)
	}
	return all, nil
}

// readDevInstance reads a service's file. An address that is not a loopback
// address is an error: tokens are sent there.
func readDevInstance(file string) (instance devInstance, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return instance, err
	}
	if err := json.Unmarshal(content, &instance); err != nil {
		return instance, fmt.Errorf("%s is invalid: delete it and restart dev", file)
	}
	return instance, requireLoopback(file, instance.Address)
}

// running reports whether the service accepts connections.
func (i devInstance) running(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, devEnvTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", i.Address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// open opens a session and returns its token and its id. Errors show neither
// the answer nor a token.
func (i devInstance) open(ctx context.Context, token string) (sessionToken, sessionID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, devEnvTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url()+"/api/chatkit/session", http.NoBody)
	if err != nil {
		return "", "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{DisableKeepAlives: true} // without a proxy
	response, err := transport.RoundTrip(request)         // which follows no redirect
	if err != nil {
		return "", "", fmt.Errorf("open a session on %s: %w", i.url(), err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	var body struct {
		Session struct {
			Token string `json:"chatKitSessionId"`
			ID    string `json:"id"`
		} `json:"session"`
		Code string `json:"code"`
	}
	err = json.NewDecoder(response.Body).Decode(&body)
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return "", "", fmt.Errorf("%s does not accept the keys of this data folder: another program listens there, or the keys have changed; restart dev", i.url())
	case response.StatusCode != http.StatusOK:
		return "", "", fmt.Errorf("open a session on %s: %s %s", i.url(), response.Status, body.Code)
	case err != nil || body.Session.Token == "" || body.Session.ID == "":
		return "", "", fmt.Errorf("%s does not answer as chatkit-session: another program listens there; restart dev", i.url())
	}
	return body.Session.Token, body.Session.ID, nil
}

// shellQuote returns text as one word of a POSIX shell.
func shellQuote(text string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,+@%="
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

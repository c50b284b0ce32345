package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/baseline"
)

// floorCommand serves the floor.
type floorCommand struct {
	Database    string `required:"" placeholder:"URL" help:"URL of the database that the service uses."`
	Keys        string `required:"" type:"existingdir" placeholder:"DIR" help:"Folder that chatkit-session dev --write-keys has written."`
	Listen      string `default:"127.0.0.1:8081" help:"Loopback address to listen on."`
	Workflow    string `default:"workflow_dev" help:"The service's CHATKIT_WORKFLOW_ID."`
	NoSignature bool   `help:"Accept tokens without verifying their signature."`
}

// floorConnections is the size of the floor's pool, the service's own default.
const floorConnections = postgres.DefaultMaxConnections

// Run serves until the process is told to stop.
func (f floorCommand) Run(p *process) error {
	if err := requireLoopback(f.Listen); err != nil {
		return err
	}
	identity, err := loadIdentity(f.Keys)
	if err != nil {
		return err
	}
	conn, err := postgres.Connect(p.ctx, postgres.Config{URL: f.Database})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it only reads
	conn.SetMaxOpenConns(floorConnections)
	conn.SetMaxIdleConns(floorConnections)
	reads, err := baseline.New(p.ctx, conn)
	if err != nil {
		return err
	}
	defer reads.Close() //nolint:errcheck // it only reads
	key, err := publicKey(identity)
	if err != nil {
		return err
	}
	if f.NoSignature {
		key = nil
	}
	listener, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", f.Listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.stdout, "the floor listens on http://%s\n", listener.Addr())
	return serveFloor(p.ctx, listener, newFloor(key, reads, f.Workflow))
}

// serveFloor answers until ctx ends.
func serveFloor(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	ended := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer ended()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newFloor returns the floor's handler. Without a key it does not verify
// signatures.
func newFloor(key *rsa.PublicKey, reads *baseline.Reader, workflow string) http.Handler {
	f := &floor{key: key, reads: reads, workflow: workflow, now: time.Now}
	routes := http.NewServeMux()
	routes.HandleFunc("POST "+below+"/session", f.open)
	routes.HandleFunc("GET "+below+"/session/verify", f.verify)
	routes.HandleFunc("POST "+below+"/session/introspect", f.introspect)
	routes.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return routes
}

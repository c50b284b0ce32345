package main

import (
	"context"
	"io"

	"chatkit-session/cmd/internal/commandline"
)

// process is the part of the world that a command may use.
type process struct {
	ctx            context.Context //nolint:containedctx // kong binds one value for all commands.
	stdout, stderr io.Writer
}

// commands is the command line.
type commands struct {
	Run     runCommand     `cmd:"" help:"Send requests to a service and report its latencies and throughput."`
	Seed    seedCommand    `cmd:"" help:"Fill a database with sessions, by COPY."`
	Floor   floorCommand   `cmd:"" help:"Serve the floor: a server that does the least work that any service of this kind must do."`
	Compare compareCommand `cmd:"" help:"Measure a chatkit-session binary against the floor, in alternate rounds, on a new database."`
	Scale   scaleCommand   `cmd:"" help:"Measure how many stored sessions, and their clean-up, slow a chatkit-session binary down, on a new database."`

	Overload overloadCommand `cmd:"" help:"Measure a chatkit-session binary under more load than it can answer, on a new database."`
}

// run is the whole program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	program := commandline.Program{
		Name:        "loadgen",
		Description: "Measures chatkit-session. For development: it mints tokens with the keys of chatkit-session dev --write-keys.",
		Commands:    &commands{},
	}
	return program.Run(args, &process{ctx: ctx, stdout: stdout, stderr: stderr}, stdout, stderr)
}

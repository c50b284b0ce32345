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
	Run     runCommand     `cmd:"" help:"Ask a service and report how fast it answers."`
	Seed    seedCommand    `cmd:"" help:"Fill a database's sessions by COPY."`
	Floor   floorCommand   `cmd:"" help:"Serve the floor: the least that any service of this kind has to do."`
	Compare compareCommand `cmd:"" help:"Measure a chatkit-session binary against the floor, in turns, from scratch."`
	Scale   scaleCommand   `cmd:"" help:"Measure what much data and its clean-up do to a chatkit-session binary, from scratch."`

	Overload overloadCommand `cmd:"" help:"Measure what a chatkit-session binary does with more than it can answer, from scratch."`
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

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// process is what a command may use of the world.
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

// exit is what kong's wish to end the process becomes, so that run returns.
type exit int

// run is the whole program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case exit:
			if value != 0 {
				err = fmt.Errorf("exit status %d", value)
			}
		default:
			panic(value)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("loadgen"),
		kong.Description("Measures chatkit-session. For development: it mints tokens with the keys of chatkit-session dev --write-keys."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (try loadgen --help)", err)
	}
	return command.Run(&process{ctx: ctx, stdout: stdout, stderr: stderr})
}

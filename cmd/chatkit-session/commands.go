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
	environ        []string
	stdout, stderr io.Writer
}

// commands is the command line.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the service with the settings of the environment."`
	Dev         devCommands        `cmd:"" help:"Run the service for development."`
	Migrate     migrateCommand     `cmd:"" help:"Bring the database's schema up to date and exit."`
	Cleanup     cleanupCommand     `cmd:"" help:"End sessions whose time is up, delete those that ended long ago, and exit."`
	Keygen      keygenCommand      `cmd:"" help:"Print a new key for CHATKIT_TOKEN_KEYS."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the service at LISTEN_ADDR whether it is ready; for container health checks."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// exit is what kong's wish to end the process becomes, so that run returns.
type exit int

// run is the whole program. It returns when the command is done, or, for
// commands that serve, when ctx ends and all is closed.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) (err error) {
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
		kong.Name("chatkit-session"),
		kong.Description("Sessions for ChatKit users who sign in with Clerk."),
		kong.Vars{"devListen": devListen, "devDataDir": devDataDir},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (try chatkit-session --help)", err)
	}
	return command.Run(&process{ctx: ctx, environ: environ, stdout: stdout, stderr: stderr})
}

package main

import (
	"context"
	"io"

	"github.com/alecthomas/kong"

	"chatkit-session/cmd/internal/commandline"
)

// process is the part of the world that a command may use.
type process struct {
	ctx            context.Context //nolint:containedctx // kong binds one value for all commands.
	environ        []string
	stdout, stderr io.Writer
}

// commands is the command line.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the service. Its settings are environment variables."`
	Dev         devCommands        `cmd:"" help:"Run the service for development."`
	Migrate     migrateCommand     `cmd:"" help:"Apply missing database migrations and exit."`
	Cleanup     cleanupCommand     `cmd:"" help:"End expired sessions, delete old records and exit."`
	Keygen      keygenCommand      `cmd:"" help:"Print a new key for CHATKIT_TOKEN_KEYS."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit with status 0 if the service at LISTEN_ADDR is ready; for container health checks."`
	Version     versionCommand     `cmd:"" help:"Print the version."`

	SettingsPage settingsPageCommand `cmd:"" hidden:"" help:"Write docs/settings.md."`
}

// run is the whole program. It returns when the command is done. Commands that
// serve are done when ctx has ended and everything is closed.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	program := commandline.Program{
		Name:        "chatkit-session",
		Description: "Sessions for ChatKit users who sign in with Clerk.",
		Commands:    &commands{},
		Vars:        kong.Vars{"devListen": devListen, "devDataDir": devDataDir},
	}
	return program.Run(args, &process{ctx: ctx, environ: environ, stdout: stdout, stderr: stderr}, stdout, stderr)
}

// Package commandline runs a program: signals, the parsing of its command line
// and its exit status. The programs in cmd share it.
package commandline

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Main calls run with a context that ends at the first SIGINT or SIGTERM. A
// second signal kills the process. If run fails, Main prints the error after
// the program's name and exits with status 1.
func Main(name string, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Program describes a program's command line.
type Program struct {
	Name, Description string
	// Commands points to a struct whose fields are the commands, as kong
	// describes them. Each has a method Run that takes the process.
	Commands any
	// Vars are what ${name} stands for in the commands' tags.
	Vars kong.Vars
}

// Run parses args and runs the command that they select, with process as its
// argument. Help goes to stdout. Run never exits the process: where kong would
// exit, Run returns.
func (p Program) Run(args []string, process any, stdout, stderr io.Writer) (err error) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case exitStatus:
			if value != 0 {
				err = fmt.Errorf("exit status %d", value)
			}
		default:
			panic(value)
		}
	}()
	parser, err := kong.New(p.Commands,
		kong.Name(p.Name),
		kong.Description(p.Description),
		p.Vars,
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { panic(exitStatus(status)) }),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (try %s --help)", err, p.Name)
	}
	return command.Run(process)
}

// exitStatus unwinds the stack when kong wants to exit the process.
type exitStatus int

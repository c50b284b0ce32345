package commandline_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"chatkit-session/cmd/internal/commandline"
)

type process struct{ greeted string }

type commands struct {
	Greet greet `cmd:"" help:"Greet ${who}."`
	Fail  fail  `cmd:""`
	Crash crash `cmd:""`
}

type greet struct {
	Name string `default:"you"`
}

func (g greet) Run(p *process) error { p.greeted = g.Name; return nil }

var errFailed = errors.New("failed")

type fail struct{}

func (fail) Run(*process) error { return errFailed }

type crash struct{}

func (crash) Run(*process) error { panic("a bug") }

func program() commandline.Program {
	return commandline.Program{Name: "test", Commands: &commands{}, Vars: kong.Vars{"who": "somebody"}}
}

func TestProgram_Run(t *testing.T) {
	t.Parallel()
	t.Run("SelectedCommand", func(t *testing.T) {
		t.Parallel()
		var p process
		if err := program().Run([]string{"greet", "--name", "me"}, &p, io.Discard, io.Discard); err != nil || p.greeted != "me" {
			t.Errorf("greeted %q, %v", p.greeted, err)
		}
	})
	t.Run("Help", func(t *testing.T) {
		t.Parallel()
		var out, errs bytes.Buffer
		if err := program().Run([]string{"--help"}, &process{}, &out, &errs); err != nil || errs.Len() > 0 || !strings.Contains(out.String(), "Greet somebody.") {
			t.Errorf("help = %v\n%s%s", err, &out, &errs)
		}
	})
	t.Run("CommandFails", func(t *testing.T) {
		t.Parallel()
		if err := program().Run([]string{"fail"}, &process{}, io.Discard, io.Discard); !errors.Is(err, errFailed) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("UnknownCommand", func(t *testing.T) {
		t.Parallel()
		if err := program().Run([]string{"fly"}, &process{}, io.Discard, io.Discard); err == nil || !strings.HasSuffix(err.Error(), "(try test --help)") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("PanicPasses", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = program().Run([]string{"crash"}, &process{}, io.Discard, io.Discard)
	})
}

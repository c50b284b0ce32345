package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	blockTimeout = 5 * time.Minute // go run in a new folder compiles
)

// runner runs shell blocks beside a chatkit-session dev. It has
//
//   - bin, first in the blocks' PATH: the service's binary and a curl that fails
//     on an HTTP error,
//   - data, the data folder of the dev service,
//   - page, the copy of the repository that the blocks of one page run in; it
//     has the same path for each page, so that Go compiles the service once.
type runner struct {
	repo            repository
	bin, data, page string
	service         *exec.Cmd
	ended           chan struct{} // is closed once service has ended
	log             bytes.Buffer  // of service; to be read once it has ended
}

// startRunner builds the service and starts it. The caller must stop it.
func startRunner(ctx context.Context, repo repository, scratch string) (*runner, error) {
	r := &runner{repo: repo, bin: filepath.Join(scratch, "bin"), data: filepath.Join(scratch, "data"), page: filepath.Join(scratch, "page"), ended: make(chan struct{})}
	if err := os.MkdirAll(r.bin, 0o700); err != nil {
		return nil, err
	}
	if err := writeCurl(r.bin); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", r.binary(), "./cmd/chatkit-session")
	build.Dir, build.Env = repo.root, r.environ()
	if printed, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the service: %w\n%s", err, printed)
	}
	// More sessions are opened than a person would, and pages may show the
	// headers of rate limits.
	r.service = exec.CommandContext(context.WithoutCancel(ctx), r.binary(), "dev", "--listen", "127.0.0.1:0", "--data-dir", r.data)
	r.service.Env = append(r.environ(), "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=6000")
	r.service.Stdout, r.service.Stderr = &r.log, &r.log
	r.service.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.service.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.service.Wait()
		close(r.ended)
	}()
	if err := r.waitUntilReady(ctx); err != nil {
		r.stop()
		return nil, fmt.Errorf("%w\n%s", err, r.log.Bytes())
	}
	return r, nil
}

func (r *runner) binary() string { return filepath.Join(r.bin, "chatkit-session") }

// waitUntilReady waits until dev env finds the service.
func (r *runner) waitUntilReady(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		_, err := r.variables(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-r.ended:
			return fmt.Errorf("chatkit-session dev ended: %s", r.service.ProcessState)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("chatkit-session dev did not start: %w", err)
		}
	}
}

// variables is what dev env prints: shell commands that set variables for a new
// session.
func (r *runner) variables(ctx context.Context) ([]byte, error) {
	command := exec.CommandContext(ctx, r.binary(), "dev", "env", "--data-dir", r.data)
	command.Env = r.environ()
	var stderr bytes.Buffer
	command.Stderr = &stderr
	printed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("chatkit-session dev env: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return printed, nil
}

// stop ends the service.
func (r *runner) stop() {
	_ = r.service.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(5 * time.Second):
		killGroup(r.service)
		<-r.ended
	}
}

// killGroup ends a command that leads a process group, and its children.
func killGroup(command *exec.Cmd) {
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
}

// ownSettings begin the names of variables that would change what the service
// does.
var ownSettings = []string{"CHATKIT_", "CLERK_", "DATABASE_", "REDIS_", "LISTEN_ADDR", "METRICS_ADDR", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "INTROSPECTION_KEYS", "LOG_LEVEL"}

// environ is the caller's environment without settings of the service, and with
// bin first in the PATH.
func (r *runner) environ() []string {
	environ := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return slices.ContainsFunc(ownSettings, func(prefix string) bool { return strings.HasPrefix(pair, prefix) })
	})
	return append(environ, "PATH="+r.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// beginPage copies the repository, unless an earlier block of the page did. Its
// .chatkit-dev is the data folder of the running service, as it is for a reader
// who started dev in the repository.
func (r *runner) beginPage() error {
	if _, err := os.Stat(r.page); err == nil {
		return nil
	}
	if err := r.repo.copyTo(r.page); err != nil {
		return err
	}
	return os.Symlink(r.data, filepath.Join(r.page, ".chatkit-dev"))
}

func (r *runner) endPage() { _ = os.RemoveAll(r.page) }

// preamble runs before each block: it names the command that fails.
const preamble = `trap 'echo "line $LINENO: exit status $?: $BASH_COMMAND" >&2' ERR; `

// runShell runs a block and reports its failure with the end of its output.
func (c *blockChecker) runShell(ctx context.Context, p page, b block) error {
	if c.runner == nil {
		started, err := startRunner(ctx, c.repo, c.scratch)
		if err != nil {
			return err
		}
		c.runner = started
	}
	if err := c.runner.beginPage(); err != nil {
		return err
	}
	variables, err := c.runner.variables(ctx)
	if err != nil {
		return err
	}
	environment := filepath.Join(c.scratch, "env.sh")
	if err := os.WriteFile(environment, variables, 0o600); err != nil {
		return err
	}
	file, err := c.write(p, b, ".sh", preamble+". "+environment+";")
	if err != nil {
		return err
	}
	printed, err := c.runner.bash(ctx, file, b.has(optionAnyStatus))
	var exit *exec.ExitError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return blockErrorf("still runs after %s: end it, or mark the block sh no-run; it printed:\n%s", blockTimeout, c.lastLines(printed, p, file))
	case errors.As(err, &exit) && ctx.Err() == nil:
		return blockErrorf("%v:\n%s", err, c.lastLines(printed, p, file))
	}
	return err
}

// bash runs a script. Whatever it started in the background ends with it.
func (r *runner) bash(ctx context.Context, file string, anyStatus bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, blockTimeout)
	defer cancel()
	var printed bytes.Buffer
	command := exec.CommandContext(ctx, "bash", "-Eeuo", "pipefail", file)
	command.Dir, command.Env = r.page, r.environ()
	if anyStatus {
		command.Env = append(command.Env, "DOCSCHECK_ANY_STATUS=1")
	}
	command.Stdout, command.Stderr = &printed, &printed
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { killGroup(command); return nil }
	command.WaitDelay = time.Second // for children that keep the output open
	err := command.Run()
	killGroup(command)
	switch {
	case ctx.Err() != nil:
		return printed.String(), ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		return printed.String(), nil
	}
	return printed.String(), err
}

// writeCurl writes a curl that fails on an HTTP error, unless its command line
// or the block's options say what to do then.
func writeCurl(bin string) error {
	curl, err := lookPath("curl")
	if err != nil {
		return err
	}
	script := `#!/bin/sh
if [ -n "${DOCSCHECK_ANY_STATUS:-}" ]; then exec '` + curl + `' "$@"; fi
for argument; do
    case $argument in
    --fail* | -f* | -[!-]*f*) exec '` + curl + `' "$@" ;;
    esac
done
exec '` + curl + `' --fail-with-body "$@"
`
	return os.WriteFile(filepath.Join(bin, "curl"), []byte(script), 0o700)
}

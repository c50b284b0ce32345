package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func contextWithStop(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	return ctx, stop
}

// running is a command that runs until it is stopped.
type running struct {
	logs, output *logs         // stderr and stdout
	curls        chan []string // the curl commands that it prints, in parts
	// openURL and pasted are the address and the header of the last one.
	openURL, pasted string
	stop            func() error
}

var curlLine = regexp.MustCompile(`curl -sS -X POST (\S+) -H '(Authorization): ([^']+)'`)

// start runs a command that serves.
func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	ctx, cancel := contextWithStop(t)
	reader, writer := io.Pipe()
	r := &running{logs: newLogs(), output: newLogs(), curls: make(chan []string, 1)}
	go func() {
		defer close(r.curls)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if parts := curlLine.FindStringSubmatch(lines.Text()); parts != nil {
				r.curls <- parts
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, environ, io.MultiWriter(r.output, writer), r.logs)
		_ = writer.CloseWithError(io.EOF)
		ended <- err
	}()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// paste returns a function that does the same as the printed curl command.
func (r *running) paste(t *testing.T) func() answer {
	t.Helper()
	parts, printed := <-r.curls
	if !printed {
		t.Fatalf("no curl line: %v\n%s", r.stop(), r.logs)
	}
	r.openURL, r.pasted = parts[1], parts[3]
	return func() answer { return r.openAs(t, r.pasted) }
}

// openAs opens a session at the URL of the printed curl command.
func (r *running) openAs(t *testing.T, credential string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.openURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return parseAnswer(t, response)
}

var listening = regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)

// url waits until serve listens and returns its URL.
func (r *running) url(t *testing.T) string {
	t.Helper()
	return "http://" + r.logs.await(t, listening)[1]
}

func (r *running) post(t *testing.T, credential string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url(t)+"/api/chatkit/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return parseAnswer(t, response)
}

func TestRun_Small(t *testing.T) {
	t.Parallel()
	output := func(args ...string) string {
		var out bytes.Buffer
		if err := run(t.Context(), args, nil, &out, &out); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		return out.String()
	}
	if got := output("version"); got != version+"\n" {
		t.Errorf("version = %q", got)
	}
	if one, two := output("keygen"), output("keygen"); one == two || len(one) != 45 {
		t.Errorf("keygen = %q, %q", one, two)
	}
	help := output("serve", "--help")
	for _, s := range allSettings() {
		if !strings.Contains(help, "\n"+s.name) && !strings.Contains(help, " "+s.name) {
			t.Errorf("serve --help does not list %s", s.name)
		}
	}
	if err := run(t.Context(), []string{"fly"}, nil, io.Discard, io.Discard); err == nil {
		t.Error("an unknown command is accepted")
	}
}

// A panic is not turned into a success.
func TestRun_Panics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	_ = run(t.Context(), []string{"version"}, nil, panicking{}, io.Discard)
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("a bug") }

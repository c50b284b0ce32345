package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// holdFor is how long a line may wait for others to be written with.
	holdFor = 100 * time.Millisecond
	// mostHeld is how many bytes wait at most.
	mostHeld = 32 << 10
)

// lines writes what is logged, many lines at a time: a write of its own takes
// longer than all else about a line, and there is one for each request.
type lines struct {
	mu   sync.Mutex
	out  io.Writer
	held []byte
	due  *time.Timer // when what is held is written at the latest
}

// Write holds a line back, whole.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) == 0 {
		l.due = time.AfterFunc(holdFor, l.flush)
	}
	l.held = append(l.held, line...)
	if len(l.held) >= mostHeld {
		l.write()
	}
	return len(line), nil
}

// flush writes what waits.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
}

// write writes what waits. The caller holds mu.
func (l *lines) write() {
	if len(l.held) == 0 {
		return
	}
	l.due.Stop()
	_, _ = l.out.Write(l.held) // there is nowhere else to say that it failed
	l.held = l.held[:0]
}

// prompt is a handler of lines that lets nothing wait that somebody may have
// to act on: it is there even when the process dies at once.
type prompt struct {
	slog.Handler
	lines *lines
}

// Handle implements slog.Handler.
func (p prompt) Handle(ctx context.Context, record slog.Record) error {
	err := p.Handler.Handle(ctx, record)
	if record.Level >= slog.LevelWarn {
		p.lines.flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (p prompt) WithAttrs(attributes []slog.Attr) slog.Handler {
	return prompt{p.Handler.WithAttrs(attributes), p.lines}
}

// WithGroup implements slog.Handler.
func (p prompt) WithGroup(name string) slog.Handler {
	return prompt{p.Handler.WithGroup(name), p.lines}
}

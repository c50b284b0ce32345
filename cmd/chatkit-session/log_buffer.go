package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxDelay is how long a line may be buffered.
	maxDelay = 100 * time.Millisecond
	// maxBuffered is the number of bytes at which the buffer is written.
	maxBuffered = 32 << 10
)

// logBuffer collects log lines and writes many of them at once. Each request logs
// a line, and a system call per line would be the most expensive part of it.
type logBuffer struct {
	mu       sync.Mutex
	out      io.Writer
	buffered []byte
	due      *time.Timer // fires when the oldest line has waited for maxDelay
}

// Write buffers a line. It keeps lines whole.
func (l *logBuffer) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buffered) == 0 {
		l.due = time.AfterFunc(maxDelay, l.flush)
	}
	l.buffered = append(l.buffered, line...)
	if len(l.buffered) >= maxBuffered {
		l.write()
	}
	return len(line), nil
}

// flush writes the buffer.
func (l *logBuffer) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
}

// write writes the buffer. The caller holds mu.
func (l *logBuffer) write() {
	if len(l.buffered) == 0 {
		return
	}
	l.due.Stop()
	_, _ = l.out.Write(l.buffered) // a log that cannot be written cannot report it
	l.buffered = l.buffered[:0]
}

// flushOnWarn is a log handler that flushes the buffer after each record at level
// warn or above, so that these are not lost if the process dies.
type flushOnWarn struct {
	slog.Handler
	logBuffer *logBuffer
}

// Handle implements slog.Handler.
func (p flushOnWarn) Handle(ctx context.Context, record slog.Record) error {
	err := p.Handler.Handle(ctx, record)
	if record.Level >= slog.LevelWarn {
		p.logBuffer.flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (p flushOnWarn) WithAttrs(attributes []slog.Attr) slog.Handler {
	return flushOnWarn{p.Handler.WithAttrs(attributes), p.logBuffer}
}

// WithGroup implements slog.Handler.
func (p flushOnWarn) WithGroup(name string) slog.Handler {
	return flushOnWarn{p.Handler.WithGroup(name), p.logBuffer}
}

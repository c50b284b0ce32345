package main

import (
	"context"
	"log/slog"
	"strings"
)

// longestLogged bounds the bytes of each text in a log record. Code that logs
// input from clients truncates it to less; this bound catches omissions.
const longestLogged = 4 << 10

// uncut is the attribute that is not truncated: no client controls a stack.
const uncut = "stack"

// truncate is a log handler that truncates long texts, so that no client can
// fill the log.
type truncate struct{ slog.Handler }

// Handle implements slog.Handler.
func (s truncate) Handle(ctx context.Context, record slog.Record) error {
	long := len(record.Message) > longestLogged
	record.Attrs(func(a slog.Attr) bool {
		long = long || isLong(a)
		return !long
	})
	if !long {
		return s.Handler.Handle(ctx, record)
	}
	shorter := slog.NewRecord(record.Time, record.Level, truncated(record.Message), record.PC)
	record.Attrs(func(a slog.Attr) bool {
		if isLong(a) {
			a.Value = slog.StringValue(truncated(a.Value.String()))
		}
		shorter.AddAttrs(a)
		return true
	})
	return s.Handler.Handle(ctx, shorter)
}

// WithAttrs implements slog.Handler.
func (s truncate) WithAttrs(attributes []slog.Attr) slog.Handler {
	return truncate{s.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (s truncate) WithGroup(name string) slog.Handler { return truncate{s.Handler.WithGroup(name)} }

func isLong(a slog.Attr) bool {
	switch kind := a.Value.Kind(); {
	case a.Key == uncut:
		return false
	case kind == slog.KindString, kind == slog.KindAny: // usually an error
		return len(a.Value.String()) > longestLogged
	}
	return false
}

func truncated(text string) string {
	if len(text) <= longestLogged {
		return text
	}
	return strings.ToValidUTF8(text[:longestLogged], "") + "…"
}

package main

import (
	"context"
	"log/slog"
	"strings"
)

// longestLogged is how many bytes of a text a line of the log has at most,
// whoever wrote it. Whoever logs what strangers send cuts it shorter: this is
// for what was forgotten.
const longestLogged = 4 << 10

// uncut is the attribute that may be longer: nobody else writes it.
const uncut = "stack"

// short is a handler that cuts long texts, so that nobody fills a log.
type short struct{ slog.Handler }

// Handle implements slog.Handler.
func (s short) Handle(ctx context.Context, record slog.Record) error {
	long := len(record.Message) > longestLogged
	record.Attrs(func(a slog.Attr) bool {
		long = long || isLong(a)
		return !long
	})
	if !long {
		return s.Handler.Handle(ctx, record)
	}
	shorter := slog.NewRecord(record.Time, record.Level, shortened(record.Message), record.PC)
	record.Attrs(func(a slog.Attr) bool {
		if isLong(a) {
			a.Value = slog.StringValue(shortened(a.Value.String()))
		}
		shorter.AddAttrs(a)
		return true
	})
	return s.Handler.Handle(ctx, shorter)
}

// WithAttrs implements slog.Handler.
func (s short) WithAttrs(attributes []slog.Attr) slog.Handler {
	return short{s.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (s short) WithGroup(name string) slog.Handler { return short{s.Handler.WithGroup(name)} }

func isLong(a slog.Attr) bool {
	switch kind := a.Value.Kind(); {
	case a.Key == uncut:
		return false
	case kind == slog.KindString, kind == slog.KindAny: // an error, mostly
		return len(a.Value.String()) > longestLogged
	}
	return false
}

func shortened(text string) string {
	if len(text) <= longestLogged {
		return text
	}
	return strings.ToValidUTF8(text[:longestLogged], "") + "…"
}

package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// Long texts are truncated wherever they are in a record. Other records are
// unchanged.
func TestTruncate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 20_000)
	for name, log := range map[string]func(*slog.Logger){
		"Text":    func(l *slog.Logger) { l.Info("said", "origin", long, "n", 1) },
		"Error":   func(l *slog.Logger) { l.Info("said", "error", errors.New(long), "n", 1) },
		"Message": func(l *slog.Logger) { l.Info(long, "n", 1) },
		"With":    func(l *slog.Logger) { l.With("a", "b").WithGroup("g").Info("said", "origin", long, "n", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			log(slog.New(truncate{slog.NewTextHandler(&out, nil)}))
			if line := out.String(); len(line) > longestLogged+200 || !strings.Contains(line, "é…") || !strings.Contains(line, "n=1") {
				t.Errorf("a line of %d bytes", len(line))
			}
		})
	}
	t.Run("Unchanged", func(t *testing.T) {
		t.Parallel()
		var out strings.Builder
		slog.New(truncate{slog.NewTextHandler(&out, nil)}).Info("said", "a", "b", "stack", long)
		if line := out.String(); !strings.Contains(line, "msg=said a=b stack="+long+"\n") {
			t.Errorf("a line of %d bytes", len(line))
		}
	})
}

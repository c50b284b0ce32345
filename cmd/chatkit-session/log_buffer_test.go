package main

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes records each write.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	return len(p), nil
}

func (w *writes) yet() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

func TestLogBuffer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, l *logBuffer, logger *slog.Logger, w *writes){
		"WritesLinesTogetherAfterMaxDelay": func(t *testing.T, _ *logBuffer, logger *slog.Logger, w *writes) {
			logger.Info("one")
			<-time.After(maxDelay - 1)
			logger.Info("two")
			wrote(t, w)
			<-time.After(1)
			synctest.Wait()
			wrote(t, w, "msg=one\nlevel=INFO msg=two\n")
			logger.Info("three")
			<-time.After(maxDelay)
			synctest.Wait()
			wrote(t, w, "msg=two\n", "msg=three\n")
		},
		"WritesWarningsAtOnce": func(t *testing.T, _ *logBuffer, logger *slog.Logger, w *writes) {
			logger.Info("one")
			logger.Warn("two")
			wrote(t, w, "msg=one\nlevel=WARN msg=two\n")
			logger.With("a", 1).WithGroup("g").Error("three", "b", 2)
			wrote(t, w, "msg=two\n", "msg=three a=1 g.b=2\n")
		},
		"DelaysEachLineAtMostMaxDelay": func(t *testing.T, _ *logBuffer, logger *slog.Logger, w *writes) {
			logger.Info("one")
			<-time.After(maxDelay / 2)
			logger.Warn("two")
			logger.Info("three")
			<-time.After(maxDelay / 2)
			synctest.Wait()
			wrote(t, w, "msg=two\n")
			<-time.After(maxDelay / 2)
			synctest.Wait()
			wrote(t, w, "msg=two\n", "msg=three\n")
		},
		"WritesAtMaxBuffered": func(t *testing.T, _ *logBuffer, logger *slog.Logger, w *writes) {
			long := strings.Repeat("x", maxBuffered/2)
			logger.Info(long)
			logger.Info(long)
			if all := w.yet(); len(all) != 1 || len(all[0]) < maxBuffered {
				t.Errorf("%d writes", len(all))
			}
		},
		"WritesTheRestOnFlush": func(t *testing.T, l *logBuffer, logger *slog.Logger, w *writes) {
			logger.Info("one")
			l.flush()
			wrote(t, w, "msg=one\n")
			<-time.After(maxDelay)
			synctest.Wait()
			wrote(t, w, "msg=one\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &writes{}
				l := &logBuffer{out: w}
				untimed := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey && len(groups) == 0 {
						return slog.Attr{}
					}
					return a
				}}
				test(t, l, slog.New(flushOnWarn{slog.NewTextHandler(l, untimed), l}), w)
			})
		})
	}
}

// wrote expects one write for each suffix, in order.
func wrote(t *testing.T, w *writes, ends ...string) {
	t.Helper()
	all := w.yet()
	if len(all) != len(ends) {
		t.Fatalf("wrote %q", all)
	}
	for i, end := range ends {
		if !strings.HasSuffix(all[i], end) {
			t.Errorf("wrote %q, want …%q", all[i], end)
		}
	}
}

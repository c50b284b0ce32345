package main

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writes notes each write.
type writes struct{ all []string }

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), nil
}

func TestLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, l *lines, logger *slog.Logger, w *writes){
		"ManyInOneWriteInTime": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			logger.Info("one")
			<-time.After(holdFor - 1)
			logger.Info("two")
			if len(w.all) != 0 {
				t.Errorf("wrote %q already", w.all)
			}
			<-time.After(1)
			synctest.Wait()
			wrote(t, w, "msg=one\nlevel=INFO msg=two\n")
			logger.Info("three")
			<-time.After(holdFor)
			synctest.Wait()
			wrote(t, w, "msg=two\n", "msg=three\n")
		},
		"WhatMattersAtOnce": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			logger.Info("one")
			logger.Warn("two")
			wrote(t, w, "msg=one\nlevel=WARN msg=two\n")
			logger.With("a", 1).WithGroup("g").Error("three", "b", 2)
			wrote(t, w, "msg=two\n", "msg=three a=1 g.b=2\n")
		},
		"NoMoreThanSo": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			long := strings.Repeat("x", mostHeld/2)
			logger.Info(long)
			logger.Info(long)
			if len(w.all) != 1 || len(w.all[0]) < mostHeld {
				t.Errorf("%d writes", len(w.all))
			}
		},
		"TheRestAtTheEnd": func(t *testing.T, l *lines, logger *slog.Logger, w *writes) {
			logger.Info("one")
			l.flush()
			wrote(t, w, "msg=one\n")
			<-time.After(holdFor)
			synctest.Wait()
			wrote(t, w, "msg=one\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &writes{}
				l := &lines{out: w}
				untimed := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey && len(groups) == 0 {
						return slog.Attr{}
					}
					return a
				}}
				test(t, l, slog.New(prompt{slog.NewTextHandler(l, untimed), l}), w)
			})
		})
	}
}

// wrote expects writes that end so.
func wrote(t *testing.T, w *writes, ends ...string) {
	t.Helper()
	if len(w.all) != len(ends) {
		t.Fatalf("wrote %q", w.all)
	}
	for i, end := range ends {
		if !strings.HasSuffix(w.all[i], end) {
			t.Errorf("wrote %q, want …%q", w.all[i], end)
		}
	}
}

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

// writes notes each write.
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

func TestLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, l *lines, logger *slog.Logger, w *writes){
		"ManyInOneWriteInTime": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			logger.Info("one")
			<-time.After(holdFor - 1)
			logger.Info("two")
			wrote(t, w)
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
		"EachInItsTime": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			logger.Info("one")
			<-time.After(holdFor / 2)
			logger.Warn("two")
			logger.Info("three")
			<-time.After(holdFor / 2)
			synctest.Wait()
			wrote(t, w, "msg=two\n")
			<-time.After(holdFor / 2)
			synctest.Wait()
			wrote(t, w, "msg=two\n", "msg=three\n")
		},
		"NoMoreThanSo": func(t *testing.T, _ *lines, logger *slog.Logger, w *writes) {
			long := strings.Repeat("x", mostHeld/2)
			logger.Info(long)
			logger.Info(long)
			if all := w.yet(); len(all) != 1 || len(all[0]) < mostHeld {
				t.Errorf("%d writes", len(all))
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

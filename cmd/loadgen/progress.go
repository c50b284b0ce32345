package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// progress tells once a second how a run goes: on one line that it writes
// over where that is a terminal, else on a line each.
type progress struct {
	to    io.Writer
	lives bool // on a terminal
}

func newProgress(to io.Writer) progress {
	file, isFile := to.(*os.File)
	if !isFile {
		return progress{to: to}
	}
	info, err := file.Stat()
	return progress{to, err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// follow tells until ctx ends.
func (p progress) follow(ctx context.Context, what string, of *workerStats) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	start, before := time.Now(), int64(0)
	for {
		select {
		case <-ctx.Done():
			p.end()
			return
		case now := <-ticker.C:
			total := of.sum()
			p.say(fmt.Sprintf("%s %3.0f s  %6d good/s  %d failed  p50 %.2f ms  p99 %.2f ms  so far",
				what, now.Sub(start).Seconds(), total.good-before, total.failed(), total.milliseconds(50), total.milliseconds(99)))
			before = total.good
		}
	}
}

// say shows a line; on a terminal in the place of the last one.
func (p progress) say(line string) {
	if p.lives {
		_, _ = fmt.Fprintf(p.to, "\r\x1b[K%s", line)
		return
	}
	_, _ = fmt.Fprintln(p.to, line)
}

// end leaves the last line where it is.
func (p progress) end() {
	if p.lives {
		_, _ = fmt.Fprintln(p.to)
	}
}

// Command chatkit-session is the session service for products that sign their
// users in with Clerk and embed OpenAI's ChatKit.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"chatkit-session/cmd/internal/commandline"
)

// version is set by the linker.
var version = "unreleased"

// heapGrowth is how much the heap may grow between two garbage collections, in
// per cent of the live heap. The live heap is a few megabytes, so a higher value
// than Go's default of 100 costs little memory and halves the collector's work.
// GOGC overrides it.
const heapGrowth = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	commandline.Main("chatkit-session", func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	})
}

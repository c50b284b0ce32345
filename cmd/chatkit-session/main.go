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

// heapGrowth is by how much the heap may grow between two collections, in per
// cent of what is in use: that is a few megabytes, and half of the collector's
// work is worth some more. GOGC overrides it.
const heapGrowth = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	commandline.Main("chatkit-session", func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	})
}

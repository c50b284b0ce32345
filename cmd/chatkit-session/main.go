// Command chatkit-session is the session service for products that sign their
// users in with Clerk and embed OpenAI's ChatKit.
package main

import (
	"context"
	"os"

	"chatkit-session/cmd/internal/commandline"
)

// version is set by the linker.
var version = "unreleased"

func main() {
	commandline.Main("chatkit-session", func(ctx context.Context) error {
		if os.Getenv("GOGC") == "" {
			go boundHeapGrowth(ctx)
		}
		return run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	})
}

// Command loadgen measures a chatkit-session service: it sends requests as many
// clients at once would, checks every answer and reports how long each took. It
// also fills a database with sessions, and serves the floor, the least work that
// any service of this kind must do, which the service's speed is compared with.
//
// It is part of this repository, instead of a general load generator, because
// the budgets of docs/performance.md need what no such tool does:
//
//   - Each simulated user needs a Clerk token of its own that stays valid, and
//     the session token from an earlier answer. loadgen mints the tokens with
//     the development keys.
//   - A fast wrong answer must count as a failure. loadgen knows what each
//     request must be answered with.
//   - The service and the floor must be measured in turns on one machine, on a
//     database with millions of sessions. loadgen starts all of them.
//
// It is not part of the service's image.
package main

import (
	"context"
	"os"

	"chatkit-session/cmd/internal/commandline"
)

func main() {
	commandline.Main("loadgen", func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	})
}

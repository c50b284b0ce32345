// Command composecheck validates Compose files as docker compose does, without
// Docker.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	for _, path := range os.Args[1:] {
		services, err := check(context.Background(), path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		fmt.Printf("%s is valid, with the services %s\n", path, strings.Join(services, ", "))
	}
}

// check returns the services of the Compose file at path. It validates the
// schema, the references between parts, and the interpolation with an empty
// environment.
func check(ctx context.Context, path string) ([]string, error) {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithConsistency(true), cli.WithInterpolation(true))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return nil, err
	}
	return project.ServiceNames(), nil
}

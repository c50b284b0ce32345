// Command composecheck reads Compose files as docker compose does, strictly,
// and fails if one of them is not good. It needs no Docker.
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
		fmt.Printf("%s: good, with the services %s\n", path, strings.Join(services, ", "))
	}
}

// check loads the file at path with nothing in the environment: schema,
// interpolation, and references between its parts.
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

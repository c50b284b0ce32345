package main

import (
	"fmt"

	"chatkit-session/adapters/keyring"
)

type keygenCommand struct{}

// Run prints a key and nothing else, fit for a pipe.
func (keygenCommand) Run(p *process) error {
	_, err := fmt.Fprintln(p.stdout, keyring.Generate())
	return err
}

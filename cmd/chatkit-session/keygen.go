package main

import (
	"fmt"

	"chatkit-session/adapters/keyring"
)

type keygenCommand struct{}

// Run prints only the key, so that the output can be piped.
func (keygenCommand) Run(p *process) error {
	_, err := fmt.Fprintln(p.stdout, keyring.Generate())
	return err
}

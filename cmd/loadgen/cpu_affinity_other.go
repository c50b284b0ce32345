//go:build !linux

package main

import "errors"

// half selects a part of the processors.
type half int

const (
	firstHalf half = iota
	secondHalf
	allOfThem
)

// runOn is supported on Linux only.
func runOn(half) error {
	return errors.New("splitting the processors is supported on Linux only: use --no-apart")
}

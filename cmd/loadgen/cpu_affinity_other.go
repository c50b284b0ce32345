//go:build !linux

package main

import "errors"

// half says on which of the processors something runs.
type half int

const (
	firstHalf half = iota
	secondHalf
	allOfThem
)

// runOn cannot set processors apart here.
func runOn(half) error {
	return errors.New("processors can be set apart on Linux alone: use --no-apart")
}

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// half says on which of the processors something runs.
type half int

const (
	firstHalf half = iota
	secondHalf
	allOfThem
)

// processors are those that this process was started on.
var processors = func() (set unix.CPUSet) {
	_ = unix.SchedGetaffinity(0, &set) // an empty set is refused below
	return set
}()

// runOn lets this process, and those that it starts from now on, run on some of
// its processors alone.
func runOn(which half) error {
	count := processors.Count()
	if count < 2 {
		return errors.New("there are no two processors to set apart: use --no-apart")
	}
	var set unix.CPUSet
	for cpu, n := 0, 0; n < count; cpu++ {
		if !processors.IsSet(cpu) {
			continue
		}
		if which == allOfThem || (n < count/2) == (which == firstHalf) {
			set.Set(cpu)
		}
		n++
	}
	runtime.GOMAXPROCS(set.Count())
	for range 2 { // a thread that one not reached yet started meanwhile
		if err := moveThreads(&set); err != nil {
			return fmt.Errorf("set processors apart: %w", err)
		}
	}
	return nil
}

// moveThreads moves all of this process's threads.
func moveThreads(to *unix.CPUSet) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, to); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
			return err
		}
	}
	return nil
}

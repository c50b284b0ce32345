package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// half selects a part of the processors.
type half int

const (
	firstHalf half = iota
	secondHalf
	allOfThem
)

// processors is the set of processors that this process was started with.
var processors = func() (set unix.CPUSet) {
	_ = unix.SchedGetaffinity(0, &set) // an empty set is refused below
	return set
}()

// runOn restricts this process, and those that it starts from now on, to a part of
// its processors.
func runOn(which half) error {
	count := processors.Count()
	if count < 2 {
		return errors.New("splitting the processors needs at least two: use --no-apart")
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
	for range 2 { // a second pass for threads that started during the first
		if err := moveThreads(&set); err != nil {
			return fmt.Errorf("split the processors: %w", err)
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

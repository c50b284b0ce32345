package main

import "testing"

func TestHeapGrowth(t *testing.T) {
	t.Parallel()
	for inUse, want := range map[uint64]int{0: 200, 4 << 20: 200, 32 << 20: 200, 64 << 20: 100, 100 << 20: 64, 128 << 20: 50, 4 << 30: 50} {
		if got := heapGrowth(inUse); got != want {
			t.Errorf("a heap of %d MiB may grow by %d %%, want %d", inUse>>20, got, want)
		}
	}
}

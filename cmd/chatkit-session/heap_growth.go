package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The bounds of how much the heap may grow between two collections, in percent of
// what is in use. A small heap may triple: that costs a few megabytes and halves
// the collector's work. Thousands of connections make it large; it may then grow
// by about heapHeadroom, and by half at least.
const (
	largestGrowth  = 200
	smallestGrowth = 50
	heapHeadroom   = 64 << 20
	// growthInterval is how often the bound is set anew.
	growthInterval = time.Second
)

// heapGrowth returns by how many percent a heap of which so many bytes are in use
// may grow.
func heapGrowth(inUse uint64) int {
	return max(smallestGrowth, min(largestGrowth, int(heapHeadroom*100/max(inUse, 1)))) //nolint:gosec // at most 6.7 billion
}

// boundHeapGrowth keeps the bound until ctx ends.
func boundHeapGrowth(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(growthInterval)
	defer ticker.Stop()
	for set := 0; ; {
		metrics.Read(live)
		if growth := heapGrowth(live[0].Value.Uint64()); growth != set {
			debug.SetGCPercent(growth)
			set = growth
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

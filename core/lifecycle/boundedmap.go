package lifecycle

// boundedMap is a map with a bounded number of entries. When it is full, it
// evicts entries that were not set recently.
//
// It keeps two generations instead of a list in order of use: set puts an entry
// into the young generation; when that is full, it becomes the old generation
// and the previous old generation is evicted. So an entry stays until at least
// half of the map's size in other keys was set after it.
type boundedMap[K comparable, V any] struct {
	generationSize int
	young, old     map[K]V
}

func newBoundedMap[K comparable, V any](size int) boundedMap[K, V] {
	return boundedMap[K, V]{generationSize: max(size/2, 1), young: make(map[K]V)}
}

// get returns the value of key, unless it was never set or is evicted. Reading
// an entry does not keep it from being evicted.
func (m *boundedMap[K, V]) get(key K) (value V, found bool) {
	if value, found = m.young[key]; !found {
		value, found = m.old[key]
	}
	return value, found
}

func (m *boundedMap[K, V]) set(key K, value V) {
	if _, young := m.young[key]; !young && len(m.young) >= m.generationSize {
		m.old, m.young = m.young, make(map[K]V)
	}
	m.young[key] = value
}

func (m *boundedMap[K, V]) clear() {
	clear(m.young)
	m.old = nil
}

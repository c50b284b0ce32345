package lifecycle

// recent is a map of bounded size that forgets what was not used for longest. It
// has two generations: what is used is in the young one, and when that is full
// it becomes the old one, and what was left in the old one is forgotten. So
// nobody is forgotten before half as many others as it holds were used since.
type recent[K comparable, V any] struct {
	most       int // of a generation
	young, old map[K]V
}

func newRecent[K comparable, V any](most int) recent[K, V] {
	return recent[K, V]{most: max(most/2, 1), young: make(map[K]V)}
}

// get returns what was set for the key, if it is not forgotten. To look is no
// use.
func (r *recent[K, V]) get(key K) (value V, known bool) {
	if value, known = r.young[key]; !known {
		value, known = r.old[key]
	}
	return value, known
}

// set uses the key.
func (r *recent[K, V]) set(key K, value V) {
	if _, young := r.young[key]; !young && len(r.young) >= r.most {
		r.old, r.young = r.young, make(map[K]V)
	}
	r.young[key] = value
}

// clear forgets all.
func (r *recent[K, V]) clear() {
	clear(r.young)
	r.old = nil
}

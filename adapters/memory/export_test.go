package memory

// Known returns the number of keys in all groups.
func (l *Limiter) Known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := 0
	for _, group := range l.groups {
		known += len(group.young) + len(group.old)
	}
	return known
}

package memory

// Known returns how many keys a Limiter keeps of all groups.
func (l *Limiter) Known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := 0
	for _, group := range l.groups {
		known += len(group.young) + len(group.old)
	}
	return known
}

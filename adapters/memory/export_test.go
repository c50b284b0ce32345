package memory

// Known returns how many keys a Limiter keeps.
func (l *Limiter) Known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.young) + len(l.old)
}

// Kept is how many answers are kept.
func (l *Leases) Kept() int {
	l.kept.CleanUp()
	return l.kept.EstimatedSize()
}

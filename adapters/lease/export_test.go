package lease

// Kept is how many answers are kept.
func (l *Cache) Kept() int {
	l.kept.CleanUp()
	return l.kept.EstimatedSize()
}

package clerk

// Remembered is how many credentials are remembered.
func (a *Authenticator) Remembered() int {
	a.known.proofs.CleanUp()
	return a.known.proofs.EstimatedSize()
}

package clerk

// Remembered is how many credentials are remembered.
func (a *Authenticator) Remembered() int {
	a.verified.proofs.CleanUp()
	return a.verified.proofs.EstimatedSize()
}

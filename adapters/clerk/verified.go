package clerk

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"chatkit-session/ports"
)

// proof is what a credential proves that was found to be good.
type proof struct {
	identity ports.Identity
	expires  time.Time
	verified time.Time
}

// memoryLifetime bounds how long a credential counts as good without being
// verified, and so for how long after its time a key that Clerk withdrew still
// lets somebody in. Clerk's own credentials live as long.
const memoryLifetime = time.Minute

// lasts reports whether it needs not be verified anew; nor may the clock have
// been set back since.
func (p proof) lasts(now time.Time) bool {
	return now.Before(p.expires) && !now.Before(p.verified) && now.Sub(p.verified) < memoryLifetime
}

// memory remembers credentials that were found to be good, by their SHA-256,
// so that those that come again cost no signature. It answers for none that
// has expired.
type memory struct {
	clock  ports.Clock
	proofs *otter.Cache[[sha256.Size]byte, proof]
}

// newMemory remembers as many credentials as most.
func newMemory(most int, clock ports.Clock) (*memory, error) {
	proofs, err := otter.New(&otter.Options[[sha256.Size]byte, proof]{
		MaximumSize:      most,
		Clock:            cacheClock{clock},
		ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, proof](memoryLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("make the memory of credentials: %w", err)
	}
	return &memory{clock, proofs}, nil
}

// recall returns who presents the credential, which is verified when it is not
// known. An error is not remembered.
func (m *memory) recall(credential string, verify func() (proof, error)) (ports.Identity, error) {
	hash := sha256.Sum256([]byte(credential))
	now := m.clock.Now()
	if known, found := m.proofs.GetIfPresent(hash); found && known.lasts(now) {
		return known.identity, nil
	}
	fresh, err := verify()
	if err != nil {
		return ports.Identity{}, err
	}
	fresh.verified = now
	m.proofs.Set(hash, fresh)
	return fresh.identity, nil
}

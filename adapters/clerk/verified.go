package clerk

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"chatkit-session/ports"
)

// proof is the result of verifying a valid credential.
type proof struct {
	identity ports.Identity
	expires  time.Time
	verified time.Time
}

// verifiedLifetime is how long a credential is accepted without being verified again,
// and so how long a key that Clerk has withdrawn is still accepted. Clerk's own
// credentials live as long.
const verifiedLifetime = time.Minute

// lasts reports whether the credential need not be verified again at now. It must be
// if the clock was set back.
func (p proof) lasts(now time.Time) bool {
	return now.Before(p.expires) && !now.Before(p.verified) && now.Sub(p.verified) < verifiedLifetime
}

// verifiedCache holds verified credentials by their SHA-256, so that the signature of
// a repeated credential is not verified again. It never answers for an expired one.
type verifiedCache struct {
	clock  ports.Clock
	proofs *otter.Cache[[sha256.Size]byte, proof]
}

// newVerifiedCache returns a cache of at most most credentials.
func newVerifiedCache(most int, clock ports.Clock) (*verifiedCache, error) {
	proofs, err := otter.New(&otter.Options[[sha256.Size]byte, proof]{
		MaximumSize:      most,
		Clock:            cacheClock{clock},
		ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, proof](verifiedLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("create the cache of verified credentials: %w", err)
	}
	return &verifiedCache{clock, proofs}, nil
}

// recall returns the credential's identity, and verifies the credential if it is not
// cached. Errors are not cached.
func (m *verifiedCache) recall(credential string, verify func() (proof, error)) (ports.Identity, error) {
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

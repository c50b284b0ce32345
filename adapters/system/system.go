// Package system gives the core this machine's clock and randomness.
package system

import (
	"crypto/rand"
	"time"

	"github.com/google/uuid"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Clock reads the system's clock.
type Clock struct{}

var _ ports.Clock = Clock{}

// Now implements ports.Clock.
func (Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Identifiers makes random ids from the system's secure source.
type Identifiers struct{}

var _ ports.Identifiers = Identifiers{}

// SessionID implements ports.Identifiers with a UUID v7 (RFC 9562), whose
// first part is the time, so that new rows of an index lie together.
func (Identifiers) SessionID() (session.ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return session.ID{}, err
	}
	return session.ParseID(id.String())
}

// Token implements ports.Identifiers with a UUID v4 (RFC 9562): 122 random
// bits.
func (Identifiers) Token() (session.Token, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return session.Token{}, err
	}
	return session.ParseToken(id.String())
}

// TransferCode implements ports.Identifiers with 130 random bits.
func (Identifiers) TransferCode() (session.TransferCode, error) {
	return session.ParseTransferCode(rand.Text())
}

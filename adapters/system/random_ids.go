package system

import (
	"crypto/rand"

	"github.com/google/uuid"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Identifiers generates ids, tokens and codes from the machine's secure random
// source.
type Identifiers struct{}

var _ ports.Identifiers = Identifiers{}

// SessionID implements ports.Identifiers with a UUID v7 (RFC 9562). It starts
// with the time, so that new entries are added at the end of the primary key's
// index.
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

package session

import (
	"strings"
	"time"
)

// Offer is a one-time transfer code that was made for a session. The zero Offer
// means that there is none.
type Offer struct {
	// Code is the hash of the transfer code.
	Code TokenHash
	// Until is when the code expires.
	Until time.Time
	// Refused counts tries of the code by other users.
	Refused int
}

// OfferTransfer makes the code with this hash valid for a transfer until the given
// time. It invalidates an earlier code.
func (s *Session) OfferTransfer(code TokenHash, until time.Time) {
	s.offer = Offer{Code: code, Until: until}
}

// RefuseTransfer counts a try of the code by another user.
func (s *Session) RefuseTransfer() { s.offer.Refused++ }

// Offers reports whether the code with this hash is valid for the session at now.
func (s Session) Offers(code TokenHash, now time.Time) bool {
	return !code.IsZero() && s.offer.Code == code && now.Before(s.offer.Until)
}

// Move transfers the session to a named device and to the sign-in that uses it,
// which becomes the holder. It invalidates the old device's tokens, without grace,
// and the transfer code.
func (s *Session) Move(to DeviceID, by SignInID, credential Credential, source Source, now time.Time) {
	s.slot.Device, s.generated = to, false
	s.holder.SignIn, s.credential, s.source = by, credential, source
	s.previous, s.previousUntil = TokenHash{}, time.Time{}
	s.offer = Offer{}
	s.lastActivityAt = now
	s.opens++
}

// TransferCode is the secret that transfers a session to another device: at least
// 128 random bits as 26 characters of A–Z and 2–7, so that it fits in a QR code and
// can be typed. It prints masked; see Reveal.
type TransferCode struct{ secret }

// transferCodeLength is the length of crypto/rand.Text, which has 130 random bits.
const transferCodeLength = 26

// ParseTransferCode accepts a code in upper or lower case and returns a KindInvalid
// error otherwise. Its errors never contain the text.
func ParseTransferCode(text string) (TransferCode, error) {
	upper := strings.ToUpper(text)
	// The lengths differ for non-ASCII letters whose upper case is in A–Z.
	if len(text) != transferCodeLength || len(upper) != len(text) || strings.ContainsFunc(upper, notBase32) {
		return TransferCode{}, Invalid("code", "must be 26 characters of A–Z and 2–7")
	}
	return TransferCode{secret{upper}}, nil
}

func notBase32(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }

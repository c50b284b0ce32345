package session

import (
	"strings"
	"time"
)

// Offer is a one-time code that moves a session to another device; the zero
// Offer is none.
type Offer struct {
	// Code is the code's hash.
	Code TokenHash
	// Until is when the code's time is up.
	Until time.Time
	// Refused counts how often somebody else tried it.
	Refused int
}

// OfferTransfer lets whoever of its user has the code with this hash move the
// session until the given time. An earlier code is good no more.
func (s *Session) OfferTransfer(code TokenHash, until time.Time) {
	s.offer = Offer{Code: code, Until: until}
}

// RefuseTransfer counts that somebody else tried the code.
func (s *Session) RefuseTransfer() { s.offer.Refused++ }

// Offers reports whether the code with this hash moves the session at now.
func (s Session) Offers(code TokenHash, now time.Time) bool {
	return !code.IsZero() && s.offer.Code == code && now.Before(s.offer.Until)
}

// Move takes the session to another device, one that its client named, and to
// the sign-in there, which holds it from now on. The tokens of the old device,
// grace included, and the code are good no more.
func (s *Session) Move(to DeviceID, by SignInID, credential Credential, source Source, now time.Time) {
	s.slot.Device, s.generated = to, false
	s.holder.SignIn, s.credential, s.source = by, credential, source
	s.previous, s.previousUntil = TokenHash{}, time.Time{}
	s.offer = Offer{}
	s.lastActivityAt = now
	s.opens++
}

// TransferCode is the secret that moves a session to another device: at least
// 128 random bits as 26 characters of A–Z and 2–7, fit for a QR code and for
// typing. It prints masked; see Reveal.
type TransferCode struct{ secret }

// transferCodeLength is that of crypto/rand.Text, which has 130 bits.
const transferCodeLength = 26

// ParseTransferCode accepts a code, in lower case, too. Its errors never carry
// the text.
func ParseTransferCode(text string) (TransferCode, error) {
	upper := strings.ToUpper(text)
	// Other alphabets have letters whose upper case is one of these.
	if len(text) != transferCodeLength || len(upper) != len(text) || strings.ContainsFunc(upper, notBase32) {
		return TransferCode{}, Invalid("code", "must be 26 characters of A–Z and 2–7")
	}
	return TransferCode{secret{upper}}, nil
}

func notBase32(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }

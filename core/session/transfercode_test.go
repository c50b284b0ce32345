package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
)

const code32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func TestParseTransferCode(t *testing.T) {
	t.Parallel()
	upper := session.Must(session.ParseTransferCode(code32))
	lower := session.Must(session.ParseTransferCode(strings.ToLower(code32)))
	if upper.Reveal() != code32 || lower != upper || lower.Hash() != upper.Hash() {
		t.Error("a code in lower case parses to another code")
	}
	if _, err := session.ParseTransferCode(strings.Repeat("2", 13) + strings.Repeat("7", 13)); err != nil {
		t.Errorf("ParseTransferCode with digits = %v", err)
	}
	for _, bad := range []string{
		"", code32[1:], code32 + "A", code32[1:] + "1", code32[1:] + "8", code32[1:] + "0", code32[1:] + " ", code32[1:] + "@", code32[1:] + "[",
		code32[2:] + "é", code32[1:] + "ſ", code32[2:] + "ı", code32[1:] + "\x00", uuid4[:26],
	} {
		got, err := session.ParseTransferCode(bad)
		var e *session.Error
		if !errors.As(err, &e) || e.Kind != session.KindInvalid || e.Field != "code" || got != (session.TransferCode{}) {
			t.Errorf("ParseTransferCode(%q) = %v", bad, err)
		}
		if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error contains the code: %v", err)
		}
	}
}

func TestSession_Offers(t *testing.T) {
	t.Parallel()
	code, older := session.TokenHash{1}, session.TokenHash{2}
	offering := found(0, day).Session
	offering.OfferTransfer(older, noon.Add(day))
	offering.OfferTransfer(code, noon)
	for name, c := range map[string]struct {
		session session.Session
		code    session.TokenHash
		at      time.Duration
		want    bool
	}{
		"Good":     {offering, code, -us, true},
		"Expired":  {offering, code, 0, false},
		"Another":  {offering, session.TokenHash{3}, -us, false},
		"Previous": {offering, older, -us, false},
		"None":     {found(0, day).Session, code, -us, false},
		"ZeroCode": {session.Restore(session.Stored{Offer: session.Offer{Until: noon}}), session.TokenHash{}, -us, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.session.Offers(c.code, noon.Add(c.at)); got != c.want {
				t.Errorf("Offers = %v", got)
			}
		})
	}
}

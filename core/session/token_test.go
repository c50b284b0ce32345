package session_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"chatkit-session/core/session"
)

const uuid4 = "550e8400-e29b-41d4-a716-446655440000"

func TestParseToken(t *testing.T) {
	t.Parallel()
	token, err := session.ParseToken(uuid4)
	if err != nil || token.Reveal() != uuid4 {
		t.Fatalf("ParseToken = %v", err)
	}
	for _, bad := range []string{"", "x", strings.ToUpper(uuid4), "{" + uuid4 + "}", "urn:uuid:" + uuid4, "0194f3a0-0000-7000-8000-000000000001"} {
		_, err := session.ParseToken(bad)
		if !errors.Is(err, session.KindInvalid) {
			t.Errorf("ParseToken(%q) = %v", bad, err)
		}
		if bad != "" && bad != "x" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error contains the token: %v", err)
		}
	}
}

func TestSecrets_AreMasked(t *testing.T) {
	t.Parallel()
	const mask = "[secret]"
	for text, secret := range map[string]interface {
		fmt.Formatter
		encoding.TextMarshaler
		Reveal() string
	}{
		uuid4:  session.Must(session.ParseToken(uuid4)),
		code32: session.Must(session.ParseTransferCode(code32)),
	} {
		// Not %p and %w: fmt rejects them before it calls a Formatter.
		for _, verb := range "vsqxXdeEfFgGtbcoOU" {
			for _, flag := range []string{"", "+", "#", "-60", "060", ".3"} {
				if got := fmt.Sprintf("%"+flag+string(verb), secret); got != mask {
					t.Errorf("%%%s%c prints %s", flag, verb, got)
				}
			}
		}
		if got := fmt.Sprint(secret, []any{secret}); strings.Contains(got, text) {
			t.Errorf("Sprint prints %s", got)
		}
		if encoded, err := secret.MarshalText(); err != nil || string(encoded) != mask {
			t.Errorf("MarshalText = %s, %v", encoded, err)
		}
		if encoded, err := json.Marshal(map[string]any{"a": secret}); err != nil || string(encoded) != `{"a":"`+mask+`"}` {
			t.Errorf("JSON is %s, %v", encoded, err)
		}
		if secret.Reveal() != text {
			t.Error("Reveal does not return the secret")
		}
	}
}

func TestToken_Hash(t *testing.T) {
	t.Parallel()
	token := session.Must(session.ParseToken(uuid4))
	const want = "a3a9e1ed9732cab28868127be00f1ce921acaefdd5c3b23a6e9e0072bd9c1a34" // printf %s "$uuid" | sha256sum
	if got := fmt.Sprintf("%x", token.Hash()); got != want {
		t.Errorf("Hash = %s, want %s", got, want)
	}
	if !(session.TokenHash{}).IsZero() || token.Hash().IsZero() {
		t.Error("IsZero is wrong")
	}
}

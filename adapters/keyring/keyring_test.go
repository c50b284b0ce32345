package keyring_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"chatkit-session/adapters/keyring"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

func ring(t testing.TB, keys ...string) *keyring.Ring {
	t.Helper()
	r, err := keyring.Parse(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRing_Contract(t *testing.T) {
	t.Parallel()
	porttest.Sealer(t, func(t *testing.T) ports.Sealer { t.Helper(); return ring(t, keyring.Generate()) })
}

func TestRing_Rotation(t *testing.T) {
	t.Parallel()
	id, token := session.Must(session.ParseID("session-1")), session.Must(session.ParseToken(uuid.NewString()))
	first, second := keyring.Generate(), keyring.Generate()
	sealed, err := ring(t, first).Seal(id, token)
	if err != nil {
		t.Fatal(err)
	}
	both := ring(t, second, " "+first+" ")
	if got, err := both.Unseal(id, sealed); err != nil || got != token {
		t.Errorf("with the old key still on the ring: %v", err)
	}
	if _, err := ring(t, second).Unseal(id, sealed); !errors.Is(err, session.KindUnreadable) {
		t.Errorf("with the old key gone: %v", err)
	}
	resealed, err := both.Seal(id, token)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring(t, second).Unseal(id, resealed); err != nil || got != token {
		t.Errorf("the first key does not seal: %v", err)
	}
}

func TestRing_SealNothing(t *testing.T) {
	t.Parallel()
	if _, err := ring(t, keyring.Generate()).Seal(session.ID{}, session.Token{}); err == nil {
		t.Error("sealed the zero token")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	good := keyring.Generate()
	for name, text := range map[string]string{
		"Empty": "", "NotBase64": "!!!", "TooShort": "c2hvcnQ=", "SecondIsBad": good + ",x", "TrailingComma": good + ",",
		"RepeatedByte": base64.StdEncoding.EncodeToString(make([]byte, keyring.KeySize)),
		"FewBytes":     base64.StdEncoding.EncodeToString([]byte(strings.Repeat("abcdefga", 4))),
		"Twice":        good + "," + keyring.Generate() + "," + good,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := keyring.Parse(text)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), good) {
				t.Error("the error shows a key")
			}
		})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, ring(t, good)); got != "[keyring]" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	r := ring(b, keyring.Generate())
	id, token := session.Must(session.ParseID("session-1")), session.Must(session.ParseToken(uuid.NewString()))
	sealed, err := r.Seal(id, token)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Seal(id, token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Unseal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Unseal(id, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

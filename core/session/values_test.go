package session_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

func TestParseNames(t *testing.T) {
	t.Parallel()
	parse := map[string]struct {
		field string
		limit int
		parse func(string) (fmt.Stringer, error)
	}{
		"ID":       {"id", 64, func(v string) (fmt.Stringer, error) { return session.ParseID(v) }},
		"User":     {"userId", session.MaxUserIDLength, func(v string) (fmt.Stringer, error) { return session.ParseUserID(v) }},
		"Device":   {"deviceId", session.MaxDeviceIDLength, func(v string) (fmt.Stringer, error) { return session.ParseDeviceID(v) }},
		"Workflow": {"workflowId", session.MaxWorkflowIDLength, func(v string) (fmt.Stringer, error) { return session.ParseWorkflowID(v) }},
		"SignIn":   {"sid", session.MaxSignInIDLength, func(v string) (fmt.Stringer, error) { return session.ParseSignInID(v) }},
	}
	for name, p := range parse {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, good := range []string{"a", "device_user_123_1704067200000", "A-Z.a:z_0-9", strings.Repeat("x", p.limit)} {
				if got, err := p.parse(good); err != nil || got.String() != good {
					t.Errorf("parse(%q) = %v, %v", good, got, err)
				}
			}
			for _, bad := range []string{"", " ", "a b", "a\n", "a\x00", "é", "a/b", "a\x7f", "\xff", "💬", strings.Repeat("x", p.limit+1)} {
				_, err := p.parse(bad)
				var e *session.Error
				if !errors.As(err, &e) || e.Kind != session.KindInvalid || e.Field != p.field || e.Problem == "" {
					t.Errorf("parse(%q) = %v, want an invalid %s", bad, err, p.field)
				}
			}
		})
	}
}

func TestNames_Zero(t *testing.T) {
	t.Parallel()
	if !(session.DeviceID{}).IsZero() || phone.IsZero() {
		t.Error("only no name is zero")
	}
}

func TestGenerateDeviceID(t *testing.T) {
	t.Parallel()
	longest := session.Must(session.ParseUserID(strings.Repeat("u", session.MaxUserIDLength)))
	if got := session.GenerateDeviceID(user, noon).String(); got != "device_user_1_1735732800000" {
		t.Errorf("GenerateDeviceID = %s", got)
	}
	if _, err := session.ParseDeviceID(session.GenerateDeviceID(longest, noon).String()); err != nil {
		t.Errorf("a client cannot send back what it was given: %v", err)
	}
}

func TestMust(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic")
		}
	}()
	session.Must(session.ParseUserID(""))
}

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
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

const code32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func TestParseTransferCode(t *testing.T) {
	t.Parallel()
	upper := session.Must(session.ParseTransferCode(code32))
	lower := session.Must(session.ParseTransferCode(strings.ToLower(code32)))
	if upper.Reveal() != code32 || lower != upper || lower.Hash() != upper.Hash() {
		t.Error("a code in lower case is another one")
	}
	if _, err := session.ParseTransferCode(strings.Repeat("2", 13) + strings.Repeat("7", 13)); err != nil {
		t.Errorf("digits are refused: %v", err)
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
			t.Errorf("the error shows the code: %v", err)
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
		// Not %p and %w: fmt refuses them before it asks a Formatter.
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
			t.Error("the owner does not see it")
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
		t.Error("only the zero hash is zero")
	}
}

// nested returns an object that nests to the given level.
func nested(levels int) map[string]any {
	tree := map[string]any{}
	for range levels - 1 {
		tree = map[string]any{"a": tree}
	}
	return tree
}

func TestNewMetadata(t *testing.T) {
	t.Parallel()
	t.Run("Accepts", func(t *testing.T) {
		t.Parallel()
		for _, tree := range []map[string]any{
			nil,
			{},
			{"source": "web", "n": 1.5, "yes": true, "none": nil, "list": []any{"a", map[string]any{"": ""}}},
			{"ключ": "значение", "emoji": "👩‍👩‍👧", "\u2028": "\u0001"},
			nested(session.MaxMetadataLevels),
			ofSize(session.MaxMetadataBytes),
		} {
			m, err := session.NewMetadata(tree)
			if err != nil {
				t.Errorf("NewMetadata(%v) = %v", tree, err)
			}
			if !m.Equal(session.Must(session.NewMetadata(tree))) || len(m.Tree()) != len(tree) {
				t.Errorf("NewMetadata(%v) = %v", tree, m.Tree())
			}
		}
	})
	refused := map[string]struct {
		tree  map[string]any
		field string
	}{
		"NUL":               {map[string]any{"a": "x\x00"}, "metadata.a"},
		"NULInName":         {map[string]any{"a\x00": ""}, "metadata"},
		"NotUTF8":           {map[string]any{"list": []any{1.0, "\xff"}}, "metadata.list[1]"},
		"NaN":               {map[string]any{"n": math.NaN()}, "metadata.n"},
		"Infinite":          {map[string]any{"n": math.Inf(1)}, "metadata.n"},
		"OtherType":         {map[string]any{"o": map[string]any{"n": 1}}, "metadata.o.n"},
		"TooDeep":           {nested(session.MaxMetadataLevels + 1), "metadata"},
		"TooDeepList":       {map[string]any{"l": deepList(session.MaxMetadataLevels)}, "metadata"},
		"LongNameStaysOut":  {map[string]any{strings.Repeat("k", 41): math.NaN()}, "metadata"},
		"WeirdNameStaysOut": {map[string]any{"<script>": math.NaN()}, "metadata"},
		"TooLarge":          {ofSize(session.MaxMetadataBytes + 1), "metadata"},
		"LargeWhenWritten":  {map[string]any{"a": []any{1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308, 1e308}}, "metadata"},
	}
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := session.NewMetadata(c.tree)
			var e *session.Error
			if !errors.As(err, &e) || e.Kind != session.KindInvalid || e.Field != c.field {
				t.Errorf("NewMetadata = %v, want an invalid %s", err, c.field)
			}
		})
	}
}

func deepList(levels int) []any {
	list := []any{}
	for range levels - 1 {
		list = []any{list}
	}
	return list
}

// ofSize is a tree whose metadata has this size.
func ofSize(n int) map[string]any {
	return map[string]any{"a": strings.Repeat("x", n-len(`{"a": ""}`))}
}

// The size is that of PostgreSQL's text of the same jsonb.
func TestMetadata_Size(t *testing.T) {
	t.Parallel()
	for text, tree := range map[string]map[string]any{
		`{}`:                                 {},
		`{"a": 1, "b": [true, false, null]}`: {"a": 1.0, "b": []any{true, false, nil}},
		`{"a": [], "é": {"": "x"}}`:          {"a": []any{}, "é": map[string]any{"": "x"}},
		`{"\"\\\n": "\b\f\r\t\u0001\u001f </script>` + "\u007f\u2028" + `"}`: {"\"\\\n": "\b\f\r\t\x01\x1f </script>\x7f\u2028"},
		`{"n": [100000000000000000000000, 0.0000001, -1.5, 0]}`:              {"n": []any{1e23, 1e-7, -1.5, 0.0}},
	} {
		if got := session.RestoreMetadata(tree).Size(); got != len(text) {
			t.Errorf("the size of %s is %d, want %d", text, got, len(text))
		}
	}
	if got := session.RestoreMetadata(map[string]any{"n": 1e308}).Size(); got != len(`{"n": }`)+309 {
		t.Errorf("the size of 1e308 is %d", got)
	}
}

func TestMetadata_CannotBeChanged(t *testing.T) {
	t.Parallel()
	inner := map[string]any{"b": []any{"c"}}
	m := session.Must(session.NewMetadata(map[string]any{"a": inner}))
	inner["b"].([]any)[0] = "changed"
	inner["d"] = true
	if want := session.Must(session.NewMetadata(map[string]any{"a": map[string]any{"b": []any{"c"}}})); !m.Equal(want) {
		t.Errorf("metadata follows its source: %v", m.Tree())
	}
}

func TestMetadata_NegativeZeroIsZero(t *testing.T) {
	t.Parallel()
	m := session.Must(session.NewMetadata(map[string]any{"n": math.Copysign(0, -1)}))
	if n := m.Tree()["n"].(float64); math.Signbit(n) {
		t.Error("-0 stays -0")
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	t.Run("EveryKindIsFoundTwiceWrapped", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, kind := range session.Kinds() {
			err := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", session.Wrap(kind, cause)))
			if !errors.Is(err, kind) || !errors.Is(err, cause) || session.KindOf(err) != kind {
				t.Errorf("kind %v is lost: %v", kind, err)
			}
			if bare := fmt.Errorf("bare: %w", kind); session.KindOf(bare) != kind {
				t.Errorf("bare kind %v is lost", kind)
			}
			if seen[kind.Error()] {
				t.Errorf("two kinds say %q", kind)
			}
			seen[kind.Error()] = true
		}
		if text := session.Kind(-1).Error(); seen[text] {
			t.Errorf("an unknown kind says %q", text)
		}
	})
	t.Run("OutermostKindCounts", func(t *testing.T) {
		t.Parallel()
		err := session.Wrap(session.KindCreateFailed, session.Wrap(session.KindConflict, cause))
		if session.KindOf(err) != session.KindCreateFailed || !errors.Is(err, session.KindConflict) {
			t.Errorf("KindOf = %v", session.KindOf(err))
		}
	})
	t.Run("OthersAreInternal", func(t *testing.T) {
		t.Parallel()
		if session.KindOf(cause) != session.KindInternal || errors.Is(session.Wrap(session.KindNotFound, cause), session.KindConflict) {
			t.Error("a kind out of nowhere")
		}
	})
	t.Run("WrapsNothing", func(t *testing.T) {
		t.Parallel()
		if session.Wrap(session.KindNotFound, nil) != nil {
			t.Error("an error out of nothing")
		}
	})
	t.Run("Text", func(t *testing.T) {
		t.Parallel()
		err := &session.Error{Kind: session.KindInvalid, Field: "deviceId", Problem: "must not be empty", Cause: cause}
		if got := err.Error(); got != "invalid input: deviceId: must not be empty: cause" {
			t.Errorf("Error = %q", got)
		}
	})
}

func TestMetadata_EqualIsStructural(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 1, 5, rapid.ID).Draw(t, "keys")
		a, b := map[string]any{}, map[string]any{}
		for i := range keys {
			a[keys[i]] = float64(i)
			j := len(keys) - 1 - i
			b[keys[j]] = float64(j)
		}
		ma, mb := session.Must(session.NewMetadata(a)), session.Must(session.NewMetadata(b))
		if !ma.Equal(mb) {
			t.Fatal("the order of members counts")
		}
		b[keys[0]] = "other"
		if ma.Equal(session.Must(session.NewMetadata(b))) {
			t.Fatal("a changed member does not count")
		}
	})
}

// What stores hold is taken as it is, and what clients send is not.
func TestRestoreMetadata_ChecksNothing(t *testing.T) {
	t.Parallel()
	nul := map[string]any{"a": "\x00"}
	if _, err := session.NewMetadata(nul); !errors.Is(err, session.KindInvalid) {
		t.Errorf("NewMetadata = %v, want invalid", err)
	}
	if got := session.RestoreMetadata(nul).Tree(); got["a"] != "\x00" {
		t.Errorf("RestoreMetadata = %v", got)
	}
}

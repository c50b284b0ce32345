package session_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

// nested returns an object of this nesting depth.
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

// ofSize returns a tree whose metadata has this Size.
func ofSize(n int) map[string]any {
	return map[string]any{"a": strings.Repeat("x", n-len(`{"a": ""}`))}
}

// Size is the length of PostgreSQL's text of the same jsonb.
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
			t.Errorf("Size of %s = %d, want %d", text, got, len(text))
		}
	}
	if got := session.RestoreMetadata(map[string]any{"n": 1e308}).Size(); got != len(`{"n": }`)+309 {
		t.Errorf("Size of 1e308 = %d", got)
	}
}

func TestMetadata_CannotBeChanged(t *testing.T) {
	t.Parallel()
	inner := map[string]any{"b": []any{"c"}}
	m := session.Must(session.NewMetadata(map[string]any{"a": inner}))
	inner["b"].([]any)[0] = "changed"
	inner["d"] = true
	if want := session.Must(session.NewMetadata(map[string]any{"a": map[string]any{"b": []any{"c"}}})); !m.Equal(want) {
		t.Errorf("changing the source changed the metadata: %v", m.Tree())
	}
}

func TestMetadata_NegativeZeroIsZero(t *testing.T) {
	t.Parallel()
	m := session.Must(session.NewMetadata(map[string]any{"n": math.Copysign(0, -1)}))
	if n := m.Tree()["n"].(float64); math.Signbit(n) {
		t.Error("NewMetadata keeps -0")
	}
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
			t.Fatal("Equal depends on the order of members")
		}
		b[keys[0]] = "other"
		if ma.Equal(session.Must(session.NewMetadata(b))) {
			t.Fatal("Equal ignores a changed member")
		}
	})
}

// Stored metadata is not validated; metadata from clients is.
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

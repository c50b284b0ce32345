package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
)

// What the core measures is what PostgreSQL writes.
func TestMetadata_SizeIsThatOfJSONB(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	for _, tree := range []map[string]any{
		{},
		{"n": []any{1e308, -1e308, 5e-324, 1e23, 1e21, 1e-7, 0.1, -1.5, 0.0, 9007199254740991.0, 1.7976931348623157e308}},
		{"text": "\" \\ / \b\f\n\r\t\x01\x1f\x7f </script> & \u2028 é 👩‍👩‍👧", "": map[string]any{}},
		{"many": []any{true, false, nil, []any{}, []any{nil}, map[string]any{"a": 1.0, "b": map[string]any{"c": "d"}}}},
		{"large": strings.Repeat("<", 4000)},
	} {
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var size int
		if err := conn.QueryRowContext(t.Context(), "SELECT octet_length($1::jsonb::text)", string(text)).Scan(&size); err != nil {
			t.Fatal(err)
		}
		if got := session.RestoreMetadata(tree).Size(); got != size {
			t.Errorf("the size of %.80s is %d, and %d in PostgreSQL", text, got, size)
		}
	}
}

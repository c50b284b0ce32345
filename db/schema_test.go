package db_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgtest"
)

// TestSchemaPage_Indexes expects SCHEMA.md to list every index of PostgreSQL with
// its definition, and no other.
func TestSchemaPage_Indexes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("SCHEMA.md")
	if err != nil {
		t.Fatal(err)
	}
	conn := pgtest.Open(t, pgtest.New(t))
	const definitions = `SELECT indexrelid::regclass::text || '|'
			|| regexp_replace(pg_get_indexdef(indexrelid), '.* ON (public\.)?|USING btree |::[a-z_.]*session_status', '', 'g')
		FROM pg_index WHERE indrelid::regclass::text ~ '^chatkit' AND indexrelid::regclass::text ~ '^idx'`
	var known []string
	for _, line := range texts(t, conn, definitions) {
		name, definition, _ := strings.Cut(line, "|")
		known = append(known, name)
		if !strings.Contains(string(page), "`"+name+"`") || !strings.Contains(string(page), "`"+definition+"`") {
			t.Errorf("SCHEMA.md must list the index `%s` with its definition `%s`", name, definition)
		}
	}
	for word := range strings.FieldsFuncSeq(string(page), func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz_", r) }) {
		if strings.HasPrefix(word, "idx_") && !slices.Contains(known, word) {
			t.Errorf("SCHEMA.md names the index %s, which PostgreSQL does not have", word)
		}
	}
}

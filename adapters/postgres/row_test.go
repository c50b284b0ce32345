package postgres

import (
	"reflect"
	"strings"
	"testing"
)

// The hot reads take columns by their place, the others by their names.
func TestRow_FieldsAreColumns(t *testing.T) {
	t.Parallel()
	var r row
	value := reflect.ValueOf(&r).Elem()
	places := map[string]uintptr{}
	for _, field := range reflect.VisibleFields(value.Type()) {
		if !field.Anonymous {
			places[field.Tag.Get("db")] = value.FieldByIndex(field.Index).Addr().Pointer()
		}
	}
	for list, fields := range map[string][]any{columns: r.fields(), outlineColumns: r.outline()} {
		names := strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(", \n\t", c) })
		if len(fields) != len(names) {
			t.Errorf("%d fields for %d columns", len(fields), len(names))
			continue
		}
		for i, name := range names {
			if reflect.ValueOf(fields[i]).Pointer() != places[name] {
				t.Errorf("the column %s goes elsewhere", name)
			}
		}
	}
}

package session_test

import (
	"reflect"
	"testing"

	"chatkit-session/core/session"
)

func TestRestore(t *testing.T) {
	t.Parallel()
	holds(t, session.Restore(busy()), busy())
	if got := session.Restore(busy()).Stored(); !reflect.DeepEqual(got, busy()) {
		t.Errorf("Stored = %+v, want %+v", got, busy())
	}
	// Were a field zero here, nobody would see that it gets lost.
	for i, v := 0, reflect.ValueOf(busy()); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	holds(t, session.Restore(session.Stored{}), session.Stored{})
}

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
	// The test could not detect the loss of a field that is zero.
	for i, v := 0, reflect.ValueOf(busy()); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested: it is zero", v.Type().Field(i).Name)
		}
	}
	holds(t, session.Restore(session.Stored{}), session.Stored{})
}

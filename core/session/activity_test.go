package session_test

import (
	"reflect"
	"testing"

	"chatkit-session/core/session"
)

func TestRestoreActivity(t *testing.T) {
	t.Parallel()
	want := session.Activity{
		ID: session.Must(session.ParseID("activity-1")), User: user, Session: session.Must(session.ParseID("id-1")),
		Type: session.ActivityLimit, At: noon, Source: atHome, Detail: map[string]string{session.DetailSuccessor: "id-2"},
	}
	given := session.Activity{Type: want.Type, At: want.At, Source: want.Source, Detail: want.Detail}
	if got := session.RestoreActivity("activity-1", "user_1", "id-1", given); !reflect.DeepEqual(got, want) {
		t.Errorf("RestoreActivity = %+v, want %+v", got, want)
	}
}

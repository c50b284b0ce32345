package main

import (
	"net/http"
	"testing"
)

const (
	goodOpen = `{"outcome":"reused","session":{"id":"1","chatKitSessionId":"t","deviceId":"d","userId":"u","workflowId":"w","expiresAt":"x"}}`
	goodSaid = `{"active":true,"sub":"u","sid":"1","device_id":"d"}`
	goodList = `{"sessions":[{"id":"0","userId":"u"},{"id":"1","userId":"u"}]}`
)

// Every check refuses an answer with one thing wrong, whatever its status.
func TestChecks(t *testing.T) {
	t.Parallel()
	reused := func(a answer) error { return checkReused(a, "u", "d", "t") }
	created := func(a answer) error { return checkOutcome(a, "u", "d", "created") }
	introspected := func(a answer) error { return checkIntrospected(a, "u", "d", "1") }
	listed := func(a answer) error { return checkListed(a, "u", "1") }
	for name, test := range map[string]struct {
		check  func(answer) error
		status int
		body   string
		want   failure // empty for none
	}{
		"Reused":              {reused, 200, goodOpen, ""},
		"ReusedStatus":        {reused, 503, `{"code":"unavailable"}`, "status 503 unavailable"},
		"ReusedBareStatus":    {reused, 502, `<html>`, "status 502"},
		"ReusedNotJSON":       {reused, 200, `{`, "open: not JSON"},
		"ReusedUser":          {reused, 200, `{"outcome":"reused","session":{"id":"1","chatKitSessionId":"t","deviceId":"d","userId":"v","workflowId":"w","expiresAt":"x"}}`, "open: another user's session"},
		"ReusedDevice":        {reused, 200, `{"outcome":"reused","session":{"id":"1","chatKitSessionId":"t","deviceId":"e","userId":"u","workflowId":"w","expiresAt":"x"}}`, "open: another device's session"},
		"ReusedNoWorkflow":    {reused, 200, `{"outcome":"reused","session":{"id":"1","chatKitSessionId":"t","deviceId":"d","userId":"u","expiresAt":"x"}}`, "open: a field is missing"},
		"ReusedToken":         {reused, 200, `{"outcome":"reused","session":{"id":"1","chatKitSessionId":"s","deviceId":"d","userId":"u","workflowId":"w","expiresAt":"x"}}`, "open: another token than the one held"},
		"ReusedOutcome":       {reused, 200, `{"outcome":"created","session":{"id":"1","chatKitSessionId":"t","deviceId":"d","userId":"u","workflowId":"w","expiresAt":"x"}}`, "open: created instead of reused"},
		"CreatedOutcome":      {created, 200, goodOpen, "open: reused instead of created"},
		"CreatedStatus":       {created, 403, `{"code":"session_revoked"}`, "status 403 session_revoked"},
		"Introspected":        {introspected, 200, goodSaid, ""},
		"IntrospectedStatus":  {introspected, 401, `{}`, "status 401"},
		"IntrospectedNotJSON": {introspected, 200, ``, "introspect: not JSON"},
		"IntrospectedEnded":   {introspected, 200, `{"active":false}`, "introspect: not active"},
		"IntrospectedUser":    {introspected, 200, `{"active":true,"sub":"v","sid":"1","device_id":"d"}`, "introspect: another session's answer"},
		"IntrospectedSession": {introspected, 200, `{"active":true,"sub":"u","sid":"2","device_id":"d"}`, "introspect: another session's answer"},
		"Listed":              {listed, 200, goodList, ""},
		"ListedStatus":        {listed, 401, ``, "status 401"},
		"ListedNotJSON":       {listed, 200, `[`, "list: not JSON"},
		"ListedUser":          {listed, 200, `{"sessions":[{"id":"1","userId":"u"},{"id":"2","userId":"v"}]}`, "list: another user's session"},
		"ListedMissing":       {listed, 200, `{"sessions":[]}`, "list: the session that is held is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.check(answer{status: test.status, body: []byte(test.body)})
			if (test.want == "") != (err == nil) || (err != nil && err.Error() != string(test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCheckVerified(t *testing.T) {
	t.Parallel()
	header := func(user, device, id, workflow string) http.Header {
		h := http.Header{}
		for name, value := range map[string]string{"User": user, "Device": device, "Session": id, "Workflow": workflow} {
			h.Set("X-ChatKit-"+name+"-Id", value)
		}
		return h
	}
	if err := checkVerified(answer{status: 204, header: header("u", "d", "1", "w")}, "u", "d", "1"); err != nil {
		t.Error(err)
	}
	for name, wrong := range map[string]answer{
		"Status":   {status: 401, header: header("u", "d", "1", "w")},
		"User":     {status: 204, header: header("v", "d", "1", "w")},
		"Device":   {status: 204, header: header("u", "e", "1", "w")},
		"Session":  {status: 204, header: header("u", "d", "2", "w")},
		"Workflow": {status: 204, header: header("u", "d", "1", "")},
		"None":     {status: 204, header: http.Header{}},
	} {
		if checkVerified(wrong, "u", "d", "1") == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

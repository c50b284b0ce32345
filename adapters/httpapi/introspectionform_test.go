package httpapi_test

import (
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

func TestIntrospectToken_BadInput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contentType, body, field string
		want                     int
	}{
		"NoToken":      {formType, "", "token", 400},
		"TwoTokens":    {formType, "token=a&token=b", "token", 400},
		"TwoAddresses": {formType, "token=x&client_ip=192.0.2.1&client_ip=192.0.2.1", "client_ip", 400},
		"TwoAgents":    {formType, "token=x&user_agent=a&user_agent=a", "user_agent", 400},
		"JSON":         {"application/json", `{"token":"x"}`, "Content-Type", 400},
		"NoType":       {"", "token=x", "Content-Type", 400},
		"NotAForm":     {formType, "token=%zz", "body", 400},
		"TooLarge":     {formType, "token=" + strings.Repeat("x", 16<<10), "body", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}})
			got := introspect(t, s, test.body, "Authorization", "Bearer "+backendKey, "Content-Type", test.contentType)
			if got.status != test.want || got.Field != test.field {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatkit-session/adapters/telemetry"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if recorder.Code != http.StatusOK {
		t.Fatalf("got %d %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

func TestMetrics_Anomaly(t *testing.T) {
	t.Parallel()
	m := telemetry.New()
	before := scrape(t, m)
	for _, rule := range session.Rules() {
		if !strings.Contains(before, `chatkit_anomalies_total{rule="`+string(rule)+`"} 0`) {
			t.Errorf("%s does not begin at zero:\n%s", rule, before)
		}
	}
	m.Anomaly(session.RuleOpens)
	m.Anomaly(session.RuleOpens)
	after := scrape(t, m)
	if !strings.Contains(after, `chatkit_anomalies_total{rule="opens"} 2`) || !strings.Contains(after, `chatkit_anomalies_total{rule="addresses"} 0`) {
		t.Errorf("after two there is\n%s", after)
	}
	if !strings.Contains(after, "go_goroutines") {
		t.Error("the process's own metrics are missing")
	}
}

func TestMetrics_Refused(t *testing.T) {
	t.Parallel()
	m := telemetry.New()
	before := scrape(t, m)
	for _, group := range ports.LimitGroups() {
		if !strings.Contains(before, `chatkit_rate_limited_total{group="`+string(group)+`"} 0`) {
			t.Errorf("%s does not begin at zero:\n%s", group, before)
		}
	}
	m.Refused(ports.LimitOpens)
	if after := scrape(t, m); !strings.Contains(after, `chatkit_rate_limited_total{group="opens"} 1`) || !strings.Contains(after, `chatkit_rate_limited_total{group="reads"} 0`) {
		t.Errorf("after one there is\n%s", after)
	}
}

func TestMetrics_TurnedAway(t *testing.T) {
	t.Parallel()
	m := telemetry.New()
	m.TurnedAway("unauthorized", "wrong_issuer")
	m.TurnedAway("unauthorized", "wrong_issuer")
	m.TurnedAway("role_not_found", "")
	got := scrape(t, m)
	for _, want := range []string{`chatkit_turned_away_total{code="unauthorized",reason="wrong_issuer"} 2`, `chatkit_turned_away_total{code="role_not_found",reason=""} 1`} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
}

// part is a ports.Degradable that tests set.
type part string

func (p *part) Degraded() string { return string(*p) }

func TestMetrics_Watch(t *testing.T) {
	t.Parallel()
	m := telemetry.New()
	var one, two part
	m.Watch("one", &one)
	m.Watch("two", &two)
	two = "it does less"
	if got := scrape(t, m); !strings.Contains(got, `chatkit_degraded{part="one"} 0`) || !strings.Contains(got, `chatkit_degraded{part="two"} 1`) {
		t.Errorf("there is\n%s", got)
	}
}

func TestMetrics_Looked(t *testing.T) {
	t.Parallel()
	m := telemetry.New()
	for _, remembered := range []bool{true, false, true} {
		m.Looked(remembered)
	}
	if got := scrape(t, m); !strings.Contains(got, `chatkit_token_looks_total{by="memory"} 2`) || !strings.Contains(got, `chatkit_token_looks_total{by="store"} 1`) {
		t.Errorf("metrics are %s", got)
	}
}

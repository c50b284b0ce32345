// Package telemetry counts what operators watch, for Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package telemetry

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Metrics are this process's metrics.
type Metrics struct {
	registry   *prometheus.Registry
	anomalies  *prometheus.CounterVec
	refused    *prometheus.CounterVec
	turnedAway *prometheus.CounterVec
	overloaded *prometheus.CounterVec
	looks      *prometheus.CounterVec
}

var _ ports.Meter = (*Metrics)(nil)

// New returns metrics that are all zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_anomalies_total",
			Help: "Anomalies that were recorded, by rule.",
		}, []string{"rule"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_rate_limited_total",
			Help: "Requests that were refused for a rate limit, by what it counts.",
		}, []string{"group"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_turned_away_total",
			Help: "Requests that were answered 401, 403 or 429, by the answer's code and the reason.",
		}, []string{"code", "reason"}),
		overloaded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_overloaded_total",
			Help: "Requests that were refused because too much was in flight, by kind of work.",
		}, []string{"work"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_token_looks_total",
			Help: "Looks for the session of a token where checks may be answered from memory, by who answered.",
		}, []string{"by"}),
	}
	m.registry.MustRegister(m.anomalies, m.refused, m.turnedAway, m.overloaded, m.looks, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, rule := range session.Rules() {
		m.anomalies.WithLabelValues(string(rule)) // an alert needs the zero before the one
	}
	for _, group := range ports.LimitGroups() {
		m.refused.WithLabelValues(string(group))
	}
	for _, work := range ports.Works() {
		m.overloaded.WithLabelValues(string(work))
	}
	return m
}

// Anomaly implements ports.Meter.
func (m *Metrics) Anomaly(rule session.Rule) { m.anomalies.WithLabelValues(string(rule)).Inc() }

// Refused implements ports.Meter.
func (m *Metrics) Refused(group ports.LimitGroup) { m.refused.WithLabelValues(string(group)).Inc() }

// TurnedAway counts a caller who was turned away. The answer's code and the
// reason, which may be empty, are of a few words.
func (m *Metrics) TurnedAway(code, reason string) { m.turnedAway.WithLabelValues(code, reason).Inc() }

// Overloaded implements ports.Meter.
func (m *Metrics) Overloaded(work ports.Work) { m.overloaded.WithLabelValues(string(work)).Inc() }

// Looked counts a look for the session of a token, and whether memory answered
// it.
func (m *Metrics) Looked(remembered bool) {
	by := "store"
	if remembered {
		by = "memory"
	}
	m.looks.WithLabelValues(by).Inc()
}

// Watch shows whether a part, which must have a name of its own, does its work
// less well than it should.
func (m *Metrics) Watch(name string, part ports.Degradable) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "chatkit_degraded",
		Help:        "Whether a part of the service does its work less well than it should, which /readyz says more of.",
		ConstLabels: prometheus.Labels{"part": name},
	}, func() float64 {
		if part.Degraded() != "" {
			return 1
		}
		return 0
	}))
}

// Handler answers with the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

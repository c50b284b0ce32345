// Package telemetry exports metrics to Prometheus
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

// New returns new metrics. Counters with known labels start at zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_anomalies_total",
			Help: "Anomalies recorded, by rule.",
		}, []string{"rule"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_rate_limited_total",
			Help: "Requests refused by a rate limit, by the limit's group.",
		}, []string{"group"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_turned_away_total",
			Help: "Requests answered with 401, 403 or 429, by code and reason.",
		}, []string{"code", "reason"}),
		overloaded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_overloaded_total",
			Help: "Requests refused because too many were in flight, by kind of work.",
		}, []string{"work"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chatkit_token_looks_total",
			Help: "Token lookups while the lease cache is enabled, by what answered: memory or store.",
		}, []string{"by"}),
	}
	m.registry.MustRegister(m.anomalies, m.refused, m.turnedAway, m.overloaded, m.looks, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, rule := range session.Rules() {
		m.anomalies.WithLabelValues(string(rule)) // so that an alert sees the increase from zero
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

// TurnedAway counts a refused request. code and reason must have few distinct values;
// reason may be empty.
func (m *Metrics) TurnedAway(code, reason string) { m.turnedAway.WithLabelValues(code, reason).Inc() }

// Overloaded implements ports.Meter.
func (m *Metrics) Overloaded(work ports.Work) { m.overloaded.WithLabelValues(string(work)).Inc() }

// Looked counts a token lookup; remembered says that the lease cache answered it.
func (m *Metrics) Looked(remembered bool) {
	by := "store"
	if remembered {
		by = "memory"
	}
	m.looks.WithLabelValues(by).Inc()
}

// Watch exports whether a part is degraded. Each part needs a unique name.
func (m *Metrics) Watch(name string, part ports.Degradable) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "chatkit_degraded",
		Help:        "Whether a part of the service is degraded (1) or not (0); /readyz gives the reason.",
		ConstLabels: prometheus.Labels{"part": name},
	}, func() float64 {
		if part.Degraded() != "" {
			return 1
		}
		return 0
	}))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

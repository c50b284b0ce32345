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
	registry  *prometheus.Registry
	anomalies *prometheus.CounterVec
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
	}
	m.registry.MustRegister(m.anomalies, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, rule := range session.Rules() {
		m.anomalies.WithLabelValues(string(rule)) // an alert needs the zero before the one
	}
	return m
}

// Anomaly implements ports.Meter.
func (m *Metrics) Anomaly(rule session.Rule) { m.anomalies.WithLabelValues(string(rule)).Inc() }

// Handler answers with the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

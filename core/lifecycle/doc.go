// Package lifecycle holds the use cases of the service. They read and write
// through ports and apply the rules of core/session.
//
// What users and back ends do: authorize.go, open.go (with create.go and
// replace.go), list.go, watch.go (with eventstream.go), transfer.go (with
// claim.go), check.go, revoke.go and admin.go.
//
// Anomalies: anomaly.go stores them; opencounter.go and networkcounter.go count
// events in the time windows of anomalywindow.go.
//
// Load: admission.go bounds requests in flight, bulkhead.go divides the
// connection pool, userqueue.go queues the updates of one user, and inflight.go is
// the limit that they use; ratelimits.go enforces rate limits.
//
// Between replicas: announcingstore.go announces changed sessions, announcer.go
// wakes their watchers, and relayloop.go carries announcements.
//
// In the background: usagebuffer.go writes how sessions are used, cleanup.go
// deletes old data, readiness.go probes the store.
package lifecycle

// Package httpapi implements the HTTP API: routes, wire types, and the one
// table that maps errors to answers. It is the only package that uses Echo.
//
// A request passes through these stages, in this order:
//
//  1. loadshedding.go refuses it with a 503 if too many requests are in
//     flight.
//  2. requestid.go, draining.go and accesslog.go wrap everything that
//     follows.
//  3. securityheaders.go, panics.go, cors.go, duplicateheaders.go and
//     timeouts.go apply to every route.
//  4. authentication.go finds the caller, authorization.go checks the
//     permission and takes one request from the caller's rate limit.
//  5. The handler of the operation answers: open.go, listsessions.go,
//     revoke.go, transfer.go, events.go and so on.
//  6. errors.go maps an error to a status and a code, errorresponse.go
//     writes it.
package httpapi

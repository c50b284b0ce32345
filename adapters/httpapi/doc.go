// Package httpapi answers HTTP: routes, wire types, and the one place where an
// error becomes an answer. It is the only package that knows Echo.
package httpapi

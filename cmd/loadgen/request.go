package main

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
)

// requests writes requests to one host, each into the same buffer.
type requests struct {
	host   string
	buffer bytes.Buffer
}

const below = "/api/chatkit"

// open asks for the session of a device.
func (r *requests) open(credential, device string) []byte {
	return r.write("POST", "/session", credential, "application/json", `{"deviceId":"`+device+`"}`)
}

// verify asks whether a token is good, as a proxy does.
func (r *requests) verify(token string) []byte {
	return r.write("GET", "/session/verify", token, "", "")
}

// introspect asks whose a token is, and names the client that it came from, as a
// back end does.
func (r *requests) introspect(key, token, client string) []byte {
	return r.write("POST", "/session/introspect", key, "application/x-www-form-urlencoded", "token="+url.QueryEscape(token)+"&client_ip="+url.QueryEscape(client))
}

// list asks for a user's own sessions.
func (r *requests) list(credential string) []byte {
	return r.write("GET", "/sessions?limit=20", credential, "", "")
}

func (r *requests) write(method, path, bearer, kind, body string) []byte {
	b := &r.buffer
	b.Reset()
	fmt.Fprintf(b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\nAuthorization: Bearer %s\r\n", method, below, path, r.host, bearer)
	if body != "" {
		b.WriteString("Content-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

package pgtest

import (
	"bytes"
	"encoding/binary"
	"net"
)

// Traffic is what clients said through a proxy.
type Traffic struct {
	// RoundTrips is how often a client asked and waited for the answer.
	RoundTrips int
	// Prepared are the texts that clients named, to run them later.
	Prepared []string
	// Ran are the statements that they ran, in order.
	Ran []Statement
}

// Statement is one that a client ran.
type Statement struct {
	Text string
	Args []*string // as they were sent; nil is NULL
	// Prepared is that the server may keep its plan, for whatever values come
	// later.
	Prepared bool
}

// Take returns what was said since the last call. What a client had an answer
// to is in it.
func (p *Proxy) Take() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.said
	p.said = Traffic{}
	return said
}

// heard is a client's connection that the proxy listens to.
type heard struct {
	net.Conn
	proxy   *Proxy
	begun   bool              // after the start-up message, which has no type
	rest    []byte            // of a message that has not come whole
	prepare map[string]string // the texts of its statements, by name
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.proxy.mu.Lock()
	defer h.proxy.mu.Unlock()
	h.rest = append(h.rest, p[:n]...)
	for h.next() {
	}
	return n, err
}

// next takes one message off what has come; false when there is no whole one.
func (h *heard) next() bool {
	const length, protocol = 4, 3 << 16
	kind := 1 // the bytes of the message's type
	if !h.begun {
		kind = 0
	}
	if len(h.rest) < kind+length {
		return false
	}
	end := kind + int(binary.BigEndian.Uint32(h.rest[kind:]))
	if len(h.rest) < end {
		return false
	}
	body := h.rest[kind+length : end]
	if h.begun {
		h.hear(h.rest[0], body)
	} else {
		h.begun = binary.BigEndian.Uint32(body) == protocol // else it asks for TLS, or to cancel
	}
	h.rest = h.rest[end:]
	return true
}

// hear takes note of a message: https://www.postgresql.org/docs/current/protocol-message-formats.html
func (h *heard) hear(kind byte, body []byte) {
	said := &h.proxy.said
	switch kind {
	case 'Q': // a simple query
		said.RoundTrips++
		said.Ran = append(said.Ran, Statement{Text: string(bytes.TrimSuffix(body, []byte{0}))})
	case 'P': // parse
		name, rest, _ := bytes.Cut(body, []byte{0})
		text, _, _ := bytes.Cut(rest, []byte{0})
		h.prepare[string(name)] = string(text)
		if len(name) > 0 {
			said.Prepared = append(said.Prepared, string(text))
		}
	case 'B': // bind: what is executed then
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, rest, _ := bytes.Cut(rest, []byte{0})
		said.Ran = append(said.Ran, Statement{h.prepare[string(name)], arguments(rest), len(name) > 0})
	case 'S': // sync: the client waits
		said.RoundTrips++
	}
}

// arguments reads those of a bind message, behind its names.
func arguments(rest []byte) []*string {
	formats := int(binary.BigEndian.Uint16(rest))
	rest = rest[2+2*formats:]
	args := make([]*string, binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	for i := range args {
		size := int32(binary.BigEndian.Uint32(rest)) //nolint:gosec // -1 is NULL
		rest = rest[4:]
		if size < 0 {
			continue
		}
		text := string(rest[:size])
		args[i], rest = &text, rest[size:]
	}
	return args
}

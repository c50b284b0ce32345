package session

import "strings"

// ActorKind is what an actor is.
type ActorKind string

// The kinds of actors.
const (
	// ActorImpersonator is an admin of the Clerk instance who acts as the user.
	ActorImpersonator ActorKind = "impersonator"
	// ActorAgent is a browser that an AI drives in the user's name.
	ActorAgent ActorKind = "agent"
)

// ParseActorKind accepts the name of a kind.
func ParseActorKind(text string) (ActorKind, error) {
	switch kind := ActorKind(text); kind {
	case ActorImpersonator, ActorAgent:
		return kind, nil
	}
	return "", Invalid("actor", "must be impersonator or agent")
}

// MaxActorSubjectLength bounds the subject of an actor, in characters.
const MaxActorSubjectLength = 128

// Actor is somebody, or something, that acts in a user's name with a credential
// of the user's that says so: the outermost actor of its "act" claim (RFC 8693,
// section 4.1). The zero Actor means that the user is there in person.
type Actor struct {
	kind    ActorKind
	subject string
}

// NewActor returns the actor of this kind that subject identifies: 1 to
// MaxActorSubjectLength printable ASCII characters without spaces, so that it
// is safe in a header. It returns a KindInvalid error otherwise.
func NewActor(kind ActorKind, subject string) (Actor, error) {
	if subject == "" || len(subject) > MaxActorSubjectLength || strings.ContainsFunc(subject, notVisible) {
		return Actor{}, Invalid("act.sub", "must have 1 to 128 printable ASCII characters without spaces")
	}
	return Actor{kind, subject}, nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// RestoreActor rebuilds an actor from what String returned. ONLY STORES CALL IT.
func RestoreActor(text string) Actor {
	kind, subject, _ := strings.Cut(text, ":")
	return Actor{ActorKind(kind), subject}
}

// String returns "kind:subject", or nothing for no actor.
func (a Actor) String() string {
	if a.IsZero() {
		return ""
	}
	return string(a.kind) + ":" + a.subject
}

// IsZero reports whether the user is there in person.
func (a Actor) IsZero() bool { return a == Actor{} }

// Kind returns what the actor is.
func (a Actor) Kind() ActorKind { return a.kind }

// Subject returns who the actor is.
func (a Actor) Subject() string { return a.subject }

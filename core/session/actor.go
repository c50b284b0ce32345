package session

import "strings"

// ActorKind is a kind of actor.
type ActorKind string

// The kinds of actors.
const (
	// ActorImpersonator is an admin of the Clerk instance who impersonates the user.
	ActorImpersonator ActorKind = "impersonator"
	// ActorAgent is a browser that an AI controls in the user's name.
	ActorAgent ActorKind = "agent"
)

// ParseActorKind returns the kind with this name, or a KindInvalid error.
func ParseActorKind(text string) (ActorKind, error) {
	switch kind := ActorKind(text); kind {
	case ActorImpersonator, ActorAgent:
		return kind, nil
	}
	return "", Invalid("actor", "must be impersonator or agent")
}

// MaxActorSubjectLength is the maximum length of an actor's subject, in characters.
const MaxActorSubjectLength = 128

// Actor is a party that acts in a user's name, with a credential that names it: the
// outermost actor of its "act" claim (RFC 8693, section 4.1). The zero Actor means
// that the user acts in person.
type Actor struct {
	kind    ActorKind
	subject string
}

// NewActor returns the actor of this kind that subject identifies. To be safe in a
// header, subject must have 1 to MaxActorSubjectLength printable ASCII characters
// without spaces; otherwise NewActor returns a KindInvalid error.
func NewActor(kind ActorKind, subject string) (Actor, error) {
	if subject == "" || len(subject) > MaxActorSubjectLength || strings.ContainsFunc(subject, notVisible) {
		return Actor{}, Invalid("act.sub", "must have 1 to 128 printable ASCII characters without spaces")
	}
	return Actor{kind, subject}, nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// RestoreActor rebuilds an actor from its String, WITHOUT validating it. ONLY
// STORES CALL IT.
func RestoreActor(text string) Actor {
	kind, subject, _ := strings.Cut(text, ":")
	return Actor{ActorKind(kind), subject}
}

// String returns "kind:subject", and "" for the zero Actor.
func (a Actor) String() string {
	if a.IsZero() {
		return ""
	}
	return string(a.kind) + ":" + a.subject
}

// IsZero reports whether the user acts in person.
func (a Actor) IsZero() bool { return a == Actor{} }

// Kind returns the actor's kind.
func (a Actor) Kind() ActorKind { return a.kind }

// Subject returns the identifier of the actor.
func (a Actor) Subject() string { return a.subject }

package clerk

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"chatkit-session/core/session"
)

// claims are all claims of a credential, each still encoded.
type claims map[string]json.RawMessage

// UnmarshalJSON keeps the claims encoded, whichever JSON package calls it.
func (c *claims) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, (*map[string]json.RawMessage)(c))
}

// named returns the text of a claim. name may be a path of claims with dots between
// them. A claim's own name may contain dots, as a URL does: the longest matching name
// is used.
func (c claims) named(name string) string {
	if value, there := c[name]; there {
		return text(value)
	}
	for end := strings.LastIndexByte(name, '.'); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		var object claims
		if value, there := c[name[:end]]; there && json.Unmarshal(value, &object) == nil {
			if found := object.named(name[end+1:]); found != "" {
				return found
			}
		}
	}
	return ""
}

var errNoActor = errors.New("the claim act must be an object that names an actor")

// actor returns the outermost actor of the act claim (RFC 8693, section 4.1), or the
// zero Actor without that claim.
func (c claims) actor() (session.Actor, error) {
	if isNull(c["act"]) {
		return session.Actor{}, nil
	}
	var act map[string]json.RawMessage // a struct would take "SUB" for "sub"
	if json.Unmarshal(c["act"], &act) != nil {
		return session.Actor{}, errNoActor
	}
	var what string
	if !isNull(act["type"]) && json.Unmarshal(act["type"], &what) != nil {
		return session.Actor{}, errNoActor
	}
	kind := session.ActorImpersonator
	if what == string(session.ActorAgent) {
		kind = session.ActorAgent
	}
	return session.NewActor(kind, text(act["sub"]))
}

// oldestFactor is the greatest accepted age of a factor, in minutes: a hundred years.
const oldestFactor = 100 * 365 * 24 * 60

// verified returns when the user last verified a factor: the time of issue less the
// younger age in fva, which is in whole minutes. It returns the zero time if the
// claims do not say.
func (c claims) verified(issuedAt *int64) time.Time {
	var ages []*int64 // so that null is not 0, which means just verified
	if issuedAt == nil || json.Unmarshal(c["fva"], &ages) != nil || len(ages) != 2 || slices.Contains(ages, nil) {
		return time.Time{}
	}
	var latest time.Time
	for _, age := range ages {
		if *age < 0 || *age > oldestFactor {
			continue
		}
		at := time.Unix(*issuedAt, 0).UTC().Add(-time.Duration(*age) * time.Minute)
		if latest.IsZero() || at.After(latest) {
			latest = at
		}
	}
	return latest
}

// isNull reports whether a claim is absent or null.
func isNull(claim json.RawMessage) bool { return len(claim) == 0 || string(claim) == "null" }

func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

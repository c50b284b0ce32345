package session

import "time"

// Rule detects one kind of anomaly: use that is rare for users and typical of
// attackers.
type Rule string

// The rules.
const (
	// RuleNewDevices detects many new devices of a user in a short time.
	RuleNewDevices Rule = "new_devices"
	// RuleOpens detects many opens of a sign-in in a short time.
	RuleOpens Rule = "opens"
	// RuleSupersededToken detects the use of the superseded token after its grace.
	// Older tokens are refused, too, but not detected.
	RuleSupersededToken Rule = "superseded_token"
	// RuleAddresses detects the use of one session's token from many networks in a
	// short time.
	RuleAddresses Rule = "addresses"
	// RuleForeignCode detects that another user tries a transfer code.
	RuleForeignCode Rule = "foreign_code"
	// RuleContestedDevice detects a sign-in that opens a session on a device that a
	// newer sign-in of the same user is using.
	RuleContestedDevice Rule = "contested_device"
)

// Rules lists every rule.
func Rules() []Rule {
	return []Rule{RuleNewDevices, RuleOpens, RuleSupersededToken, RuleAddresses, RuleForeignCode, RuleContestedDevice}
}

// Action is what happens on an anomaly, in addition to recording it.
type Action string

// The actions.
const (
	// ActionRecord does nothing else.
	ActionRecord Action = "record"
	// ActionRevoke ends the session. For the rules about a sign-in (RuleNewDevices,
	// RuleOpens, RuleContestedDevice) it blocks the sign-in and ends all its
	// sessions; for RuleNewDevices only if the sign-in's own devices exceed the limit.
	ActionRevoke Action = "revoke"
)

// ParseAction returns the action with this name, or a KindInvalid error.
func ParseAction(text string) (Action, error) {
	switch action := Action(text); action {
	case ActionRecord, ActionRevoke:
		return action, nil
	}
	return "", Invalid("action", "must be record or revoke")
}

// AnomalyRules define what an anomaly is and what happens then.
type AnomalyRules struct {
	// NewDevices bounds how many devices of a user may be new.
	NewDevices Limit
	// Opens bounds how often a sign-in may open sessions.
	Opens Limit
	// Addresses limits the number of networks that use one session's token.
	Addresses Limit
	// SupersededAfter is how long after its grace a superseded token may still be
	// used without an anomaly. Negative turns the rule off.
	SupersededAfter time.Duration
	// ForeignCodes is the number of tries of one transfer code by other users that
	// makes an anomaly; 0 turns the rule off.
	ForeignCodes int
	// Actions maps rules to actions. The default is ActionRecord.
	Actions map[Rule]Action
}

// DefaultAnomalyRules allow ten new devices in ten minutes, 120 opens a minute and
// five networks in five minutes. They record anomalies and revoke nothing.
func DefaultAnomalyRules() AnomalyRules {
	return AnomalyRules{
		NewDevices:   Limit{Most: 10, Within: 10 * time.Minute},
		Opens:        Limit{Most: 120, Within: time.Minute},
		Addresses:    Limit{Most: 5, Within: 5 * time.Minute},
		ForeignCodes: 1,
	}
}

// Action returns the action for rule.
func (r AnomalyRules) Action(rule Rule) Action {
	if action, set := r.Actions[rule]; set {
		return action
	}
	return ActionRecord
}

// Superseded reports whether using the token with this hash at now is an anomaly
// that has not been recorded yet: it is s's superseded token, after its grace.
func (r AnomalyRules) Superseded(now time.Time, s Session, hash TokenHash) bool {
	return r.SupersededAfter >= 0 && s.status == StatusActive && !s.supersededSeen &&
		hash == s.previous && !now.Before(s.previousUntil.Add(r.SupersededAfter))
}

// SupersededAction returns the action for a superseded token of s that was used
// from source. Use that may come from the session's own device, such as a laptop
// that wakes up, is only recorded.
func (r AnomalyRules) SupersededAction(s Session, source Source) Action {
	if !source.Differs(s.source) {
		return ActionRecord
	}
	return r.Action(RuleSupersededToken)
}

// ForeignCode reports whether the last of this many refused tries of a transfer
// code by other users makes them an anomaly.
func (r AnomalyRules) ForeignCode(refused int) bool {
	return r.ForeignCodes > 0 && refused == r.ForeignCodes
}

package session

import "time"

// Rule is something that people rarely do and those who stole something often.
type Rule string

// The rules.
const (
	// RuleNewDevices is many new devices of a user in a short time.
	RuleNewDevices Rule = "new_devices"
	// RuleOpens is many opens of a sign-in in a short time.
	RuleOpens Rule = "opens"
	// RuleSupersededToken is the use of the token that the last refresh
	// superseded, after its grace. Those before it are refused unseen.
	RuleSupersededToken Rule = "superseded_token"
	// RuleAddresses is one session's token used from several networks in a
	// short time.
	RuleAddresses Rule = "addresses"
	// RuleForeignCode is a transfer code used by somebody else.
	RuleForeignCode Rule = "foreign_code"
	// RuleContestedDevice is a sign-in that wants a device that a newer one of
	// the same user is using.
	RuleContestedDevice Rule = "contested_device"
)

// Rules lists every rule.
func Rules() []Rule {
	return []Rule{RuleNewDevices, RuleOpens, RuleSupersededToken, RuleAddresses, RuleForeignCode, RuleContestedDevice}
}

// Action is what is done about an anomaly besides recording it.
type Action string

// The actions.
const (
	// ActionRecord does nothing more.
	ActionRecord Action = "record"
	// ActionRevoke ends the session that it is about. Where the anomaly is in
	// what a sign-in does (RuleNewDevices, RuleOpens, RuleContestedDevice) it
	// blocks that sign-in and ends all its sessions: the new devices must be its
	// own then.
	ActionRevoke Action = "revoke"
)

// ParseAction accepts the name of an action.
func ParseAction(text string) (Action, error) {
	switch action := Action(text); action {
	case ActionRecord, ActionRevoke:
		return action, nil
	}
	return "", Invalid("action", "must be record or revoke")
}

// AnomalyRules say what is an anomaly and what to do about it.
type AnomalyRules struct {
	// NewDevices bounds how many devices of a user may be new.
	NewDevices Limit
	// Opens bounds how often a sign-in may open sessions.
	Opens Limit
	// Addresses bounds from how many networks one session's token may be used.
	Addresses Limit
	// SupersededAfter is for how long after its grace a superseded token's use
	// is still no anomaly. Negative means that it never is one.
	SupersededAfter time.Duration
	// ForeignCodes is how many tries of somebody else with one transfer code
	// are an anomaly; 0 means that none are.
	ForeignCodes int
	// Actions says what to do; a rule that it lacks is recorded.
	Actions map[Rule]Action
}

// DefaultAnomalyRules allow what ten devices in ten minutes, two opens a
// second, and a phone and a laptop with two networks each do; everything is
// recorded and nothing revoked.
func DefaultAnomalyRules() AnomalyRules {
	return AnomalyRules{
		NewDevices:   Limit{Most: 10, Within: 10 * time.Minute},
		Opens:        Limit{Most: 120, Within: time.Minute},
		Addresses:    Limit{Most: 5, Within: 5 * time.Minute},
		ForeignCodes: 1,
	}
}

// Action returns what is done about rule.
func (r AnomalyRules) Action(rule Rule) Action {
	if action, set := r.Actions[rule]; set {
		return action
	}
	return ActionRecord
}

// Superseded reports whether the use of the token with this hash at now is an
// anomaly that was not reported yet: s superseded it, and its grace is over.
func (r AnomalyRules) Superseded(now time.Time, s Session, hash TokenHash) bool {
	return r.SupersededAfter >= 0 && s.status == StatusActive && !s.supersededSeen &&
		hash == s.previous && !now.Before(s.previousUntil.Add(r.SupersededAfter))
}

// SupersededAction is what is done about a superseded token that was used from
// source: one that came from the device itself, such as a laptop that wakes
// up, is only recorded.
func (r AnomalyRules) SupersededAction(s Session, source Source) Action {
	if !source.Differs(s.source) {
		return ActionRecord
	}
	return r.Action(RuleSupersededToken)
}

// ForeignCode reports whether the last of refused tries of others with one
// transfer code makes them an anomaly.
func (r AnomalyRules) ForeignCode(refused int) bool {
	return r.ForeignCodes > 0 && refused == r.ForeignCodes
}

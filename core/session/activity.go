package session

import "time"

// ActivityType is what happened to a session.
type ActivityType string

// The types of activity. Reuse and checks are not recorded one by one: a session
// has counts and a last activity for them.
const (
	ActivityCreated     ActivityType = "created"
	ActivityRefreshed   ActivityType = "refreshed"
	ActivityRevoked     ActivityType = "revoked"
	ActivityExpired     ActivityType = "expired"
	ActivityTransferred ActivityType = "transferred"
	ActivityLimit       ActivityType = "limit"
	ActivityAnomaly     ActivityType = "anomaly"
)

// The names of an activity's details.
const (
	// DetailBy is who revoked the session: DetailByUser, DetailByAdmin or
	// DetailByService.
	DetailBy = "by"
	// DetailActor identifies the admin or actor who acted instead of the user in
	// person.
	DetailActor = "actor"
	// DetailReason is why the session was revoked: "sign_out", "sign_out_all",
	// "replaced", or the rule of an anomaly.
	DetailReason = "reason"
	// DetailDevice is the session's device.
	DetailDevice = "deviceId"
	// DetailFromDevice is the session's device before a transfer.
	DetailFromDevice = "fromDeviceId"
	// DetailSuccessor is the id of the session that took this one's place.
	DetailSuccessor = "successor"
	// DetailRule and DetailAction are the rule and the action of an anomaly.
	DetailRule   = "rule"
	DetailAction = "action"
)

// The values of DetailBy.
const (
	DetailByUser    = "user"
	DetailByAdmin   = "admin"
	DetailByService = "service"
)

// Activity is the record of an event in a session's life. It is never changed and
// contains no secret.
type Activity struct {
	// ID is zero until the record is stored.
	ID      ID
	User    UserID
	Session ID
	Type    ActivityType
	At      time.Time
	// Source is where the request came from; zero when no request caused the event.
	Source Source
	// Detail maps names such as DetailBy to values.
	Detail map[string]string
}

// RestoreActivity completes an activity from storage with ids, WITHOUT validating
// them. ONLY STORES CALL IT.
func RestoreActivity(id, user, session string, a Activity) Activity {
	a.ID, a.User, a.Session = ID{name{id}}, UserID{name{user}}, ID{name{session}}
	return a
}

// Use is how a session was used since its use was last stored.
type Use struct {
	Session ID
	// At is the time of the last use.
	At time.Time
	// Opens and Checks count opens and successful token checks.
	Opens, Checks int
	// Source is where the last use came from; zero when unknown.
	Source Source
}

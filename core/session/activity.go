package session

import "time"

// ActivityType is what happened.
type ActivityType string

// The types of activity. Reuse and checks are none: they are summed up in a
// session's counts and last activity.
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
	// DetailBy says who revoked: DetailByUser, DetailByAdmin or
	// DetailByService.
	DetailBy = "by"
	// DetailActor names who acted when it was not the user in person: an
	// admin, or one who impersonates the user.
	DetailActor = "actor"
	// DetailReason says why: "sign_out", "sign_out_all", "replaced", or the rule
	// of an anomaly.
	DetailReason = "reason"
	// DetailDevice is the device that the session is on.
	DetailDevice = "deviceId"
	// DetailFromDevice is the device that the session was on.
	DetailFromDevice = "fromDeviceId"
	// DetailSuccessor is the session that came in this one's place.
	DetailSuccessor = "successor"
	// DetailRule and DetailAction say which anomaly was seen and what was done
	// about it.
	DetailRule   = "rule"
	DetailAction = "action"
)

// Who revokes, as DetailBy says it.
const (
	DetailByUser    = "user"
	DetailByAdmin   = "admin"
	DetailByService = "service"
)

// Activity is the record of something that happened to a session. It is never
// changed and holds no secret.
type Activity struct {
	// ID identifies it; zero until it is stored.
	ID      ID
	User    UserID
	Session ID
	Type    ActivityType
	At      time.Time
	// Source is from where it was done; zero when nobody did it.
	Source Source
	// Detail is more about it, by name; see DetailBy and its like.
	Detail map[string]string
}

// RestoreActivity completes an activity from storage with names that were
// checked when they were written. ONLY STORES CALL IT.
func RestoreActivity(id, user, session string, a Activity) Activity {
	a.ID, a.User, a.Session = ID{name{id}}, UserID{name{user}}, ID{name{session}}
	return a
}

// Use is how a session was used since it was last written.
type Use struct {
	Session ID
	// At is when it was used last.
	At time.Time
	// Opens and Checks count how often it was opened and its token checked.
	Opens, Checks int
	// Source is from where it was used last; zero when unknown.
	Source Source
}

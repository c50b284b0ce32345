package postgres

// What tests look at.
const (
	FindOnDeviceSQL   = findOnDeviceSQL
	FindGeneratedSQL  = findGeneratedSQL
	FindByTokenSQL    = findByTokenSQL
	FindByOfferSQL    = findByOfferSQL
	FindByIDSQL       = findByIDSQL
	LockSQL           = lockSQL
	ListSQL           = listSQL
	ActivitySQL       = activitySQL
	TryCleanerLockSQL = tryCleanerLockSQL
)

// Kinded is kinded.
var Kinded = kinded

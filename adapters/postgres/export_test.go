package postgres

// What tests look at.
const (
	FindOnDeviceSQL   = findOnDeviceSQL
	FindGeneratedSQL  = findGeneratedSQL
	TryCleanerLockSQL = tryCleanerLockSQL
)

// Kinded is kinded.
var Kinded = kinded

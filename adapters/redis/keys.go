package redis

import "strings"

// All of the service's keys start with rate:chatkit:. redis_rate adds libraryPrefix
// to the keys of rate limits.
const (
	keyPrefix     = "chatkit:"
	libraryPrefix = "rate:"
)

// slot returns key as a hash tag: a cluster keeps all keys with the same hash tag on
// one node.
func slot(key string) string { return "{" + strings.NewReplacer("{", "(", "}", ")").Replace(key) + "}" }

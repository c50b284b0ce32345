package redis

import "strings"

// keyPrefix tells the service's keys from others in the same database: with
// libraryPrefix, which redis_rate puts before it, all of them begin with
// rate:chatkit:.
const (
	keyPrefix     = "chatkit:"
	libraryPrefix = "rate:"
)

// slot is a key that a cluster keeps on one node, whatever stands around it.
func slot(key string) string { return "{" + strings.NewReplacer("{", "(", "}", ")").Replace(key) + "}" }

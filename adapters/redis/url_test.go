package redis_test

import (
	"strings"
	"testing"

	"chatkit-session/adapters/redis"
)

// With a user and a password, over TLS to more than one host, and what is none.
func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"redis://localhost", "redis://localhost:6379", "redis://127.0.0.1:6380/2", "redis://[::1]:6379", "rediss://user:p%40ss@redis.example.com:6380/0",
		"redis://:pass@one:1,two:2,three", "redis://one?cluster=true", "redis://one/?cluster=false", "redis://one:1/3",
		"redis://one:26379,two:26379/2?master=main", "rediss://user:pass@one?master=main", "redis://one?master=main&sentinel_password=s%26cret",
	} {
		if err := redis.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "redis://", "localhost:6379", "http://localhost", "redis://one,", "redis://one two", "redis://one:port", "redis://one/x", "redis://one/-1", "redis://one/1/2",
		"redis://one?pool_size=3", "redis://one?cluster=perhaps", "redis://one,two/1", "redis://one/1?cluster=true", "redis://us%er:secret@one", "redis://::1", "redis://one#x",
		"redis://one?master=", "redis://one?master=a&master=b", "redis://one?master=main&cluster=true", "redis://one?master=main&pool_size=3", "redis://one?sentinel_password=secret", "redis://one?cluster=true&sentinel_password=secret",
		"redis://one?master=main&sentinel_password=", "redis://one?master=main&sentinel_password=secret&sentinel_password=secret", "redis://one/x?master=main",
	} {
		err := redis.CheckURL(bad)
		if err == nil {
			t.Errorf("%q is good", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows the password", err)
		}
	}
}

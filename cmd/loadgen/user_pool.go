package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
)

// issuer is the issuer of chatkit-session dev --write-keys.
const issuer = "https://dev.clerk.accounts.dev"

// The users: those that seed has prepared, and others that open a new device each
// time, so that no prepared session is evicted.
const (
	measuredUsers = "user_load_"
	creatingUsers = "user_create_"
)

func userName(prefix string, i int) string { return fmt.Sprintf("%s%06d", prefix, i) }

// clientAddress returns the address of user number i, in a network of its own. It
// is from the range for documentation (RFC 3849).
func clientAddress(i int) string {
	return "2001:db8:" + strconv.FormatInt(int64(i>>16), 16) + ":" + strconv.FormatInt(int64(i&0xffff), 16) + "::7"
}

// userPool holds signed-in users. Signing a token takes a hundred times as long as
// sending it, so each user's token is signed beforehand, and again in the
// background before it expires.
type userPool struct {
	identity    *fakeclerk.Instance
	prefix      string
	lifetime    time.Duration
	credentials []atomic.Pointer[string]
}

// loadIdentity reads the signing key from the folder of keys.
func loadIdentity(dir string) (*fakeclerk.Instance, error) {
	private, err := os.ReadFile(filepath.Join(dir, "signing_key.pem"))
	if err != nil {
		return nil, fmt.Errorf("--keys must be a folder that chatkit-session dev --write-keys has written: %w", err)
	}
	return fakeclerk.Load(private, issuer)
}

// newUserPool signs n users in.
func newUserPool(ctx context.Context, identity *fakeclerk.Instance, prefix string, n int, lifetime time.Duration) (*userPool, error) {
	c := &userPool{identity: identity, prefix: prefix, lifetime: lifetime, credentials: make([]atomic.Pointer[string], n)}
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for w := range errs {
		group.Go(func() {
			for ctx.Err() == nil && errs[w] == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				errs[w] = c.mint(i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return c, ctx.Err()
}

func (c *userPool) mint(i int) error {
	user := c.user(i)
	token, err := c.identity.Mint(fakeclerk.Claims{Subject: user, SignIn: "sess_" + user, Role: "member", Lifetime: c.lifetime})
	if err != nil {
		return err
	}
	c.credentials[i].Store(&token)
	return nil
}

func (c *userPool) size() int { return len(c.credentials) }

func (c *userPool) user(i int) string { return userName(c.prefix, i) }

func (c *userPool) credential(i int) string { return *c.credentials[i].Load() }

// keepSignedIn signs every token again after half of its lifetime. It spreads the
// work evenly, so that it takes the same small share of the machine all the time.
func (c *userPool) keepSignedIn(ctx context.Context) {
	ticker := time.NewTicker(max(c.lifetime/2/time.Duration(c.size()), time.Microsecond))
	defer ticker.Stop()
	for i := 0; ; i = (i + 1) % c.size() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = c.mint(i) // cannot fail: the key has signed before
		}
	}
}

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

// issuer is that of the keys that chatkit-session dev --write-keys makes.
const issuer = "https://dev.clerk.accounts.dev"

// Whose sessions are opened: those that seed has prepared, and others who come
// with a new device each time, so that they push no prepared session out.
const (
	measuredUsers = "user_load_"
	creatingUsers = "user_create_"
)

func userName(prefix string, i int) string { return fmt.Sprintf("%s%06d", prefix, i) }

// clientAddress is where user number i is: always on the same network, which is
// nobody else's. It is one of those for examples.
func clientAddress(i int) string {
	return "2001:db8:" + strconv.FormatInt(int64(i>>16), 16) + ":" + strconv.FormatInt(int64(i&0xffff), 16) + "::7"
}

// userPool are users who are signed in. Signing a token takes a hundred times as
// long as sending it: each user's is signed beforehand, and again in the
// background before it expires.
type userPool struct {
	identity    *fakeclerk.Instance
	prefix      string
	lifetime    time.Duration
	credentials []atomic.Pointer[string]
}

// loadIdentity reads the key that signs tokens from the keys' folder.
func loadIdentity(dir string) (*fakeclerk.Instance, error) {
	private, err := os.ReadFile(filepath.Join(dir, "signing_key.pem"))
	if err != nil {
		return nil, fmt.Errorf("--keys must be a folder of chatkit-session dev --write-keys: %w", err)
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

// keepSignedIn signs every token again when half of its life is over, evenly
// spread, so that it takes the same small part of the machine all the time.
func (c *userPool) keepSignedIn(ctx context.Context) {
	ticker := time.NewTicker(max(c.lifetime/2/time.Duration(c.size()), time.Microsecond))
	defer ticker.Stop()
	for i := 0; ; i = (i + 1) % c.size() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = c.mint(i) // the key has signed before
		}
	}
}

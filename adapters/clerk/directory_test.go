package clerk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/core/session"
	"chatkit-session/ports/porttest"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	missing := session.Must(session.ParseUserID("user_missing"))
	directory := func(t *testing.T, b *bench) *clerk.Directory {
		t.Helper()
		d, err := clerk.NewDirectory(b.config)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Run("Contract", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		porttest.RoleDirectory(t, directory(t, b), user, member, missing)
		if b.api.Requests("/users/user_1") != 1 || b.api.Requests("/users/user_missing") != 1 {
			t.Error("what was found out is not remembered")
		}
	})
	t.Run("RememberedForAMinute", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		d := directory(t, b)
		for range 2 {
			if got, err := d.Role(t.Context(), user); err != nil || got != member {
				t.Errorf("Role = %v, %v", got, err)
			}
			b.clock.advance(time.Minute - time.Second)
		}
		b.api.SetUser("user_1", map[string]any{})
		b.clock.advance(2 * time.Second)
		if got, err := d.Role(t.Context(), user); err != nil || !got.IsZero() {
			t.Errorf("a role that was taken away a minute ago: %v, %v", got, err)
		}
	})
	t.Run("EndlessAnswer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member", "pad": strings.Repeat("x", 2<<20)})
		if got, err := directory(t, b).Role(t.Context(), user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
			t.Errorf("Role = %v, %v", got, err)
		}
	})
	t.Run("OddMetadataIsNoRole", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		d := directory(t, b)
		for n, metadata := range []any{nil, map[string]any{}, map[string]any{"role": 1}, map[string]any{"role": "a b"}, []string{"admin"}} {
			id := session.Must(session.ParseUserID(fmt.Sprintf("user_%d", n)))
			b.api.SetUser(id.String(), metadata)
			if got, err := d.Role(t.Context(), id); err != nil || !got.IsZero() {
				t.Errorf("Role of %v = %v, %v", metadata, got, err)
			}
		}
	})
	t.Run("DownIsNoAnswer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		d := directory(t, b)
		for _, status := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusForbidden} {
			b.api.Fail(status)
			if got, err := d.Role(t.Context(), user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
				t.Errorf("%d: Role = %v, %v", status, got, err)
			}
		}
		b.api.Fail(0)
		if got, err := d.Role(t.Context(), user); err != nil || got != member {
			t.Errorf("an error was remembered: %v, %v", got, err)
		}
	})
	t.Run("ManyCallersOneRequest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		var group, started sync.WaitGroup
		for range 20 {
			started.Add(1)
			group.Go(func() {
				started.Done()
				if got, err := d.Role(t.Context(), user); err != nil || got != member {
					t.Errorf("Role = %v, %v", got, err)
				}
			})
		}
		started.Wait()
		close(release)
		group.Wait()
		if n := b.api.Requests("/users/user_1"); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("SlowerThanTheCaller", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			b.await(t, "/users/user_1", 1)
		}()
		if got, err := d.Role(ctx, user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
			t.Errorf("Role = %v, %v", got, err)
		}
		close(release)
		if got, err := d.Role(t.Context(), user); err != nil || got != member {
			t.Errorf("then Role = %v, %v", got, err)
		}
		if n := b.api.Requests("/users/user_1"); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("ManyUsers", func(t *testing.T) { // ask for few roles at a time
		t.Parallel()
		b := setup(t)
		const users, most = 100, 64
		path := func(n int) string { return fmt.Sprintf("/users/user_%d", n) }
		requests := func() (sum int) {
			for n := range users {
				sum += b.api.Requests(path(n))
			}
			return sum
		}
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		var group sync.WaitGroup
		for n := range users {
			b.api.SetUser(fmt.Sprintf("user_%d", n), map[string]any{"role": "member"})
			group.Go(func() {
				id := session.Must(session.ParseUserID(fmt.Sprintf("user_%d", n)))
				if got, err := d.Role(t.Context(), id); err != nil || got != member {
					t.Errorf("Role = %v, %v", got, err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for ; requests() < most; runtime.Gosched() {
			if ctx.Err() != nil {
				t.Fatalf("%d requests", requests())
			}
		}
		if n := requests(); n != most {
			t.Errorf("%d requests at a time", n)
		}
		close(release)
		group.Wait()
	})
	t.Run("ManyCallers", func(t *testing.T) { // are refused at once, but for some
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		const callers, most = 600, 512
		answers := make(chan error, callers)
		for range callers {
			go func() { _, err := d.Role(t.Context(), user); answers <- err }()
		}
		for n := range callers {
			if n == callers-most {
				close(release)
			}
			if err, refused := <-answers, n < callers-most; refused != errors.Is(err, session.KindOverloaded) || (!refused && err != nil) {
				t.Errorf("answer %d is %v", n, err)
			}
		}
	})
	t.Run("NoSecretKey", func(t *testing.T) {
		t.Parallel()
		if _, err := clerk.NewDirectory(clerk.Config{}); err == nil {
			t.Error("accepted")
		}
	})
}

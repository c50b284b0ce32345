package clerk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"
	"github.com/maypok86/otter/v2"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	// roleLifetime is how long a role that was looked up is remembered.
	roleLifetime = time.Minute
	// rolesRemembered bounds how many users' roles are.
	rolesRemembered = 10_000
	// mostLookUps is how many users' roles are looked up at a time.
	mostLookUps = 64
	// mostAsking is how many callers wait for theirs: what that many look-ups do
	// not answer soon is refused at once.
	mostAsking = 8 * mostLookUps
)

var errManyAsk = errors.New("too many wait for their role")

// Directory looks roles up in Clerk's Backend API: the public_metadata.role of
// the user.
type Directory struct {
	users  *user.Client
	roles  *otter.Cache[session.UserID, access.Role]
	turns  chan struct{} // has one for each look-up that is under way
	asking chan struct{} // has one for each caller who waits
}

var _ ports.RoleDirectory = (*Directory)(nil)

// NewDirectory returns a Directory that asks with config's SecretKey.
func NewDirectory(config Config) (*Directory, error) {
	if config.SecretKey == "" {
		return nil, errors.New("a secret key is required")
	}
	roles, err := otter.New(&otter.Options[session.UserID, access.Role]{
		MaximumSize:      rolesRemembered,
		Clock:            cacheClock{config.Clock},
		ExpiryCalculator: otter.ExpiryWriting[session.UserID, access.Role](roleLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of roles: %w", err)
	}
	return &Directory{users: user.NewClient(config.api()), roles: roles, turns: make(chan struct{}, mostLookUps), asking: make(chan struct{}, mostAsking)}, nil
}

// cacheClock lends the service's clock to the cache, which needs no ticks: what
// has expired is never answered.
type cacheClock struct{ ports.Clock }

func (c cacheClock) NowNano() int64 { return c.Now().UnixNano() }

func (cacheClock) Tick(time.Duration) <-chan time.Time { return nil }

// Role implements ports.RoleDirectory. Callers that ask for one user at once
// share one request, which does not end with any of them; each waits for it as
// long as its own ctx allows. Who waits is not in flight: most callers' credentials
// name their role.
func (d *Directory) Role(ctx context.Context, id session.UserID) (access.Role, error) {
	if role, known := d.roles.GetIfPresent(id); known {
		return role, nil
	}
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	default:
		return access.Role{}, session.Wrap(session.KindOverloaded, errManyAsk)
	}
	ports.ReleaseInFlight(ctx)
	var role access.Role
	done := make(chan error, 1)
	go func() {
		var err error
		role, err = d.roles.Get(context.WithoutCancel(ctx), id, otter.LoaderFunc[session.UserID, access.Role](d.load))
		done <- err
	}()
	select {
	case <-ctx.Done():
		return access.Role{}, unavailableRole(context.Cause(ctx))
	case err := <-done:
		if err != nil {
			return access.Role{}, unavailableRole(err)
		}
		return role, nil
	}
}

func unavailableRole(cause error) error {
	return session.Wrap(session.KindUnavailable, fmt.Errorf("look up the user's role: %w", cause))
}

func (d *Directory) load(ctx context.Context, id session.UserID) (access.Role, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return access.Role{}, context.Cause(ctx)
	}
	found, err := d.users.Get(ctx, id.String())
	var answer *sdk.APIErrorResponse
	if errors.As(err, &answer) && answer.HTTPStatusCode == http.StatusNotFound {
		return access.Role{}, nil
	}
	if err != nil {
		return access.Role{}, err
	}
	var metadata struct {
		Role string `json:"role"`
	}
	if json.Unmarshal(found.PublicMetadata, &metadata) != nil {
		return access.Role{}, nil // another type is no role
	}
	role, err := access.ParseRole(metadata.Role)
	if err != nil {
		return access.Role{}, nil //nolint:nilerr // neither is what cannot be one
	}
	return role, nil
}

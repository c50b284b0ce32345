package lifecycle_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// vault is an in-memory store of one user's sessions. It keeps what
// ports.SessionStore specifies about sign-ins.
type vault struct {
	t  *testing.T
	mu sync.Mutex

	sessions map[session.ID]session.Session
	signIns  map[session.Holder]session.SignIn
	moment   time.Time
}

var _ ports.SessionStore = (*vault)(nil)

// blocks reports whether a sign-in is blocked: by its record or, without one,
// because it was verified before the moment.
func (v *vault) blocks(by session.Bearer) bool {
	if known, remembered := v.signIns[by.Holder]; remembered {
		return !known.BlockedAt().IsZero()
	}
	return !by.Verified.IsZero() && by.Verified.Before(v.moment)
}

func (v *vault) all(matches func(session.Session) bool) []session.Session {
	var found []session.Session
	for _, s := range v.sessions {
		if matches(s) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b session.Session) int { return cmp.Compare(a.ID().String(), b.ID().String()) })
	return found
}

func isActive(s session.Session) bool { return s.Status() == session.StatusActive }

// Find implements ports.SessionStore.
func (v *vault) Find(_ context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return find(slot, by, v.all(isActive))
}

// FindByID implements ports.SessionStore.
func (v *vault) FindByID(_ context.Context, _ session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, there := v.sessions[id]
	switch {
	case v.blocks(by):
		return found, session.KindSignedOut
	case !there:
		return found, session.KindNotFound
	}
	return found, nil
}

// List implements ports.SessionStore.
func (v *vault) List(_ context.Context, query ports.ListQuery) ([]session.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.blocks(query.By) {
		return nil, session.KindSignedOut
	}
	found := v.all(func(session.Session) bool { return true })
	slices.Reverse(found)
	return found[:min(len(found), query.Limit)], nil
}

// Update implements ports.SessionStore.
func (v *vault) Update(_ context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.blocks(scope.By) {
		return session.KindSignedOut
	}
	seen := ports.Seen{Sessions: v.all(func(s session.Session) bool { return isActive(s) || s.ID() == scope.Session })}
	for _, s := range v.signIns {
		if s.BlockedAt().IsZero() {
			seen.SignIns = append(seen.SignIns, s)
		}
	}
	seen.HolderBlocked = !v.signIns[v.sessions[scope.Session].Holder()].BlockedAt().IsZero()
	changes, err := change(seen)
	if err != nil {
		return err
	}
	v.store(changes)
	return nil
}

func (v *vault) store(changes ports.Changes) {
	for _, s := range changes.Sessions {
		v.sessions[s.ID()] = s
	}
	for _, s := range changes.SignIns {
		stored := session.StoredSignIn{
			SignIn: s.Holder().SignIn.String(), Actor: s.Holder().Actor.String(),
			FirstSeen: s.FirstSeen(), Verified: s.Verified(), BlockedAt: s.BlockedAt(),
		}
		if was, known := v.signIns[s.Holder()]; known {
			stored.FirstSeen = was.FirstSeen()
			if was.Verified().After(stored.Verified) {
				stored.Verified = was.Verified()
			}
			stored.BlockedAt = cmp.Or(was.BlockedAt(), stored.BlockedAt)
		}
		v.signIns[s.Holder()] = session.RestoreSignIn(stored)
	}
	for _, holder := range changes.Forget {
		if v.signIns[holder].BlockedAt().IsZero() {
			delete(v.signIns, holder)
		}
	}
	if changes.Moment.After(v.moment) {
		v.moment = changes.Moment
	}
	const most = 20 // ended sessions
	ended := v.all(func(s session.Session) bool { return !isActive(s) })
	for _, s := range ended[:max(0, len(ended)-most)] {
		delete(v.sessions, s.ID())
	}
	v.check()
}

// check checks that no blocked sign-in holds a session, and that no slot has
// two.
func (v *vault) check() {
	places := map[session.Slot]bool{}
	for _, s := range v.all(isActive) {
		if places[s.Slot()] {
			v.t.Errorf("%s has two sessions", s.Device())
		}
		places[s.Slot()] = true
		if !v.signIns[s.Holder()].BlockedAt().IsZero() {
			v.t.Errorf("%s is blocked and holds %s", s.Holder().SignIn, s.ID())
		}
	}
}

// drama is a user one of whose older sign-ins was stolen, second by second.
type drama struct {
	*bench
	vault   *vault
	opener  *lifecycle.Opener
	revoker *lifecycle.Revoker
	lister  *lifecycle.Lister

	thief access.Caller
	// suffered counts the thief's errors by kind.
	suffered map[session.Kind]int
}

func newDrama(t *testing.T, thief access.Caller, stepUp time.Duration) *drama {
	t.Helper()
	b := setup(t)
	v := &vault{t: t, sessions: map[session.ID]session.Session{}, signIns: map[session.Holder]session.SignIn{}}
	made := 0
	b.ids.EXPECT().SessionID().DoAndReturn(func() (session.ID, error) {
		made++
		return session.ParseID(fmt.Sprintf("s%06d", made))
	}).AnyTimes()
	b.ids.EXPECT().Token().DoAndReturn(func() (session.Token, error) {
		made++
		return session.ParseToken(fmt.Sprintf("550e8400-e29b-41d4-a716-%012x", made))
	}).AnyTimes()
	b.sealer.EXPECT().Seal(gomock.Any(), gomock.Any()).DoAndReturn(func(_ session.ID, token session.Token) ([]byte, error) {
		return []byte(token.Reveal()), nil
	}).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), gomock.Any()).DoAndReturn(func(_ session.ID, sealed []byte) (session.Token, error) {
		return session.ParseToken(string(sealed))
	}).AnyTimes()
	b.deps.Store, b.deps.StepUp.Within = v, stepUp
	return &drama{
		bench: b, vault: v, opener: b.opener(), revoker: lifecycle.NewRevoker(b.deps),
		lister: lifecycle.NewLister(v, nil, b.deps.Clock, b.deps.Policy),
		thief:  thief, suffered: map[session.Kind]int{},
	}
}

// attack makes the thief try everything once in this second, and returns how
// many calls succeeded.
func (d *drama) attack(t *testing.T) int {
	t.Helper()
	d.now = d.now.Add(time.Second)
	well := 0
	count := func(err error) {
		if err == nil {
			well++
		} else {
			d.suffered[session.KindOf(err)]++
		}
	}
	_, err := d.revoker.RevokeAll(t.Context(), d.thief, session.ID{})
	count(err)
	page, err := d.lister.List(t.Context(), d.thief, ports.ListRequest{Limit: 20})
	count(err)
	for _, listed := range page.Sessions {
		count(d.revoker.Revoke(t.Context(), d.thief, listed.Session.ID()))
		_, err := d.revoker.RevokeAll(t.Context(), d.thief, listed.Session.ID())
		count(err)
	}
	for _, request := range []ports.OpenRequest{onPhone, anywhere, {Device: device(fmt.Sprint("decoy-", d.now.Unix()))}} {
		_, err := d.opener.Open(t.Context(), d.thief, request)
		count(err)
	}
	return well
}

// signsIn returns a person who just verified a factor in a new sign-in; says is
// whether the credential has the time of that.
func (d *drama) signsIn(says bool) access.Caller {
	person := caller
	person.SignIn = signInID("sess_new")
	if says {
		person.Verified = d.now
	}
	return person
}

// A thief with an older sign-in of the user signs out all sessions, signs out
// each one, and opens on the user's device, every second. The user signs in
// again, opens, and signs all others out. The user never loses the session, and
// in the end the thief can do nothing.
func TestAttack_OlderSignIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		thief  access.Caller
		stepUp time.Duration
		late   time.Duration // until the user first opens
		says   bool
		first  bool // whether the user signs out all others before opening
	}{
		"OfYesterday":                       {thief: verified(day)},
		"OfYesterdayVerified":               {thief: verified(day), says: true},
		"OfJustBefore":                      {thief: verified(-59 * time.Second), says: true},
		"WithStepUp":                        {thief: verified(day), stepUp: 10 * time.Minute, says: true},
		"VerificationNotStated":             {thief: caller},
		"AMomentLater":                      {thief: verified(day), late: time.Minute, says: true},
		"JustInTime":                        {thief: verified(day), late: 9 * time.Minute, says: true},
		"SignsOutBeforeOpen":                {thief: verified(day), first: true, says: true},
		"SignsOutLate":                      {thief: verified(day), first: true, late: time.Minute, says: true},
		"SignsOutWithVerificationNotStated": {thief: verified(day), first: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrama(t, c.thief, c.stepUp)
			// The user had a session in the sign-in that was stolen.
			before := c.thief
			if _, err := d.opener.Open(t.Context(), before, onPhone); err != nil {
				t.Fatal(err)
			}
			for range 60 {
				d.attack(t)
			}
			person := d.signsIn(c.says)
			d.now = d.now.Add(c.late)
			for range 10 {
				d.attack(t)
			}
			d.defend(t, person, c.first)
			d.hasLost(t, person)
		})
	}
}

// defend lets the user open and sign out all others during the attack.
func (d *drama) defend(t *testing.T, person access.Caller, signsOutFirst bool) {
	t.Helper()
	signOut := func(keep session.ID) {
		t.Helper()
		if _, err := d.revoker.RevokeAll(t.Context(), person, keep); err != nil {
			t.Fatalf("the user cannot sign out the others: %v", err)
		}
	}
	if signsOutFirst {
		signOut(session.ID{})
		d.attack(t)
	}
	opened, err := d.opener.Open(t.Context(), person, onPhone)
	if err != nil {
		t.Fatalf("the user cannot open: %v", err)
	}
	for range 30 { // until the user finds the button
		d.attack(t)
		again, err := d.opener.Open(t.Context(), person, onPhone)
		if err != nil || again.Token != opened.Token || again.Outcome != session.OutcomeReused {
			t.Fatalf("the user lost the session: %s, %v", again.Outcome, err)
		}
	}
	if !signsOutFirst {
		if d.suffered[session.KindContested] == 0 || d.suffered[session.KindReverification] == 0 || d.suffered[session.KindSignedOut] > 0 {
			t.Errorf("no attack: the thief's errors are %v", d.suffered)
		}
		signOut(opened.Session.ID())
	}
}

// hasLost checks that every call of the thief fails, and none of the user's.
func (d *drama) hasLost(t *testing.T, person access.Caller) {
	t.Helper()
	for i := range 100 {
		d.now = d.now.Add(time.Duration(i) * time.Minute) // past the ten minutes of protection, and a day
		if well := d.attack(t); well > 0 {
			t.Fatalf("%d calls of the thief succeeded", well)
		}
		if _, err := d.opener.Open(t.Context(), person, onPhone); err != nil {
			t.Fatalf("the user cannot open: %v", err)
		}
	}
	if page, err := d.lister.List(t.Context(), d.thief, ports.ListRequest{Limit: 1}); !errors.Is(err, session.KindSignedOut) {
		t.Errorf("List = %+v, %v", page, err)
	}
	for _, s := range d.vault.all(isActive) {
		if !s.HeldBy(person.Holder) {
			t.Errorf("%s holds %s", s.Holder().SignIn, s.ID())
		}
	}
}

// The thief may be an actor: once signed out, it is blocked, and it never
// affects the user's sessions.
func TestAttack_Actor(t *testing.T) {
	t.Parallel()
	thief := as(agent)
	thief.Verified = noon.Add(time.Hour) // newer than all others
	d := newDrama(t, thief, 0)
	person := d.signsIn(true)
	opened, err := d.opener.Open(t.Context(), person, onPhone)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		d.attack(t)
		if again, err := d.opener.Open(t.Context(), person, onPhone); err != nil || again.Token != opened.Token {
			t.Fatalf("the user lost the session: %v", err)
		}
	}
	if n, err := d.revoker.RevokeAll(t.Context(), person, opened.Session.ID()); n == 0 || err != nil {
		t.Fatalf("RevokeAll = %d, %v", n, err)
	}
	d.hasLost(t, person)
}

package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// noStore keeps an answer that is for its receiver alone out of caches.
func noStore(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// addressToWire is nil when the address is unknown.
func addressToWire(source session.Source) *api.Address {
	if !source.Address.IsValid() {
		return nil
	}
	text := source.Address.String()
	return &text
}

// clientToWire is nil when the client is unknown.
func clientToWire(source session.Source) *api.Client {
	client := source.Client
	if client == (session.Client{}) {
		return nil
	}
	return &api.Client{Browser: client.Browser, Os: client.OS, Kind: client.Kind}
}

// actorToWire is nil for the user in person.
func actorToWire(actor session.Actor) *api.Act {
	if actor.IsZero() {
		return nil
	}
	return &api.Act{Sub: actor.Subject(), Type: api.ActorKind(actor.Kind())}
}

// warning is what a session's clients are told of its end.
func warning(expiring bool) *api.Warning {
	if !expiring {
		return nil
	}
	soon := api.ExpiresSoon
	return &soon
}

// seconds is how many whole ones there are: a client that counts them down is
// never late.
func seconds(left time.Duration) api.SecondsLeft { return int(left / time.Second) }

package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// noStore forbids caches to store the answer.
func noStore(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// addressToWire returns nil if the address is unknown.
func addressToWire(source session.Source) *api.Address {
	if !source.Address.IsValid() {
		return nil
	}
	text := source.Address.String()
	return &text
}

// clientToWire returns nil if the client is unknown.
func clientToWire(source session.Source) *api.Client {
	client := source.Client
	if client == (session.Client{}) {
		return nil
	}
	return &api.Client{Browser: client.Browser, Os: client.OS, Kind: client.Kind}
}

// actorToWire returns nil if the user acts in person.
func actorToWire(actor session.Actor) *api.Act {
	if actor.IsZero() {
		return nil
	}
	return &api.Act{Sub: actor.Subject(), Type: api.ActorKind(actor.Kind())}
}

// warning returns the warning for a session that expires soon, otherwise nil.
func warning(expiring bool) *api.Warning {
	if !expiring {
		return nil
	}
	soon := api.ExpiresSoon
	return &soon
}

// seconds rounds down, so that a client that counts down is never late.
func seconds(left time.Duration) api.SecondsLeft { return int(left / time.Second) }

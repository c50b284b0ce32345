package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// OfferTransfer creates a transfer code for one of the caller's sessions.
func (s *server) OfferTransfer(c echo.Context, id api.SessionID) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	offered, err := s.Transferrer.Offer(c.Request().Context(), callerOf(c), parsed)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, api.Offer{
		Code: offered.Code.Reveal(), ExpiresAt: api.Time(offered.ExpiresAt),
		Url: transferLink(s.transferPage(c.Request()), offered.Code),
	})
}

// ClaimTransfer moves a session to the caller's device.
func (s *server) ClaimTransfer(c echo.Context) error {
	code, device, err := readClaim(c)
	if err != nil {
		return err
	}
	opened, err := s.Transferrer.Claim(c.Request().Context(), callerOf(c), code, device)
	if err != nil {
		return err
	}
	return answerOpened(c, opened)
}

// readClaim reads the body. A malformed code is not an error here: the core
// answers it like any other invalid code.
func readClaim(c echo.Context) (code string, device session.DeviceID, err error) {
	var wire api.ClaimRequest
	if err := readJSON(c, &wire); err != nil {
		return "", session.DeviceID{}, err
	}
	if wire.Code == "" {
		return "", session.DeviceID{}, session.Invalid("code", "must not be empty")
	}
	device, err = session.ParseDeviceID(wire.DeviceId)
	return wire.Code, device, err
}

// transferLink returns the URL of page with the code in its fragment, which
// browsers do not send to servers.
func transferLink(page string, code session.TransferCode) string {
	return page + "#chatkit-transfer=" + code.Reveal()
}

// transferPage returns the page that claims transfer codes: the configured
// one, otherwise the origin of the requesting page, otherwise the service's
// own root.
func (s *server) transferPage(r *http.Request) string {
	if s.transferURL != "" {
		return s.transferURL
	}
	origin := r.Header.Get(echo.HeaderOrigin) // that of an app is no link
	if strings.HasPrefix(origin, "http") && s.origins.allow(origin) {
		return origin + "/"
	}
	own := url.URL{Scheme: "http", Host: r.Host, Path: "/"}
	if s.secure(r) {
		own.Scheme = "https"
	}
	return own.String()
}

// CheckTransferURL returns an error if text cannot be a Config's TransferURL.
func CheckTransferURL(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.Contains(text, "#")) {
		return fmt.Errorf("%q %w", text, errNotPage)
	}
	return nil
}

var errNotPage = errors.New("must be a URL such as https://app.example.com/chat without a fragment: the transfer code is added as the fragment")

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

// OfferTransfer makes a code that moves one of the caller's sessions.
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

// readClaim reads the body. Which code is good is for the core to say: one of
// the wrong form is no other than one that is wrong.
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

// transferLink puts the code in the fragment of a page's URL: browsers keep
// that to themselves.
func transferLink(page string, code session.TransferCode) string {
	return page + "#chatkit-transfer=" + code.Reveal()
}

// transferPage is where transfers are claimed: the operator's choice, or the
// page that asks, or what is at this service's own root.
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

// CheckTransferURL reports whether a Config's TransferURL is none.
func CheckTransferURL(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.Contains(text, "#")) {
		return fmt.Errorf("%q %w", text, errNotPage)
	}
	return nil
}

var errNotPage = errors.New("must be a URL such as https://app.example.com/chat without a fragment: the transfer code is added as the fragment")

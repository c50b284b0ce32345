package main

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// openedAnswer is the part of an answer to open that is checked.
type openedAnswer struct {
	Outcome string `json:"outcome"`
	Session struct {
		ID       string `json:"id"`
		Token    string `json:"chatKitSessionId"`
		Device   string `json:"deviceId"`
		User     string `json:"userId"`
		Workflow string `json:"workflowId"`
		Expires  string `json:"expiresAt"`
	} `json:"session"`
}

// refused returns a failure unless the answer has the status want. It names the
// status and the error code.
func refused(got answer, want int) error {
	if got.status == want {
		return nil
	}
	var body struct{ Code string }
	_ = json.Unmarshal(got.body, &body) // without a code the status is enough
	if body.Code == "" {
		return failure("status " + strconv.Itoa(got.status))
	}
	return failure("status " + strconv.Itoa(got.status) + " " + body.Code)
}

// readOpened checks that an answer to open is complete and for the user and
// device.
func readOpened(got answer, user, device string) (opened openedAnswer, err error) {
	if err := refused(got, http.StatusOK); err != nil {
		return opened, err
	}
	if json.Unmarshal(got.body, &opened) != nil {
		return opened, failure("open: not JSON")
	}
	s := opened.Session
	switch {
	case s.User != user:
		return opened, failure("open: another user's session")
	case s.Device != device:
		return opened, failure("open: another device's session")
	case s.ID == "" || s.Token == "" || s.Workflow == "" || s.Expires == "":
		return opened, failure("open: a field is missing")
	}
	return opened, nil
}

// checkReused expects the session's current token.
func checkReused(got answer, user, device, token string) error {
	opened, err := readOpened(got, user, device)
	switch {
	case err != nil:
		return err
	case opened.Outcome != "reused":
		return failure("open: " + opened.Outcome + " instead of reused")
	case opened.Session.Token != token:
		return failure("open: another token than the one held")
	}
	return nil
}

// checkOutcome expects an outcome.
func checkOutcome(got answer, user, device, outcome string) error {
	opened, err := readOpened(got, user, device)
	if err == nil && opened.Outcome != outcome {
		return failure("open: " + opened.Outcome + " instead of " + outcome)
	}
	return err
}

// checkVerified expects the headers that identify the session.
func checkVerified(got answer, user, device, id string) error {
	if err := refused(got, http.StatusNoContent); err != nil {
		return err
	}
	h := got.header
	if h.Get("X-ChatKit-User-Id") != user || h.Get("X-ChatKit-Device-Id") != device || h.Get("X-ChatKit-Session-Id") != id || h.Get("X-ChatKit-Workflow-Id") == "" {
		return failure("verify: wrong identity headers")
	}
	return nil
}

// checkIntrospected expects an active token of the session.
func checkIntrospected(got answer, user, device, id string) error {
	if err := refused(got, http.StatusOK); err != nil {
		return err
	}
	var said struct {
		Active bool   `json:"active"`
		User   string `json:"sub"`
		ID     string `json:"sid"`
		Device string `json:"device_id"`
	}
	switch {
	case json.Unmarshal(got.body, &said) != nil:
		return failure("introspect: not JSON")
	case !said.Active:
		return failure("introspect: not active")
	case said.User != user || said.ID != id || said.Device != device:
		return failure("introspect: another session's answer")
	}
	return nil
}

// checkListed expects sessions of this user alone, including the session id.
func checkListed(got answer, user, id string) error {
	if err := refused(got, http.StatusOK); err != nil {
		return err
	}
	var said struct {
		Sessions []struct {
			ID   string `json:"id"`
			User string `json:"userId"`
		} `json:"sessions"`
	}
	if json.Unmarshal(got.body, &said) != nil {
		return failure("list: not JSON")
	}
	held := false
	for _, s := range said.Sessions {
		if s.User != user {
			return failure("list: another user's session")
		}
		held = held || s.ID == id
	}
	if !held {
		return failure("list: the session that is held is missing")
	}
	return nil
}

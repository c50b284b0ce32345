package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// problem is an error as the client sees it.
type problem struct {
	status               int
	title, message, code string
	field                string
	// verify says that the answer asks Clerk's front end to verify the user.
	verify bool
}

// overloadedCode is the code of shed requests. They are counted in metrics but
// logged only at level debug, because logging each one would add load.
const overloadedCode = "overloaded"

// protocolError is an error of HTTP itself, which the core does not know.
type protocolError problem

func (r *protocolError) Error() string { return r.code }

// The codes of errors that a wrong setting can cause.
const (
	codeNoRole    = "role_not_found"
	codeForbidden = "permission_denied"
	codeOrigin    = "origin_not_allowed"
)

var errBodyTooLarge = &protocolError{
	status: http.StatusRequestEntityTooLarge, title: "Content Too Large",
	message: "The body must not exceed 16 KiB", code: "body_too_large", field: body,
}

var errEncoded = &protocolError{
	status: http.StatusUnsupportedMediaType, title: "Unsupported Media Type",
	message: "Send the body uncompressed, without " + echo.HeaderContentEncoding, code: "unsupported_encoding", field: echo.HeaderContentEncoding,
}

// explain maps an error to its answer. It is the only such table, and no
// answer contains the cause.
func explain(err error) problem {
	var refused *protocolError
	if errors.As(err, &refused) {
		return problem(*refused)
	}
	var route *echo.HTTPError
	if errors.As(err, &route) {
		return explainRoute(route)
	}
	if errors.Is(err, context.DeadlineExceeded) && session.KindOf(err) == session.KindInternal {
		return explainKind(session.KindUnavailable)
	}
	p := explainKind(session.KindOf(err))
	var e *session.Error
	if p.status == http.StatusBadRequest && errors.As(err, &e) && e.Problem != "" {
		p.field, p.message = e.Field, e.Field+": "+e.Problem
	}
	return p
}

func explainKind(kind session.Kind) problem {
	switch kind {
	case session.KindInvalid:
		return problem{status: http.StatusBadRequest, title: "Bad Request", message: "The request is invalid", code: "invalid_request"}
	case session.KindUnauthenticated:
		return problem{status: http.StatusUnauthorized, title: "Unauthorized", message: "Authentication required", code: "unauthorized"}
	case session.KindNoRole:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "User role not found", code: codeNoRole}
	case session.KindForbidden:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "Your role does not permit this request", code: codeForbidden}
	case session.KindSignedOut:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "This sign-in was signed out: sign in again", code: "session_revoked"}
	case session.KindContested:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "A newer sign-in is using this device: verify your identity, or open a session without deviceId and without X-ChatKit-Token", code: "contested_device", verify: true}
	case session.KindOtherSignIn:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "This session belongs to another sign-in: create the transfer code on the device that uses the session", code: "other_sign_in"}
	case session.KindActorDenied:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "Impersonators and agents are not permitted to do this: the user must do it in person", code: "actor_denied"}
	case session.KindReverification:
		return problem{status: http.StatusForbidden, title: "Forbidden", message: "Verify your identity, then retry", code: "reverification_required", verify: true}
	case session.KindNotConfigured:
		return problem{status: http.StatusInternalServerError, title: "Configuration Error", message: "ChatKit workflow ID not configured", code: "workflow_not_configured"}
	case session.KindNotFound:
		return problem{status: http.StatusNotFound, title: "Not Found", message: "Not found", code: "not_found"}
	case session.KindConflict:
		return problem{status: http.StatusConflict, title: "Conflict", message: "A concurrent request changed the same data: retry the request", code: "conflict"}
	case session.KindUnavailable:
		return problem{status: http.StatusServiceUnavailable, title: "Service Unavailable", message: "Temporarily unavailable: retry after the number of seconds in Retry-After", code: "unavailable"}
	case session.KindCreateFailed:
		return problem{status: http.StatusInternalServerError, title: "Internal Server Error", message: "Failed to create session", code: "create_failed"}
	case session.KindRefreshFailed:
		return problem{status: http.StatusInternalServerError, title: "Internal Server Error", message: "Failed to refresh session", code: "refresh_failed"}
	case session.KindRateLimited:
		return problem{status: http.StatusTooManyRequests, title: "Too Many Requests", message: "Too many requests: retry after the number of seconds in Retry-After", code: "rate_limited"}
	case session.KindOverloaded:
		return problem{status: http.StatusServiceUnavailable, title: "Service Unavailable", message: "The service is overloaded: retry after the number of seconds in Retry-After", code: overloadedCode}
	case session.KindInternal, session.KindUnreadable:
	}
	return problem{status: http.StatusInternalServerError, title: "Internal Server Error", message: "Internal error: report the requestId to the operator of the service", code: "internal_error"}
}

// explainRoute maps errors of Echo's router and of the generated parameter
// readers.
func explainRoute(refused *echo.HTTPError) problem {
	switch refused.Code {
	case http.StatusBadRequest:
		p := explainKind(session.KindInvalid)
		if p.field = parameterOf(refused); p.field != "" {
			p.message = p.field + ": is malformed or appears more than once"
		}
		return p
	case http.StatusNotFound:
		return explainKind(session.KindNotFound)
	case http.StatusMethodNotAllowed:
		return problem{status: http.StatusMethodNotAllowed, title: "Method Not Allowed", message: "Use one of the methods in the Allow header", code: "method_not_allowed"}
	case http.StatusRequestEntityTooLarge:
		return problem(*errBodyTooLarge)
	}
	return explainKind(session.KindInternal)
}

// parameterOf returns the name of the parameter that a generated reader
// rejected, or "".
func parameterOf(refused *echo.HTTPError) string {
	text, _ := refused.Message.(string)
	for _, complaint := range []string{"Invalid format for parameter ", "Expected one value for "} {
		if rest, is := strings.CutPrefix(text, complaint); is {
			return rest[:strings.IndexAny(rest+":", ":,")]
		}
	}
	return ""
}

package httpapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/ports"
)

// The fields that tell clients of limits (draft-ietf-httpapi-ratelimit-headers-10).
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// setRateLimitHeaders tells the client what it may still do, and, where that is
// nothing, when to try again.
func setRateLimitHeaders(c echo.Context, quotas []ports.Quota) {
	if len(quotas) == 0 {
		return
	}
	policies, limits := make([]string, len(quotas)), make([]string, len(quotas))
	for i, quota := range quotas {
		policies[i] = fmt.Sprintf("%q;q=%d;w=%d", quota.Group, quota.Limit.Most, wholeSeconds(quota.Limit.Within))
		limits[i] = fmt.Sprintf("%q;r=%d;t=%d", quota.Group, quota.Remaining, wholeSeconds(quota.Next))
		if !quota.Allowed {
			c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(max(wholeSeconds(quota.Next), 1)))
		}
	}
	header := c.Response().Header()
	header.Set(headerRateLimitPolicy, strings.Join(policies, ", "))
	header.Set(headerRateLimit, strings.Join(limits, ", "))
}

// wholeSeconds rounds up: who waits for them is never early.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

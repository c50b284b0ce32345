package httpapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/ports"
)

// The headers that tell clients their quotas
// (draft-ietf-httpapi-ratelimit-headers-10).
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// setRateLimitHeaders tells the client its remaining quotas, and when to retry
// if one is exhausted.
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

// wholeSeconds rounds up, so that a client that waits is never early.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

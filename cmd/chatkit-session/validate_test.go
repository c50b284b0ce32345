package main

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"chatkit-session/adapters/keyring"
)

func TestParseSettings(t *testing.T) {
	t.Parallel()
	c, warnings, err := parseSettings(testEnviron(t, "CHATKIT_WORKFLOW_ID=", "CHATKIT_WORKFLOWID=typo", "CHATKIT_SESSION_DURATION=48h", "TRUSTED_PROXIES=10.0.0.1,::1/128", "INTROSPECTION_KEYS="+backendKey))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "CHATKIT_WORKFLOWID is not a setting") }) ||
		!slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "CHATKIT_WORKFLOW_ID is not set") }) || len(warnings) != 2 {
		t.Errorf("warnings = %q", warnings)
	}
	if c.policy.Usual.Duration.Hours() != 48 || len(c.trustedProxies) != 2 || !c.workflow.IsZero() {
		t.Errorf("config = %v, %v", c.policy, c.trustedProxies)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("settings", "keys", c.TokenKeys, "settings", c.settings)
	for _, shown := range []string{fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c.settings), logged.String()} {
		if strings.Contains(shown, string(c.TokenKeys[0])) || strings.Contains(shown, backendKey) || strings.Contains(shown, "BEGIN PUBLIC KEY") || !strings.Contains(shown, "[secret]") {
			t.Errorf("printing the settings shows a secret: %s", shown)
		}
	}
}

// An invalid setting is one line of the error, and no other setting is.
func TestParseSettings_RefusesEach(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"METRICS_ADDR=9090":                       `METRICS_ADDR: "9090" must be like :8080`,
		"CHATKIT_REMEMBER_DURATION=1h10s":         "session times: CHATKIT_ROTATION_GRACE (30s) must be shorter than CHATKIT_REMEMBER_DURATION less CHATKIT_REFRESH_THRESHOLD (10s)",
		"CHATKIT_REMEMBER_LONGEST_LIFE=24h":       "session times: CHATKIT_REMEMBER_DURATION (720h0m0s) must not be longer than CHATKIT_REMEMBER_LONGEST_LIFE",
		"CHATKIT_REMEMBER_IDLE_TIMEOUT=119s":      "CHATKIT_REMEMBER_IDLE_TIMEOUT: must be at least 2m0s, or 0s",
		"CHATKIT_IDLE_TIMEOUT=1s":                 "CHATKIT_IDLE_TIMEOUT: must be at least 2m0s, or 0s",
		"CHATKIT_IDLE_TIMEOUT=-2h":                "session times: CHATKIT_IDLE_TIMEOUT (-2h0m0s) must not be negative",
		"CHATKIT_ACTOR_DURATION=0s":               "session times: CHATKIT_ACTOR_DURATION (0s) must be positive",
		"CHATKIT_ACTOR_DURATION=721h":             "session times: CHATKIT_ACTOR_DURATION (721h0m0s) must not be longer than CHATKIT_LONGEST_LIFE",
		"CHATKIT_WARNING_WINDOW=-1s":              "CHATKIT_WARNING_WINDOW: must be 0s, or at least 1s",
		"CHATKIT_MAX_SESSIONS=-1":                 "session times: CHATKIT_MAX_SESSIONS",
		"CHATKIT_TRANSFER_CODE_LIFETIME=0s":       "CHATKIT_TRANSFER_CODE_LIFETIME: must be at least 1s",
		"CHATKIT_TRANSFER_URL=app.example.com":    "CHATKIT_TRANSFER_URL: ",
		"CHATKIT_STEP_UP_WITHIN=-1m":              "CHATKIT_STEP_UP_WITHIN: must not be negative",
		"CHATKIT_STEP_UP_WITHIN=90s":              "CHATKIT_STEP_UP_WITHIN: must be whole minutes",
		"CHATKIT_ANOMALY_NEW_DEVICES=many":        `CHATKIT_ANOMALY_NEW_DEVICES: "many" must be`,
		"CHATKIT_ANOMALY_OPENS=0/1m":              "CHATKIT_ANOMALY_OPENS: ",
		"CHATKIT_ANOMALY_ADDRESSES=3/0s":          "CHATKIT_ANOMALY_ADDRESSES: ",
		"CHATKIT_ANOMALY_FOREIGN_CODES=-1":        "CHATKIT_ANOMALY_FOREIGN_CODES: must not be negative",
		"CHATKIT_ANOMALY_REVOKE=opens,everything": `CHATKIT_ANOMALY_REVOKE: "everything" must be one of`,
		"CHATKIT_ACTIVITY_RETENTION=0s":           "CHATKIT_ACTIVITY_RETENTION: must be more than 0s",
		"REDIS_URL=http://localhost":              "REDIS_URL: must be like redis://host:6379",
		"REDIS_TIMEOUT=0s":                        "REDIS_TIMEOUT: must be at least 1ms",
		"CHATKIT_CACHE_LEASE=-1s":                 "CHATKIT_CACHE_LEASE: must be 0s, or 1ms to 5s, and at most half",
		"CHATKIT_CACHE_LEASE=5.1s":                "CHATKIT_CACHE_LEASE: must be 0s, or 1ms to 5s, and at most half",
		"CHATKIT_CACHE_SESSIONS=-1":               "CHATKIT_CACHE_SESSIONS: must be 0 to 1000000",
		"CHATKIT_CACHE_SESSIONS=1":                "CHATKIT_CACHE_SESSIONS: requires CHATKIT_CACHE_LEASE",
		"CLERK_REMEMBERED_TOKENS=-1":              "CLERK_REMEMBERED_TOKENS: must be 0 to 1000000",
		"CLERK_REMEMBERED_TOKENS=1000001":         "CLERK_REMEMBERED_TOKENS: must be 0 to 1000000",

		"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=-1":         "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE: must be 0 to 1000000",
		"CHATKIT_RATE_LIMIT_READS_PER_MINUTE=1000001":    "CHATKIT_RATE_LIMIT_READS_PER_MINUTE: must be 0 to 1000000",
		"CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE=-1":       "CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE: ",
		"CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE=off":        "CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE: must be a whole number",
		"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=1000001": "CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE: ",
	} {
		_, _, err := parseSettings(testEnviron(t, setting))
		if err == nil {
			t.Errorf("%s is accepted", setting)
			continue
		}
		if lines := strings.Split(err.Error(), "\n")[1:]; len(lines) != 1 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("%s is refused with %v", setting, err)
		}
	}
	for _, setting := range []string{
		"CHATKIT_IDLE_TIMEOUT=2m", "CHATKIT_WARNING_WINDOW=0s", "CHATKIT_MAX_SESSIONS=0", "CHATKIT_ANOMALY_OPENS=off", "CHATKIT_ANOMALY_SUPERSEDED_AFTER=-1s",
		"CHATKIT_ANOMALY_REVOKE=opens, new_devices", "METRICS_ADDR=127.0.0.1:9090", "REDIS_URL=redis://one,two:6380", "CHATKIT_RATE_LIMIT_READS_PER_MINUTE=1000000", "CHATKIT_TRANSFER_URL=https://app.example.com/chat",
	} {
		if _, _, err := parseSettings(testEnviron(t, setting)); err != nil {
			t.Errorf("%s is refused with %v", setting, err)
		}
	}
}

// Values that would parse but have no effect are refused.
func TestParseSettings_RefusesWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	zeros := base64.StdEncoding.EncodeToString(make([]byte, keyring.KeySize))
	one := keyring.Generate()
	for setting, want := range map[string]string{
		"ALLOWED_ORIGINS=https://*.vercel.app":                       `ALLOWED_ORIGINS: "https://*.vercel.app" must not have *`,
		"ALLOWED_ORIGINS=http://*.example.com":                       `ALLOWED_ORIGINS: "http://*.example.com" must use https`,
		"CLERK_AUTHORIZED_PARTIES=https://app.example.com/sign-in":   `CLERK_AUTHORIZED_PARTIES: "https://app.example.com/sign-in" must end after`,
		"CLERK_AUTHORIZED_PARTIES=https://*.example.com":             `CLERK_AUTHORIZED_PARTIES: "https://*.example.com" must be a single origin`,
		"CLERK_SECRET_KEY=pk_test_Y2xlcmsuZXhhbXBsZS5jb20k":          "CLERK_SECRET_KEY: is a publishable key: use the secret key",
		"CLERK_SECRET_KEY=whsec_0123":                                "CLERK_SECRET_KEY: must be the secret key from Clerk's dashboard",
		"CLERK_SECRET_KEY=sk_test_a sk_test_b":                       "CLERK_SECRET_KEY: must be the secret key from Clerk's dashboard",
		"CLERK_JWT_KEY=sk_test_0123":                                 "CLERK_JWT_KEY: must be an RSA public key in PEM",
		"CLERK_ISSUER=clerk.example.com":                             `CLERK_ISSUER: "clerk.example.com" must be like https://clerk.example.com`,
		"CLERK_ISSUER=https://clerk.example.com?x":                   "CLERK_ISSUER: ",
		"CLERK_ISSUER=https://me@clerk.example.com":                  "CLERK_ISSUER: ",
		"CLERK_ISSUER=https://app.example.com/__clerk/":              "CLERK_ISSUER: ",
		"CHATKIT_TOKEN_KEYS=" + zeros:                                "CHATKIT_TOKEN_KEYS: key 1 is not random",
		"CHATKIT_TOKEN_KEYS=" + one + "," + one:                      "CHATKIT_TOKEN_KEYS: key 2 is the same as key 1",
		"INTROSPECTION_KEYS=" + strings.Repeat("a", 64):              "INTROSPECTION_KEYS: key 1 is not random",
		"INTROSPECTION_KEYS=" + backendKey + ",," + backendKey:       "INTROSPECTION_KEYS: key 2 is the same as key 1",
		"INTROSPECTION_KEYS=a passphrase of more than thirty-two":    "INTROSPECTION_KEYS: key 1 must consist of visible ASCII",
		"INTROSPECTION_KEYS=" + backendKey + "ü":                     "INTROSPECTION_KEYS: key 1 must consist of visible ASCII",
		"CHATKIT_ROLE_CLAIMS=metadata..role":                         `CHATKIT_ROLE_CLAIMS: "metadata..role" must be a claim`,
		"CHATKIT_ROLE_CLAIMS=.role":                                  `CHATKIT_ROLE_CLAIMS: ".role" must be a claim`,
		"CHATKIT_ROLE_CLAIMS=the role":                               `CHATKIT_ROLE_CLAIMS: "the role" must be a claim`,
		"CHATKIT_ACCESS_POLICY={}":                                   `CHATKIT_ACCESS_POLICY: must be like {"roles":{"admin":["read_own","manage_own","read_all","manage_all"]},"others":["read_own","manage_own"]}: it grants no permissions`,
		`CHATKIT_ACCESS_POLICY={"admin":["read_all"]}`:               `CHATKIT_ACCESS_POLICY: must be like {"roles":`,
		`CHATKIT_ACCESS_POLICY={"roles":{"admin":["all","none"]}}`:   `CHATKIT_ACCESS_POLICY: must be like {"roles":`,
		"CHATKIT_ACCESS_POLICY=/etc/policy.json":                     `CHATKIT_ACCESS_POLICY: must be like {"roles":`,
		"TRUSTED_PROXIES=fe80::1%eth0":                               `TRUSTED_PROXIES: "fe80::1%eth0" must be an address or a network`,
		"TRUSTED_PROXIES=::ffff:0:0/95":                              `TRUSTED_PROXIES: "::ffff:0:0/95" must be`,
		"LISTEN_ADDR=localhost:":                                     `LISTEN_ADDR: "localhost:" must be like :8080`,
		"LISTEN_ADDR=:99999":                                         `LISTEN_ADDR: ":99999" must be like :8080`,
		"METRICS_ADDR=:http":                                         `METRICS_ADDR: ":http" must be like :8080`,
		"DATABASE_DIRECT_URL=postgres://db/x":                        "DATABASE_DIRECT_URL: has no effect with SQLite",
		"CHATKIT_ACTIVITY_RESOLUTION=1ms":                            "CHATKIT_ACTIVITY_RESOLUTION: must be at least 5s",
		"CHATKIT_IDLE_TIMEOUT=24h":                                   "CHATKIT_IDLE_TIMEOUT: must be shorter than CHATKIT_SESSION_DURATION (24h0m0s), or 0s",
		"CHATKIT_REMEMBER_IDLE_TIMEOUT=800h":                         "CHATKIT_REMEMBER_IDLE_TIMEOUT: must be shorter than CHATKIT_REMEMBER_DURATION",
		"CHATKIT_TRANSFER_CODE_LIFETIME=1ns":                         "CHATKIT_TRANSFER_CODE_LIFETIME: must be at least 1s",
		"CHATKIT_WARNING_WINDOW=1ms":                                 "CHATKIT_WARNING_WINDOW: must be 0s, or at least 1s",
		"CHATKIT_CLEANUP_INTERVAL=1ns":                               "CHATKIT_CLEANUP_INTERVAL: must be 0s, or at least 10ms",
		"CHATKIT_REQUEST_TIMEOUT=10us":                               "CHATKIT_REQUEST_TIMEOUT: must be at least 100ms",
		"CHATKIT_CACHE_LEASE=1us":                                    "CHATKIT_CACHE_LEASE: must be 0s, or 1ms to 5s",
		"CHATKIT_ANOMALY_ADDRESSES=3/1ms":                            "CHATKIT_ANOMALY_ADDRESSES: must have a time of at least 1s",
		"CHATKIT_TRANSFER_URL=https://app.example.com/chat#transfer": `CHATKIT_TRANSFER_URL: "https://app.example.com/chat#transfer" must be`,
	} {
		_, _, err := parseSettings(testEnviron(t, setting))
		if err == nil {
			t.Errorf("%s is accepted", setting)
			continue
		}
		if lines := strings.Split(err.Error(), "\n")[1:]; len(lines) != 1 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("%s is refused with %v, want %s", setting, err, want)
		}
		if strings.Contains(err.Error(), one) || strings.Contains(err.Error(), backendKey) {
			t.Errorf("the refusal shows a key: %v", err)
		}
	}
	for off, rule := range map[string]string{
		"CHATKIT_ANOMALY_NEW_DEVICES=off": "new_devices", "CHATKIT_ANOMALY_OPENS=off": "opens", "CHATKIT_ANOMALY_ADDRESSES=off": "addresses",
		"CHATKIT_ANOMALY_SUPERSEDED_AFTER=-1s": "superseded_token", "CHATKIT_ANOMALY_FOREIGN_CODES=0": "foreign_code",
	} {
		name, _, _ := strings.Cut(off, "=")
		_, _, err := parseSettings(testEnviron(t, off, "CHATKIT_ANOMALY_REVOKE="+rule))
		if err == nil || !strings.Contains(err.Error(), `CHATKIT_ANOMALY_REVOKE: "`+rule+`" has no effect while `+name+" is off") {
			t.Errorf("%s is refused with %v", off, err)
		}
	}
}

// Values are converted to the form in which they are compared.
func TestParseSettings_Normalizes(t *testing.T) {
	t.Parallel()
	c, warnings, err := parseSettings(testEnviron(t,
		"CLERK_AUTHORIZED_PARTIES=https://App.Example.com:443/,https://bücher.example.",
		"ALLOWED_ORIGINS=https://app.example.com, https://bücher.example",
		"CLERK_ISSUER=https://Clerk.Example.com:443/",
		"CLERK_API_URL=https://api.clerk.com",
		"CLERK_SECRET_KEY=sk_test_1",
		"TRUSTED_PROXIES=::ffff:10.1.2.3,::ffff:10.0.0.0/104",
	))
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, %q", err, warnings)
	}
	if !slices.Equal(c.parties, []string{"https://app.example.com", "https://xn--bcher-kva.example"}) || c.issuer != "https://clerk.example.com" || c.apiURL != "https://api.clerk.com/v1" {
		t.Errorf("parties %q, issuer %s, API %s", c.parties, c.issuer, c.apiURL)
	}
	if c.trustedProxies[0].String() != "10.1.2.3/32" || c.trustedProxies[1].String() != "10.0.0.0/8" {
		t.Errorf("proxies %v", c.trustedProxies)
	}
	c, _, err = parseSettings(testEnviron(t, "CLERK_ISSUER=https://app.example.com/__clerk", "CLERK_API_URL=http://127.0.0.1:9999"))
	if err != nil || c.issuer != "https://app.example.com/__clerk" || c.apiURL != "http://127.0.0.1:9999" {
		t.Errorf("issuer %s, API %s, %v", c.issuer, c.apiURL, err)
	}
}

// Valid settings that are probably unintended cause a warning.
func TestParseSettings_Warns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"EverybodyIsAProxy": {[]string{"TRUSTED_PROXIES=10.0.0.0/8,0.0.0.0/0"}, "TRUSTED_PROXIES contains 0.0.0.0/0, which matches every client"},
		"TwoInstances":      {[]string{"CLERK_SECRET_KEY=sk_live_1", "CLERK_ISSUER=https://a.clerk.accounts.dev"}, "CLERK_SECRET_KEY belongs to a production instance"},
		"NoParty":           {[]string{"ALLOWED_ORIGINS=https://a.example.com", "CLERK_AUTHORIZED_PARTIES=https://b.example.com"}, "ALLOWED_ORIGINS contains https://a.example.com but CLERK_AUTHORIZED_PARTIES does not"},
		"NoPartyOfMany":     {[]string{"ALLOWED_ORIGINS=https://*.example.com", "CLERK_AUTHORIZED_PARTIES=https://b.example.com"}, "ALLOWED_ORIGINS contains https://*.example.com"},
		"NoRedis":           {[]string{"REDIS_TIMEOUT=1s"}, "REDIS_TIMEOUT has no effect without REDIS_URL"},
		"SQLite":            {[]string{"DATABASE_MAX_CONNECTIONS=5"}, "DATABASE_MAX_CONNECTIONS has no effect without PostgreSQL"},
		"NoSecretKey":       {[]string{"CLERK_API_URL=https://api.clerk.com/v1"}, "CLERK_API_URL has no effect without CLERK_SECRET_KEY"},
		"NeverPassed":       {[]string{"CHATKIT_ANOMALY_OPENS=20/1m", "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=10"}, "CHATKIT_ANOMALY_OPENS is never exceeded"},
		"Passed":            {[]string{"CHATKIT_ANOMALY_OPENS=19/1m", "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=10"}, ""},
		"Misspelt":          {[]string{"ALLOWED_ORIGIN=https://a.example.com"}, "ALLOWED_ORIGIN has no effect: did you mean ALLOWED_ORIGINS?"},
		"Parties":           {[]string{"ALLOWED_ORIGINS=https://a.example.com:443", "CLERK_AUTHORIZED_PARTIES=https://a.example.com"}, ""},
	} {
		_, warnings, err := parseSettings(testEnviron(t, c.settings...))
		if err != nil || (c.want == "") != (len(warnings) == 0) || (c.want != "" && !strings.HasPrefix(warnings[0], c.want)) {
			t.Errorf("%s is told %q, %v, want %q", name, warnings, err, c.want)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatkit-session/adapters/keyring"
)

// file writes a file with content and returns its path.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "setting")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Quotes, spaces and byte order marks around a value are removed.
func TestReadEnviron_Cleans(t *testing.T) {
	t.Parallel()
	const list, both = "ALLOWED_ORIGINS", "https://a.example.com,https://b.example.com"
	for name, c := range map[string]struct{ setting, value, want string }{
		"Plain":            {"CLERK_ISSUER", "https://clerk.example.com", "https://clerk.example.com"},
		"Spaces":           {"CLERK_ISSUER", "  https://clerk.example.com\r\n", "https://clerk.example.com"},
		"Quotes":           {"CLERK_ISSUER", `"https://clerk.example.com"`, "https://clerk.example.com"},
		"SingleQuotes":     {"CLERK_ISSUER", `'https://clerk.example.com'` + "\n", "https://clerk.example.com"},
		"ByteOrderMark":    {"CLERK_ISSUER", "\ufeffhttps://clerk.example.com\n", "https://clerk.example.com"},
		"MarkAndQuotes":    {"CLERK_ISSUER", "\ufeff\"https://clerk.example.com\"\n", "https://clerk.example.com"},
		"QuoteWithin":      {"CHATKIT_DEFAULT_ROLE", `"a"b"`, `"a"b"`},
		"OneQuote":         {"CHATKIT_DEFAULT_ROLE", `"`, `"`},
		"OtherQuotes":      {"CHATKIT_DEFAULT_ROLE", `"a'`, `"a'`},
		"JSON":             {"CHATKIT_ACCESS_POLICY", `{"others":["read_own"]}`, `{"others":["read_own"]}`},
		"Lines":            {"CLERK_JWT_KEY", "one\ntwo\n", "one\ntwo"},
		"CommaInNoList":    {"CHATKIT_DEFAULT_ROLE", "a,b,", "a,b,"},
		"List":             {list, "https://a.example.com, https://b.example.com", both},
		"ListTrailing":     {list, "https://a.example.com,,https://b.example.com,", both},
		"ListByLine":       {list, "https://a.example.com\nhttps://b.example.com\n", both},
		"ListByLineDOS":    {list, "\ufeffhttps://a.example.com\r\nhttps://b.example.com\r\n", both},
		"ListByBoth":       {list, "https://a.example.com,\n\n  https://b.example.com,\n", both},
		"ListQuoted":       {list, `"https://a.example.com,https://b.example.com"`, both},
		"ListOfQuoted":     {list, `"https://a.example.com", 'https://b.example.com'`, both},
		"ListOfQuotedLine": {list, "\"https://a.example.com\"\n\"https://b.example.com\"\n", both},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, pair := range map[string]string{"variable": c.setting + "=" + c.value, "file": c.setting + "_FILE=" + file(t, c.value)} {
				given, wrong := readEnviron([]string{pair})
				if got := given.values[c.setting]; got != c.want || wrong.err() != nil {
					t.Errorf("by %s it is %q, %v, want %q", how, got, wrong.err(), c.want)
				}
			}
		})
	}
}

// Every list may have one entry per line.
func TestParseSettings_ListsOfFiles(t *testing.T) {
	t.Parallel()
	one, two := keyring.Generate(), keyring.Generate()
	for name, entries := range map[string][2]string{
		"CHATKIT_TOKEN_KEYS":       {one, two},
		"INTROSPECTION_KEYS":       {one, two},
		"CLERK_AUTHORIZED_PARTIES": {"https://a.example.com", "https://b.example.com"},
		"ALLOWED_ORIGINS":          {"https://a.example.com", "https://b.example.com"},
		"CHATKIT_ROLE_CLAIMS":      {"metadata.role", "https://example.com/role"},
		"TRUSTED_PROXIES":          {"10.0.0.0/8", "192.0.2.1"},
		"CHATKIT_ANOMALY_REVOKE":   {"opens", "addresses"},
	} {
		c, _, err := parseSettings(testEnviron(t, name+"=", name+"_FILE="+file(t, "\ufeff\""+entries[0]+"\"\r\n"+entries[1]+"\r\n")))
		lists := map[string][]string{
			"CHATKIT_TOKEN_KEYS": reveal(c.TokenKeys), "INTROSPECTION_KEYS": reveal(c.IntrospectionKeys), "CLERK_AUTHORIZED_PARTIES": c.ClerkParties,
			"ALLOWED_ORIGINS": c.AllowedOrigins, "CHATKIT_ROLE_CLAIMS": c.RoleClaims, "TRUSTED_PROXIES": c.TrustedProxies, "CHATKIT_ANOMALY_REVOKE": c.AnomalyRevoke,
		}
		if err != nil || !slices.Equal(lists[name], entries[:]) {
			t.Errorf("%s has %d entries, %v", name, len(lists[name]), err)
		}
	}
	for _, s := range allSettings() {
		if strings.Contains(s.help, "separated by commas") && !s.list {
			t.Errorf("%s is no list", s.name)
		}
	}
}

// An error in a file names the file. An empty file is an error.
func TestParseSettings_NamesFiles(t *testing.T) {
	t.Parallel()
	const secret = "not-a-key-at-all" //nolint:gosec // it is none
	for name, c := range map[string]struct{ setting, path, want string }{
		"Missing":   {"CLERK_ISSUER", "/does/not/exist", "cannot be read: no such file or directory"},
		"Folder":    {"CLERK_ISSUER", t.TempDir(), "cannot be read: is a directory"},
		"Empty":     {"CLERK_ISSUER", file(t, " \n"), "is empty"},
		"OnlyAMark": {"CLERK_AUTHORIZED_PARTIES", file(t, "\ufeff\n"), "is empty"},
		"NoEntry":   {"CLERK_AUTHORIZED_PARTIES", file(t, ",\n"), "has no entries"},
		"UTF16":     {"CHATKIT_TOKEN_KEYS", file(t, "\xff\xfek\x00e\x00y\x00"), "is not UTF-8 text"},
		"UTF16NoM":  {"CHATKIT_TOKEN_KEYS", file(t, "k\x00e\x00y\x00"), "is not UTF-8 text"},
		"BadValue":  {"CHATKIT_TOKEN_KEYS", file(t, secret), "key 1 must be the base64"},
		"BadOrigin": {"ALLOWED_ORIGINS", file(t, "app.example.com"), `"app.example.com" must be an origin such as`},
		"BadNumber": {"CHATKIT_MAX_SESSIONS", file(t, "many"), "must be a whole number"},
		"BadPolicy": {"CHATKIT_ACCESS_POLICY", file(t, "{"), "must be like {"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := parseSettings(testEnviron(t, c.setting+"=", c.setting+"_FILE="+c.path))
			want := c.setting + "_FILE (" + c.path + "): " + c.want
			if err == nil || !strings.Contains(err.Error(), "\n"+want) || strings.Count(err.Error(), "\n") != 1 || strings.Contains(err.Error(), secret) {
				t.Errorf("it is refused with %v, want %s", err, want)
			}
		})
	}
	// So is a variable that lists nothing.
	for _, pair := range []string{"CLERK_AUTHORIZED_PARTIES=,", `INTROSPECTION_KEYS="", ""`} {
		name, _, _ := strings.Cut(pair, "=")
		if _, _, err := parseSettings(testEnviron(t, pair)); err == nil || !strings.HasSuffix(err.Error(), name+": has no entries") {
			t.Errorf("%s is refused with %v", pair, err)
		}
	}
}

// A misspelling of any setting causes a warning. Variables of other programs do
// not.
func TestEnvironment_Warnings(t *testing.T) {
	t.Parallel()
	told := func(environ ...string) []string {
		given, _ := readEnviron(environ)
		return given.warnings()
	}
	for name, meant := range map[string]string{
		"ALLOWED_ORIGIN": "ALLOWED_ORIGINS", "ALLOW_ORIGINS": "ALLOWED_ORIGINS", "ALLOWED_ORIGNIS": "ALLOWED_ORIGINS", "allowed_origins": "ALLOWED_ORIGINS",
		"INTROSPECTION_KEY": "INTROSPECTION_KEYS", "INTROSPECTION_KEY_FILE": "INTROSPECTION_KEYS_FILE",
		"CLERK_AUTHORIZED_PARTY": "CLERK_AUTHORIZED_PARTIES", "CLERK_AUTHORISED_PARTIES": "CLERK_AUTHORIZED_PARTIES",
		"TRUSTED_PROXY": "TRUSTED_PROXIES", "DATABSE_URL": "DATABASE_URL", "DATABASE_URI": "DATABASE_URL", "REDIS_URI": "REDIS_URL",
		"LOGLEVEL": "LOG_LEVEL", "LISTEN_ADDRESS": "", "LISTEN_ADR": "LISTEN_ADDR", "CLERK_ISSUERS": "CLERK_ISSUER", "CLERK_JWTKEY": "CLERK_JWT_KEY",
	} {
		got := told(name + "=x")
		if meant == "" {
			continue
		}
		if want := name + " has no effect: did you mean " + meant + "?"; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"CHATKIT_WORKFLOWID":       ": did you mean CHATKIT_WORKFLOW_ID?",
		"CHATKIT_MAX_SESSION_FILE": ": did you mean CHATKIT_MAX_SESSIONS_FILE?",
		"CHATKIT_FLUX_CAPACITOR":   "",
	} {
		if got := told(name + "=x"); !slices.Equal(got, []string{name + " is not a setting of this version and has no effect" + want}) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, name := range []string{
		"PATH", "HOME", "PORT", "HOSTNAME", "LANG", "TERM", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "HTTP_PROXY", "GOGC", "GOMEMLIMIT",
		"CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "CLERK_WEBHOOK_SECRET", "CLERK_API_VERSION", "CLERK_API_KEY", "CLERK_FRONTEND_API", "CLERK_JWKS_URL",
		"DATABASE_HOST", "DATABASE_PORT", "DATABASE_USER", "DATABASE_NAME", "DATABASE_PASSWORD", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS",
		"POSTGRES_URL", "POSTGRES_PASSWORD", "OPENAI_API_KEY", "LOG_FORMAT", "RUST_LOG", "METRICS_PORT", "OTEL_EXPORTER_OTLP_ENDPOINT", "KUBERNETES_SERVICE_HOST",
	} {
		if got := told(name + "=x"); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	// What was meant is given: the other name is somebody else's.
	if got := told("DATABASE_URI=x", "DATABASE_URL=sqlite:x", "REDIS_URI=x", "REDIS_URL_FILE="+file(t, "redis://x")); len(got) != 0 {
		t.Errorf("it is told %q", got)
	}
	// Kubernetes' own, for a service that is called chatkit-session.
	links := []string{
		"CHATKIT_SESSION_SERVICE_HOST=10.0.0.1", "CHATKIT_SESSION_SERVICE_PORT=80", "CHATKIT_SESSION_SERVICE_PORT_HTTP=80",
		"CHATKIT_SESSION_PORT=tcp://10.0.0.1:80", "CHATKIT_SESSION_PORT_80_TCP=tcp://10.0.0.1:80", "CHATKIT_SESSION_PORT_80_TCP_ADDR=10.0.0.1",
	}
	if got := told(links...); len(got) != 0 {
		t.Errorf("it is told %q", got)
	}
	if got := told("CHATKIT_SESSION_PORT=8080"); len(got) != 1 {
		t.Errorf("of a port it is told %q", got)
	}
}

// A URL that would store sessions in a file of an odd name, or only in memory, is
// refused.
func TestDatabaseKind(t *testing.T) {
	t.Parallel()
	for url, want := range map[secret]string{
		"sqlite:sessions.db": "sessions.db", "sqlite:/var/lib/sessions.db": "/var/lib/sessions.db", "sqlite:./a b.db": "./a b.db",
		"sqlite::memory:": "", "sqlite:file::memory:?cache=shared": "", "sqlite:sessions.db?mode=memory": "", "sqlite:/data/sessions.db?cache=shared": "", "sqlite://sessions.db": "", "sqlite:///var/lib/sessions.db": "", "sqlite:": "", "sqlite": "", "mysql://db/x": "",
	} {
		kind, path, err := databaseKind(url)
		if path != want || (err == nil) != (want != "") || (err == nil && kind != sqliteDatabase) {
			t.Errorf("databaseKind(%s) = %q, %q, %v", string(url), kind, path, err)
		}
	}
}

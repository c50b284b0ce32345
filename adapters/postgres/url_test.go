package postgres

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// What a URL of PostgreSQL may look like, and which hosts, ports and encryption
// it comes to.
func TestComplete(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://u:p@db/x":                                           "u:p db - /x verify-full",
		"postgresql://db.internal:5433/x":                               "- db.internal 5433 /x verify-full",
		"postgres://localhost/x":                                        "- localhost - /x disable",
		"postgres://127.0.0.1:5433/x":                                   "- 127.0.0.1 5433 /x disable",
		"postgres://u@[::1]:5433/x":                                     "u ::1 5433 /x disable",
		"postgres://[2001:db8::1]/x":                                    "- 2001:db8::1 - /x verify-full",
		"postgres://%2Fvar%2Frun%2Fpostgresql/x":                        "- /var/run/postgresql - /x disable",
		"postgres://u:p@%2Fvar%2Frun%2Fpostgresql:5433/x":               "u:p /var/run/postgresql 5433 /x disable",
		"postgres:///x?host=/run/pg":                                    "- /run/pg - /x disable",
		"postgres://u:p@one:5432,two:5433/x":                            "u:p one,two 5432,5433 /x verify-full",
		"postgres://one,two:5433/x":                                     "- one,two 5432,5433 /x verify-full",
		"postgres://u:p@/x?host=one,two&port=1,2":                       "u:p one,two 1,2 /x verify-full",
		"postgres://u:p@db/x?sslmode=require":                           "u:p db - /x require",
		"postgres://u:p@db/x?sslmode=require&channel_binding=require":   "u:p db - /x verify-full",
		"postgres://u:p@db/x?channel_binding=require":                   "u:p db - /x verify-full",
		"postgres://u:p@db/x?sslmode=disable&channel_binding=prefer":    "u:p db - /x disable",
		"postgres://u:p@db/x?channel_binding=disable&sslmode=verify-ca": "u:p db - /x verify-ca",
		"postgres://u:%23%2F%3F%40@db/x":                                "u:%23%2F%3F%40 db - /x verify-full",
		"postgres://u:a@b@db/x":                                         "u:a%40b db - /x verify-full",
		"postgres://u:a^[{|}]<\"> %25é@db/x":                            "u:a%5E%5B%7B%7C%7D%5D%3C%22%3E%20%25%C3%A9 db - /x verify-full",
		"postgres://a<b@db/x":                                           "a%3Cb db - /x verify-full",
		"postgres:///x?hostaddr=192.0.2.1":                              "- - - /x verify-full",
		"postgres://localhost/x?hostaddr=192.0.2.1":                     "- localhost - /x verify-full",
		"postgres://db/x?hostaddr=127.0.0.1":                            "- db - /x disable",
		"postgres://localhost,db/x":                                     "- localhost,db - /x verify-full",
		"postgres://db/x?sslmode=":                                      "- db - /x verify-full",
	} {
		dsn, err := complete(Config{URL: given})
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		or := func(text string) string {
			if text == "" {
				return "-"
			}
			return text
		}
		query := u.Query()
		got := strings.Join([]string{or(u.User.String()), or(query.Get("host")), or(query.Get("port")), u.Path, query.Get("sslmode")}, " ")
		if got != want || query.Has("channel_binding") || u.Host != "" {
			t.Errorf("%s is %q, want %q", given, got, want)
		}
		if err := Check(given); err != nil {
			t.Errorf("Check(%s) = %v", given, err)
		}
	}
}

// What the URL leaves to the environment of PostgreSQL's own clients counts: a
// host there is on no other machine's loopback, and a mode there is wanted.
func TestComplete_Environment(t *testing.T) {
	for _, c := range []struct{ name, value, url, want string }{
		{"PGHOST", "db.example.com", "postgres:///x", "verify-full"},
		{"PGHOST", "db.example.com", "postgres://localhost/x", "disable"},
		{"PGHOST", "/run/postgresql", "postgres:///x", "disable"},
		{"PGHOSTADDR", "192.0.2.1", "postgres:///x", "verify-full"},
		{"PGSSLMODE", "require", "postgres://db/x", "require"},
		{"PGSSLMODE", "require", "postgres://db/x?sslmode=verify-ca", "verify-ca"},
	} {
		t.Run(c.name+" "+c.url, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			dsn, err := complete(Config{URL: c.url})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pq.NewConfig(dsn); err != nil || string(got.SSLMode) != c.want {
				t.Errorf("the driver's mode is %q, %v, want %q", got.SSLMode, err, c.want)
			}
		})
	}
}

// A password that is not encoded is no host: nothing of it is looked up in DNS,
// or shown.
func TestComplete_Refuses(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"", "mysql://u:p@db/x", "u:p@db/x", "postgres:u:p@db/x",
		"postgres://u:sec#ret@db/x", "postgres://u:sec/ret@db/x", "postgres://u:1/secret@db/x", "postgres://u:sec?ret@db/x", "postgres://u:s@e/c@db/x",
		"postgres://u:p@db:secret/x", "postgres://u:%zz@db/x", "postgres://u:p@%zz/x", "postgres://u:p@db/x?%zz",
		"postgres://u:p@db/x?channel_binding=secret", "postgres://u:p@db/x?channel_binding=require&sslmode=disable", "postgres://u:p@db/x?sslmode=secret",
		"postgres://u:p@%2Frun%2Fpostgresql,db/x?sslmode=verify-full",
	} {
		err := Check(given)
		if err == nil {
			t.Errorf("Check(%s) is content", given)
			continue
		}
		for _, part := range []string{"sec", "ret@", "db/x"} {
			if strings.Contains(strings.ReplaceAll(err.Error(), "user:password@host/database", ""), part) {
				t.Errorf("the error of %s shows it: %v", given, err)
			}
		}
	}
}

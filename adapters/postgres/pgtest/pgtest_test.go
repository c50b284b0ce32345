package pgtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgserver"
	"chatkit-session/adapters/postgres/pgtest"
)

// probe makes this test's binary ask for a database and nothing else.
const probe = "CHATKIT_TEST_PROBE"

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestProbe(t *testing.T) {
	t.Parallel()
	if os.Getenv(probe) != "new" {
		return
	}
	pgtest.New(t)
}

// Without a server tests are skipped with a line that says why, or fail where
// CI is true; a server that cannot be reached is never a reason to skip.
func TestNew_WithoutServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ   []string
		want, why string
	}{
		"NotInstalled":       {[]string{"CI="}, "--- SKIP", "not installed, and TEST_DATABASE_URL is not set"},
		"NotInstalledInCI":   {[]string{"CI=true"}, "--- FAIL", "not installed, and TEST_DATABASE_URL is not set"},
		"CannotBeReached":    {[]string{"TEST_DATABASE_URL=postgres://x@127.0.0.1:1/x?sslmode=disable", "CI="}, "--- FAIL", "refused"},
		"NotAServersAddress": {[]string{"TEST_DATABASE_URL=::", "CI="}, "--- FAIL", "missing protocol scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProbe$", "-test.v")
			command.Env = append(os.Environ(), probe+"=new", pgserver.FolderVariable+"=/nonexistent")
			command.Env = append(command.Env, test.environ...)
			out, _ := command.CombinedOutput()
			if !strings.Contains(string(out), test.want) || !strings.Contains(string(out), test.why) {
				t.Errorf("want %q and %q in\n%s", test.want, test.why, out)
			}
		})
	}
}

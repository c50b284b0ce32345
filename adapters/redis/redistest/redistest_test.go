package redistest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"chatkit-session/adapters/redis/redistest"
)

// probe makes this test's binary ask for a server and nothing else.
const probe = "CHATKIT_TEST_PROBE"

func TestProbe(t *testing.T) {
	t.Parallel()
	if os.Getenv(probe) == "" {
		return
	}
	redistest.New(t)
}

// Without a server tests are skipped with a line that says why, or fail where
// CI is true.
func TestNew_WithoutServer(t *testing.T) {
	t.Parallel()
	for ci, want := range map[string]string{"": "--- SKIP", "true": "--- FAIL"} {
		t.Run("CI="+ci, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProbe$", "-test.v")
			command.Env = append(os.Environ(), probe+"=1", redistest.FolderVariable+"=/nonexistent", "CI="+ci)
			out, _ := command.CombinedOutput()
			if !strings.Contains(string(out), want) || !strings.Contains(string(out), "redis-server: not installed") {
				t.Errorf("want %q in\n%s", want, out)
			}
		})
	}
}

// A server that was killed and started again is the same, and empty.
func TestServer(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	if got := s.Ask(t, "SET a 1"); got != "+OK" {
		t.Errorf("SET = %s", got)
	}
	s.Kill()
	s.Start(t)
	if got := s.Ask(t, "GET a"); got != "$-1" {
		t.Errorf("GET = %s", got)
	}
}

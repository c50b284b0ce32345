//go:build unix

package redistest

import "syscall"

// apart keeps a terminal's signals from the server.
var apart = &syscall.SysProcAttr{Setpgid: true}

func hang(pid int, yes bool) error {
	if yes {
		return syscall.Kill(pid, syscall.SIGSTOP)
	}
	return syscall.Kill(pid, syscall.SIGCONT)
}

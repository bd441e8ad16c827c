//go:build unix

package pgdev

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"datum/domain"
)

// locales are tried in order. The first two sort by code point or close to it and know letters beyond ASCII.
var locales = map[bool][]string{false: {"C.UTF-8", "en_US.UTF-8", "C"}, true: {"en_US.UTF-8", "C"}}[runtime.GOOS == "darwin"]

// account is the user that Postgres runs as when we are root, as Postgres refuses to run as root. A nil account is
// ourselves.
type account struct{ uid, gid uint32 }

// unprivileged returns the account to use, nil if we are not root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return &account{uid: 65534, gid: 65534}, nil
}

// run makes cmd run as the account, in dir and with an environment free of PG variables.
func (a *account) run(cmd *exec.Cmd, dir string) {
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PG") && !strings.HasPrefix(kv, "LC_") && !strings.HasPrefix(kv, "LANG") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if a != nil {
		cmd.Env = append(cmd.Env, "HOME="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
	}
}

// own gives a file to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// reaches reports whether the account may enter every directory on the path, by mode bits.
func (a *account) reaches(dir string) bool {
	for {
		fi, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st := fi.Sys().(*syscall.Stat_t)
		bit := uint32(0o001)
		switch {
		case st.Uid == a.uid:
			bit = 0o100
		case st.Gid == a.gid:
			bit = 0o010
		}
		if uint32(fi.Mode().Perm())&bit == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// chooseHome returns where the data goes: dir, unless the account cannot reach it (a clone below /root). Then it is a
// directory named after dir below /var/lib/datum, which survives a restart, or below the temporary directory.
func chooseHome(dir string, a *account) (string, error) {
	if a == nil || a.reaches(dir) {
		return dir, nil
	}
	name := fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16]
	var last error
	for _, base := range []string{"/var/lib/datum", filepath.Join(os.TempDir(), "datum-postgres")} {
		home := filepath.Join(base, name)
		if last = os.MkdirAll(home, 0o755); last != nil {
			continue
		}
		// In a shared temporary directory somebody else may have been first.
		if st, err := os.Lstat(base); err != nil || !st.IsDir() || st.Sys().(*syscall.Stat_t).Uid != 0 {
			last = fmt.Errorf("%s is not root's", base)
			continue
		}
		if home, last = filepath.EvalSymlinks(home); last == nil && a.reaches(home) {
			return home, nil
		}
	}
	return "", domain.Errorf(domain.Forbidden, "Postgres does not run as root, and user %d cannot reach %s; set DATUM_DIR to a directory that everybody may enter, or set DATABASE_URL: %w",
		a.uid, dir, errors.Join(last))
}

// detach keeps the terminal's interrupt away from the server: who started it stops it in its own time.
func detach(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
}

// lockFile takes an exclusive lock that ends with the process at the latest.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fileError(path, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fileError(path, err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			f.Close()
			return nil, domain.Errorf(domain.Unavailable, "another process is still starting Postgres and holds %s: %w", path, err)
		}
	}
}

func interrupt(pid int) error { return syscall.Kill(pid, syscall.SIGINT) }

func quit(pid int) error { return syscall.Kill(pid, syscall.SIGQUIT) }

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// commandLine returns the arguments of a process, "" if it is gone or a zombie.
func commandLine(pid int) string {
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil || runtime.GOOS == "linux" {
		return strings.ReplaceAll(string(b), "\x00", " ")
	}
	out, _ := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return string(out)
}

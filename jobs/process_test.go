//go:build unix

package jobs_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var built atomic.Bool

// binary is the product, built once for all tests that start real processes.
var binary = sync.OnceValues(func() (string, error) {
	built.Store(true)
	dir, err := os.MkdirTemp("", "datum-drill-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "datum")
	out, err := exec.Command("go", "build", "-o", path, "datum").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// TestMain lets more tests run at once than there are processors, since most of their time is waiting, and removes the
// binary.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", "5"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if built.Load() {
		if path, err := binary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// worker is one `datum work` process.
type worker struct {
	r    *rig
	args []string
	mu   sync.Mutex
	cmd  *exec.Cmd
	out  *bytes.Buffer
	dead chan struct{}
	held bool // by SIGSTOP
}

// startWorker starts `datum work` on the rig's database; it is killed when the test ends.
func (r *rig) startWorker(args ...string) *worker {
	r.t.Helper()
	w := &worker{r: r, args: append([]string{"work", "--addr", "127.0.0.1:0", "--dir", r.t.TempDir(), "--poll-interval", r.rc.poll.String(),
		"--sweep-interval", r.rc.sweep.String(), "--log", "warn", "--log-format", "text"}, args...)}
	w.start()
	r.t.Cleanup(func() {
		w.kill()
		if r.t.Failed() && w.out.Len() > 0 {
			b := w.out.String()
			r.t.Logf("a worker's last words:\n%s", b[max(0, len(b)-4000):])
		}
	})
	return w
}

func (w *worker) start() {
	w.r.t.Helper()
	path, err := binary()
	must(w.r.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd, w.out, w.dead, w.held = exec.Command(path, w.args...), &bytes.Buffer{}, make(chan struct{}), false
	w.cmd.Env = append(cleanEnv(), "DATABASE_URL="+w.r.url, "DATUM_KEY="+drillKey+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	w.cmd.Env = append(w.cmd.Env, w.r.rc.workerEnv...)
	w.cmd.Stdout, w.cmd.Stderr = w.out, w.out
	w.cmd.SysProcAttr = dieWithParent()
	must(w.r.t, w.cmd.Start())
	go func(cmd *exec.Cmd, dead chan struct{}) { _ = cmd.Wait(); close(dead) }(w.cmd, w.dead)
}

// cleanEnv is the environment without what configures Datum.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "DATUM_") && !strings.HasPrefix(e, "OTEL_") && !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	return env
}

// kill is kill -9.
func (w *worker) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.cmd.Process.Kill()
	<-w.dead
}

// stop holds the process for a time, as a machine that sleeps does.
func (w *worker) stop(d time.Duration) {
	w.mu.Lock()
	cmd, dead := w.cmd, w.dead
	w.held = true
	w.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	select {
	case <-time.After(d):
	case <-dead:
		return
	}
	_ = cmd.Process.Signal(syscall.SIGCONT)
	w.mu.Lock()
	w.held = false
	w.mu.Unlock()
}

func (w *worker) isHeld() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

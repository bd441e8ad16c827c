package pgdev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// TestMain lets the test binary be a process of its own that uses a server: it prints the URL and the server's process
// number, and gives the server up when its standard input ends.
func TestMain(m *testing.M) {
	dir := os.Getenv("PGDEV_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	c, err := Start(context.Background(), Options{Dir: dir, Disposable: true, Idle: time.Minute})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(c.URL(""), runningPostmaster(c.state.data()))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := c.Stop(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// process is another process that uses the server in a directory.
type process struct {
	cmd        *exec.Cmd
	stdin      io.Closer
	url        string
	postmaster int
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PGDEV_TEST_DIR="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: stdin}
	if _, err := fmt.Sscan(line, &p.url, &p.postmaster); err != nil || p.postmaster == 0 {
		t.Fatalf("process said %q", line)
	}
	return p
}

// directory is one that the unprivileged user can reach; t.TempDir is its owner's only.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		data := filepath.Join(dir, "postgres", "data")
		if pid := runningPostmaster(data); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
			eventually(t, "server ends with its test", func() bool { return !alive(pid) || commandLine(pid) == "" })
		}
	})
	return dir
}

func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

func exe(t *testing.T, c *Cluster, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var s string
	if err := conn.QueryRow(ctx, sql).Scan(&s); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 20 s: %s", what)
		}
	}
}

func postmaster(c *Cluster) int { return runningPostmaster(c.state.data()) }

func TestDataSurvivesStopAndStart(t *testing.T) {
	t.Parallel()
	o := Options{Dir: directory(t)} // the durable settings
	c := start(t, o)
	exe(t, c, `CREATE TABLE kept AS SELECT 'Ångström' AS name`)
	if got := exe(t, c, `SELECT lower(name) FROM kept`); got != "ångström" {
		t.Errorf("lower() gives %q: the locale does not know letters beyond ASCII", got)
	}
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "TimeZone": "UTC", "server_encoding": "UTF8"} {
		if got := exe(t, c, `SHOW `+setting); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	refusesStrangers(t, c)
	first := c.URL("")
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if pid := postmaster(c); pid != 0 {
		t.Errorf("process %d still runs after the last Stop", pid)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	c = start(t, o)
	if c.URL("") != first {
		t.Error("the URL changed though its port was free")
	}
	if got := exe(t, c, `SELECT name FROM kept`); got != "Ångström" {
		t.Errorf("read %q", got)
	}
}

// refusesStrangers checks that the password is needed, and that only its owner can read it.
func refusesStrangers(t *testing.T, c *Cluster) {
	t.Helper()
	u := *c.url
	u.User = nil
	cfg, err := pgx.ParseConfig(u.String() + "&user=postgres&password=wrong")
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.ConnectConfig(context.Background(), cfg); err == nil {
		_ = conn.Close(context.Background())
		t.Error("connected with a wrong password")
	}
	fi, err := os.Stat(filepath.Join(c.state.Home, "state.json"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("state.json with the password: %v %v", fi.Mode(), err)
	}
}

// Any number of processes start at once: one server, which ends with the last of them.
func TestSeveralUsersShareOneServer(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	procs := make([]*process, 3)
	var wg sync.WaitGroup
	for i := range procs {
		wg.Go(func() { procs[i] = startProcess(t, dir) })
	}
	mine := start(t, Options{Dir: dir, Disposable: true})
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, p := range procs {
		if p.url != mine.URL("") || p.postmaster != postmaster(mine) {
			t.Fatalf("two servers: %d and %d", p.postmaster, postmaster(mine))
		}
	}
	if err := mine.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if postmaster(mine) != p.postmaster {
			t.Fatal("the server ended before its last user")
		}
		_ = p.stdin.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if pid := postmaster(mine); pid != 0 {
		t.Errorf("process %d still runs though its last user is gone", pid)
	}
}

func TestServerOfAKilledProcessIsAdopted(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	p := startProcess(t, dir)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	c := start(t, Options{Dir: dir, Disposable: true})
	if postmaster(c) != p.postmaster {
		t.Fatalf("started process %d beside %d", postmaster(c), p.postmaster)
	}
	// The killed process does not count as a user any more.
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if pid := postmaster(c); pid != 0 {
		t.Errorf("process %d still runs", pid)
	}
}

func TestAbandonedServerStopsByItself(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	c := start(t, Options{Dir: dir, Disposable: true, Idle: 500 * time.Millisecond})
	pid := postmaster(c)
	p := startProcess(t, dir) // a second user, whose Idle does not count
	c.lease.close()           // as if we were killed
	eventually(t, "the watchdog has looked while there is a user", func() bool {
		return exe(t, c, `SELECT (now() - min(backend_start) > interval '1.5 s')::text FROM pg_stat_activity WHERE application_name = 'datum watchdog'`) == "true"
	})
	if postmaster(c) != pid {
		t.Fatal("the server stopped under its user")
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	eventually(t, "abandoned server stops", func() bool { return postmaster(c) == 0 })
	// A clean stop: a disposable server keeps its data only then.
	b, err := os.ReadFile(filepath.Join(dir, "postgres", "server.log"))
	if err != nil || !strings.Contains(string(b), "database system is shut down") {
		t.Errorf("the stop was not clean (%v)", err)
	}
}

func TestDataSurvivesACrashOfPostgres(t *testing.T) {
	t.Parallel()
	o := Options{Dir: directory(t)}
	c := start(t, o)
	exe(t, c, `CREATE TABLE kept AS SELECT 'x'::text AS name`)
	crash(t, c)
	again := start(t, o)
	if got := exe(t, again, `SELECT name FROM kept`); got != "x" {
		t.Errorf("read %q", got)
	}
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}
	// After a crash Postgres may find its number in use by another of the user's programs.
	if err := c.Stop(); err != nil {
		t.Errorf("Stop of a crashed server: %v", err)
	}
	stranger := exec.Command("sleep", "60")
	again.user(t).run(stranger, "/")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	pidFile := filepath.Join(c.state.data(), "postmaster.pid")
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s\n0\n%d\n\n\n\nready\n", stranger.Process.Pid, c.state.data(), c.state.Port), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.user(t).own(pidFile); err != nil {
		t.Fatal(err)
	}
	if got := exe(t, start(t, o), `SELECT name FROM kept`); got != "x" {
		t.Errorf("read %q", got)
	}
}

// user returns who runs the server.
func (c *Cluster) user(t *testing.T) *account {
	t.Helper()
	a, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// crash kills the server and waits until it is gone.
func crash(t *testing.T, c *Cluster) {
	t.Helper()
	pid := postmaster(c)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "killed server is gone", func() bool { return postmaster(c) == 0 })
}

func TestDisposableStartsEmptyAfterACrash(t *testing.T) {
	t.Parallel()
	o := Options{Dir: directory(t), Disposable: true}
	c := start(t, o)
	exe(t, c, `CREATE TABLE gone AS SELECT 'x'::text AS name`)
	crash(t, c)
	if got := exe(t, start(t, o), `SELECT count(*)::text FROM pg_class WHERE relname = 'gone'`); got != "0" {
		t.Error("data written without fsync was trusted after a crash")
	}
}

// When one backend dies Postgres drops all connections, and with them the count of users and the watchdog.
func TestLeaseSurvivesARestartOfTheBackends(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Dir: directory(t), Disposable: true})
	pid := postmaster(c)
	backend, err := strconv.Atoi(exe(t, c, `SELECT min(pid)::text FROM pg_stat_activity WHERE application_name = 'datum watchdog'`))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(backend, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	holders := fmt.Sprintf(`SELECT string_agg(DISTINCT mode, ' ' ORDER BY mode) FROM pg_locks WHERE locktype = 'advisory' AND pid <> %d`, backend)
	eventually(t, "lease and watchdog are back", func() bool {
		conn, err := pgx.Connect(context.Background(), c.URL("postgres"))
		if err != nil {
			return false
		}
		defer conn.Close(context.Background())
		var modes *string
		return conn.QueryRow(context.Background(), holders).Scan(&modes) == nil && modes != nil && *modes == "ExclusiveLock ShareLock"
	})
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) && commandLine(pid) != "" {
		t.Error("the server was not stopped by its last user")
	}
}

func TestInterruptedInitdbAndTakenPort(t *testing.T) {
	t.Parallel()
	o := Options{Dir: directory(t), Disposable: true}
	half := filepath.Join(o.Dir, "postgres", "data.new")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, o)
	exe(t, c, `CREATE TABLE kept AS SELECT 'x'::text AS name`)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", c.url.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := os.Stat(half); err == nil {
		t.Error("the half-made directory is still there")
	}
	again := start(t, o)
	if again.URL("") == c.URL("") {
		t.Fatal("the port is somebody else's")
	}
	if got := exe(t, again, `SELECT name FROM kept`); got != "x" {
		t.Errorf("read %q", got)
	}
}

func TestLostStateKeepsTheDataAside(t *testing.T) {
	t.Parallel()
	o := Options{Dir: directory(t), Disposable: true}
	c := start(t, o)
	if err := os.Remove(filepath.Join(o.Dir, "postgres", "state.json")); err != nil {
		t.Fatal(err)
	}
	exe(t, start(t, o), `SELECT 'up'`) // stops the server whose password is lost
	if _, err := os.Stat(c.state.data() + ".old/PG_VERSION"); err != nil {
		t.Error(err)
	}
}

// A directory that only root may enter, such as a clone below /root: Postgres keeps its data elsewhere.
func TestRootsOwnDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives up its user")
	}
	dir := t.TempDir() // its parent has mode 0700
	o := Options{Dir: dir, Disposable: true}
	c := start(t, o)
	t.Cleanup(func() { _ = c.Stop(); _ = os.RemoveAll(c.state.Home) })
	if strings.HasPrefix(c.state.Home, dir) {
		t.Fatalf("data is in %s", c.state.Home)
	}
	exe(t, c, `CREATE TABLE kept AS SELECT 'x'::text AS name`)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	c = start(t, o)
	if got := exe(t, c, `SELECT name FROM kept`); got != "x" {
		t.Errorf("read %q", got)
	}
	// A new clone at the same place begins with nothing.
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "postgres")); err != nil {
		t.Fatal(err)
	}
	if got := exe(t, start(t, o), `SELECT count(*)::text FROM pg_class WHERE relname = 'kept'`); got != "0" {
		t.Error("the removed clone's data came back")
	}
}

func TestGivenServerIsOnlyHandedOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const given = "postgres://u:p@db.example:5432/books?sslmode=require"
	c := start(t, Options{URL: given, Dir: dir})
	if c.URL("") != given || !c.External() {
		t.Errorf("URL = %q", c.URL(""))
	}
	if got := c.URL("other"); got != "postgres://u:p@db.example:5432/other?sslmode=require" {
		t.Errorf("URL(other) = %q", got)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if es, _ := os.ReadDir(dir); len(es) != 0 {
		t.Errorf("made %v", es)
	}
	_, err := Start(context.Background(), Options{URL: "host=db password=secret7"})
	if domain.CodeOf(err) != domain.Invalid || strings.Contains(err.Error(), "secret7") {
		t.Errorf("err = %v", err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockFile(context.Background(), filepath.Join(dir, "postgres", "start.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Options{Dir: dir}); domain.CodeOf(err) != domain.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

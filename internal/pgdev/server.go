package pgdev

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// state is what is remembered of a server, in state.json. It is written before the server is first started.
type state struct {
	Home     string `json:"home"` // directory that holds data/
	Port     int    `json:"port"`
	Password string `json:"password"`
}

func (st state) data() string { return filepath.Join(st.Home, "data") }

func (st state) url(database string) *url.URL {
	return &url.URL{Scheme: "postgres", User: url.UserPassword("postgres", st.Password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(st.Port)), RawQuery: "sslmode=disable"}
}

// server is the work of one Start.
type server struct {
	Options
	dir   string   // <Options.Dir>/postgres, absolute: state, locks and the server's log
	user  *account // whom Postgres runs as; nil for ourselves
	state state
}

func openServer(o Options) (*server, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "postgres"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fileError(dir, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	return &server{Options: o, dir: dir, user: user}, nil
}

// load reads state.json, or decides afresh. The start lock is held.
func (s *server) load() error {
	path := filepath.Join(s.dir, "state.json")
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &s.state); err != nil || s.state.Home == "" {
			return domain.Errorf(domain.Internal, "%s cannot be read; remove %s to begin with an empty database", path, s.dir)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fileError(path, err)
	}
	home, err := chooseHome(s.dir, s.user)
	if err != nil {
		return err
	}
	s.state = state{Home: home, Password: rand.Text()}
	// Data without a state is what is left when somebody removed Dir but the data lives elsewhere, or removed only
	// state.json. Its password is lost; it is kept aside, once.
	data := s.state.data()
	if _, err := os.Stat(data); err == nil {
		if err := stopServer(data, s.Log); err != nil {
			return err
		}
		if err := os.RemoveAll(data + ".old"); err != nil {
			return err
		}
		if err := os.Rename(data, data+".old"); err != nil {
			return err
		}
		s.Log.Warn("found a database without its state.json; moved it aside and begin with an empty one", "to", data+".old")
	}
	return s.save()
}

func (s *server) save() error {
	b, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "state.json")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fileError(path, err)
	}
	return os.Rename(path+".new", path)
}

// ensure returns a lease on the running server, started if need be. The start lock is held, so nobody else starts it;
// its last user or its watchdog may still be stopping it.
func (s *server) ensure(ctx context.Context) (*lease, error) {
	var bin *binaries
	deadline := time.Now().Add(startTimeout)
	var reason error
	for {
		if runningPostmaster(s.state.data()) != 0 {
			l, err := s.adopt(ctx)
			if err == nil {
				return l, nil
			}
			reason = err
		}
		if ctx.Err() != nil {
			return nil, domain.Errorf(domain.Unavailable, "gave up waiting for Postgres: %w", context.Cause(ctx))
		}
		if time.Now().After(deadline) {
			return nil, domain.Errorf(domain.Unavailable, "Postgres in %s runs but does not answer; look at %s, or stop it with kill -QUIT %d: %w",
				s.state.data(), s.logPath(), runningPostmaster(s.state.data()), reason)
		}
		if runningPostmaster(s.state.data()) != 0 { // starting, recovering or stopping
			_ = pause(ctx, 20*time.Millisecond)
			continue
		}
		if bin == nil {
			var err error
			if bin, err = s.findBinaries(ctx); err != nil {
				return nil, err
			}
			deadline = time.Now().Add(startTimeout)
		}
		if err := s.prepare(ctx, bin); err != nil {
			return nil, err
		}
		if err := s.spawn(ctx, bin); err != nil {
			if reason = err; !errors.Is(err, errAgain) || time.Now().After(deadline) {
				return nil, err
			}
			_ = pause(ctx, 200*time.Millisecond)
		}
	}
}

// adopt connects to the server of the state and takes a lease on it.
func (s *server) adopt(ctx context.Context) (*lease, error) {
	cctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	u := s.state.url("postgres").String()
	conn, err := pgx.Connect(cctx, u)
	if err != nil {
		return nil, err
	}
	var dir string
	if err = conn.QueryRow(cctx, `SHOW data_directory`).Scan(&dir); err == nil && dir != s.state.data() {
		err = fmt.Errorf("port %d is served from %s", s.state.Port, dir)
	}
	if err == nil {
		var l *lease
		if l, err = newLease(cctx, conn, u, s.Idle); err == nil {
			return l, nil
		}
	}
	_ = conn.Close(context.WithoutCancel(ctx))
	return nil, err
}

// prepare leaves a data directory that can be started: no stale pid file, made by a finished initdb, of bin's version.
func (s *server) prepare(ctx context.Context, bin *binaries) error {
	data := s.state.data()
	pidFile := filepath.Join(data, "postmaster.pid")
	if b, err := os.ReadFile(pidFile); err == nil {
		s.Log.Info("Postgres was not stopped cleanly; recovering", "data", data)
		if s.Disposable {
			if err := s.discard(data); err != nil {
				return err
			}
		} else if _, rest, ok := strings.Cut(string(b), "\n"); ok {
			// Postgres refuses to start when the number was given to another program since. The number of its parent it
			// takes for stale. The rest of the file stays: it leads to what a killed server may still have in memory.
			if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
				return fileError(pidFile, err)
			}
		} else if err := os.Remove(pidFile); err != nil { // empty or torn: nothing that Postgres could check
			return fileError(pidFile, err)
		}
	}
	if version, err := os.ReadFile(filepath.Join(data, "PG_VERSION")); err == nil {
		if strings.TrimSpace(string(version)) == strconv.Itoa(bin.major) {
			return nil
		}
		if !s.Disposable {
			return domain.Errorf(domain.Unready, "%s was made by Postgres %s and only version %d was found; install version %[2]s, or remove %[4]s to begin with an empty database",
				data, strings.TrimSpace(string(version)), bin.major, s.dir)
		}
		if err := s.discard(data); err != nil {
			return err
		}
	}
	return s.initdb(ctx, bin)
}

// discard removes data. It is moved away first because a killed server's last processes may still write to it.
func (s *server) discard(data string) error {
	if err := os.RemoveAll(data + ".gone"); err != nil {
		return fileError(data, err)
	}
	if err := os.Rename(data, data+".gone"); err != nil {
		return fileError(data, err)
	}
	if err := os.RemoveAll(data + ".gone"); err != nil {
		s.Log.Warn("could not remove discarded data; the next start tries again", "error", err)
	}
	return nil
}

// initdb makes the data directory under another name first, so that an interrupted run leaves none.
func (s *server) initdb(ctx context.Context, bin *binaries) error {
	fresh, password := s.state.data()+".new", filepath.Join(s.state.Home, "password.new")
	if err := os.RemoveAll(fresh); err != nil {
		return fileError(fresh, err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fileError(fresh, err)
	}
	if err := os.WriteFile(password, []byte(s.state.Password), 0o600); err != nil {
		return fileError(password, err)
	}
	defer os.Remove(password)
	for _, p := range []string{fresh, password} {
		if err := s.user.own(p); err != nil {
			return fileError(p, err)
		}
	}
	var out []byte
	var err error
	for _, locale := range locales {
		args := []string{"-D", fresh, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password,
			"-E", "UTF8", "--locale", locale}
		if s.Disposable {
			args = append(args, "--no-sync")
		}
		cmd := exec.CommandContext(ctx, bin.path("initdb"), args...)
		s.user.run(cmd, s.state.Home)
		if out, err = cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("invalid locale")) {
			break
		}
	}
	if err != nil {
		return domain.Errorf(domain.Internal, "initdb could not make a database in %s: %s: %w", fresh, lastLines(out, 3), err)
	}
	return os.Rename(fresh, s.state.data())
}

// errAgain marks a start that may work when repeated.
var errAgain = errors.New("try again")

// spawn starts Postgres on the port of the state if that is free, else on another, and waits until it accepts
// connections or has ended.
func (s *server) spawn(ctx context.Context, bin *binaries) error {
	port, err := freePort(s.state.Port)
	if err != nil {
		return err
	}
	s.state.Port = port
	if err := s.save(); err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if fi, err := os.Stat(s.logPath()); err == nil && fi.Size() > 10<<20 {
		flags |= os.O_TRUNC
	}
	logFile, err := os.OpenFile(s.logPath(), flags, 0o600)
	if err != nil {
		return fileError(s.logPath(), err)
	}
	defer logFile.Close()
	from, err := logFile.Seek(0, 2)
	if err != nil {
		return err
	}
	cmd := exec.Command(bin.path("postgres"), s.args()...) // not CommandContext: it outlives the start
	cmd.Stdout, cmd.Stderr = logFile, logFile
	s.user.run(cmd, s.state.Home)
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return domain.Errorf(domain.Internal, "Postgres in %s could not be started: %w", bin.dir, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			said := s.logSince(from)
			for _, passing := range []string{"could not bind", "still in use", "already exists", "could not create any TCP"} {
				if strings.Contains(said, passing) {
					return fmt.Errorf("%w: %s", errAgain, said)
				}
			}
			return domain.Errorf(domain.Internal, "Postgres ended while it was starting (%v): %s", err, said)
		case <-ctx.Done():
			return domain.Errorf(domain.Unavailable, "gave up waiting for Postgres to start: %w", context.Cause(ctx))
		default:
		}
		if accepting(s.state) {
			s.Log.Info("started Postgres", "version", bin.major, "port", port, "data", s.state.data())
			return nil
		}
		_ = pause(ctx, 20*time.Millisecond)
	}
}

// args are Postgres's arguments. There is no socket, whose path would be limited to about 100 characters.
func (s *server) args() []string {
	args := []string{"-D", s.state.data()}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", "127.0.0.1")
	set("port", strconv.Itoa(s.state.Port))
	set("unix_socket_directories", "")
	set("cluster_name", "datum")
	set("timezone", "UTC")
	set("log_timezone", "UTC")
	set("max_connections", "300")
	set("jit", "off")                         // compiling costs more than Datum's short statements
	set("dynamic_shared_memory_type", "mmap") // /dev/shm has 64 MB in a container
	if s.Disposable {
		set("fsync", "off")
		set("synchronous_commit", "off")
		set("full_page_writes", "off")
		set("shared_buffers", "128MB")
		set("wal_level", "minimal")
		set("max_wal_senders", "0")
		set("max_wal_size", "4GB")
		set("checkpoint_timeout", "1h")
		set("log_checkpoints", "off")  // every copied database makes some
		set("log_min_messages", "log") // tests provoke errors
		return args
	}
	set("shared_buffers", "256MB")
	set("max_wal_size", "2GB")
	set("wal_compression", "on")
	set("random_page_cost", "1.1")
	return args
}

func (s *server) logPath() string { return filepath.Join(s.dir, "server.log") }

func (s *server) logSince(offset int64) string {
	b, err := os.ReadFile(s.logPath())
	if err != nil || int64(len(b)) < offset {
		return "see " + s.logPath()
	}
	return lastLines(b[offset:], 5)
}

// accepting reports whether the server at the port of st lets us in.
func accepting(st state) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, st.url("postgres").String())
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// stopServer stops the server of the data directory: politely, then, after 30 s, as if the power failed.
func stopServer(data string, log *slog.Logger) error {
	for _, how := range []struct {
		signal func(pid int) error
		wait   time.Duration
	}{{interrupt, 30 * time.Second}, {quit, 10 * time.Second}} {
		pid := runningPostmaster(data)
		if pid == 0 {
			return nil
		}
		if err := how.signal(pid); err != nil {
			return domain.Errorf(domain.Internal, "Postgres (process %d) could not be signalled: %w", pid, err)
		}
		for deadline := time.Now().Add(how.wait); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if !isPostmaster(pid, data) { // its pid file goes a moment earlier
				log.Info("stopped Postgres", "data", data)
				return nil
			}
		}
	}
	if pid := runningPostmaster(data); pid != 0 {
		return domain.Errorf(domain.Internal, "Postgres (process %d) does not stop; end it with kill -9 %[1]d", pid)
	}
	return nil
}

// runningPostmaster returns the process number of the server of the data directory, 0 if it does not run. The pid file
// alone proves nothing: the number may have been given to another program since.
func runningPostmaster(data string) int {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !isPostmaster(pid, data) {
		return 0
	}
	return pid
}

func isPostmaster(pid int, data string) bool {
	return pid > 1 && alive(pid) && strings.Contains(commandLine(pid), data)
}

// freePort returns the wanted loopback port if nobody listens there, else another.
func freePort(want int) (int, error) {
	for _, p := range []int{want, 0} {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().(*net.TCPAddr).Port, nil
		}
		if p == 0 {
			return 0, domain.Errorf(domain.Internal, "no free port on 127.0.0.1: %w", err)
		}
	}
	panic("unreachable")
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// lastLines returns the last n non-empty lines of b on one line.
func lastLines(b []byte, n int) string {
	lines := strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

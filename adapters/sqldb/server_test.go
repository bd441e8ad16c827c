package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/internal/pgtest"
)

// each runs a test on a fresh database of every kind of server. MariaDB is that of DATUM_TEST_MYSQL_DSN (mysql://, of a user
// who may create databases), else one that is started here if its programs are installed, else it is skipped.
func each(t *testing.T, test func(t *testing.T, b *base)) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, newPostgres(t)) })
	t.Run("mariadb", func(t *testing.T) { t.Parallel(); test(t, newMariaDB(t)) })
}

// base is one database of the business, as its own applications see it.
type base struct {
	t   *testing.T
	d   dialect
	dsn string
	db  *sql.DB
}

// newPostgres returns a database with an empty schema: the tests' databases have Datum's own tables beside it.
func newPostgres(t *testing.T) *base {
	t.Helper()
	u, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	newBase(t, u.String()).exec("CREATE SCHEMA ops")
	q := u.Query()
	q.Set("search_path", "ops")
	u.RawQuery = q.Encode()
	return newBase(t, u.String())
}

func newBase(t *testing.T, dsn string) *base {
	t.Helper()
	db, d, _, err := connect(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &base{t: t, d: d, dsn: dsn, db: db}
}

func newMariaDB(t *testing.T) *base {
	t.Helper()
	server, err := mariaDB()
	if err != nil {
		t.Skipf("no MariaDB here: %v", err)
	}
	name := "datum_test_" + strings.ToLower(rand.Text()[:12])
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/mysql"
	admin := newBase(t, u.String())
	admin.exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4")
	t.Cleanup(func() { admin.exec("DROP DATABASE " + name) })
	u.Path = "/" + name
	return newBase(t, u.String())
}

// stopServer stops what mariaDB has started.
var stopServer = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopServer()
	os.Exit(code)
}

// mariaDB returns the address of a server that all tests of this binary share.
var mariaDB = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("DATUM_TEST_MYSQL_DSN"); given != "" {
		return given, nil
	}
	var programs [2]string
	for i, names := range [][]string{{"mariadbd", "/usr/sbin/mariadbd"}, {"mariadb-install-db", "/usr/bin/mariadb-install-db"}} {
		for _, n := range names {
			if p, err := exec.LookPath(n); err == nil {
				programs[i] = p
			}
		}
		if programs[i] == "" {
			return "", fmt.Errorf("%s is not installed (Debian: mariadb-server), and DATUM_TEST_MYSQL_DSN is not set", names[0])
		}
	}
	dir, err := os.MkdirTemp("", "datum-mariadb-")
	if err != nil {
		return "", err
	}
	stopServer = func() { os.RemoveAll(dir) }
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	args := []string{"--no-defaults", "--datadir=" + data}
	if os.Getuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			return "", errors.New("started by root, and there is no user mysql to run it as")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
		args = append(args, "--user=mysql")
	}
	if out, err := exec.Command(programs[1], append(args, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	// The server ends with this process, however that ends: then its standard input is closed.
	run := exec.Command("sh", "-c", `"$@" & pid=$!; cat >/dev/null; kill $pid; wait $pid`, "sh", programs[0])
	run.Args = append(run.Args, append(args, "--socket="+socket, "--skip-networking", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=2",
		"--pid-file="+filepath.Join(dir, "pid"))...)
	in, err := run.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := run.Start(); err != nil {
		return "", err
	}
	stopServer = func() {
		in.Close()
		_ = run.Wait() // ended by us
		os.RemoveAll(dir)
	}
	address := "mysql://root@localhost/mysql?socket=" + url.QueryEscape(socket)
	db, _, _, err := connect(address)
	if err != nil {
		return "", err
	}
	defer db.Close()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return address, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("mariadbd does not answer: %w", err)
		}
	}
})

func (b *base) exec(stmts ...string) {
	b.t.Helper()
	for _, s := range stmts {
		if _, err := b.db.ExecContext(context.Background(), s); err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
	}
}

// text returns one value of the database as text.
func (b *base) text(query string) string {
	b.t.Helper()
	var s sql.NullString
	if err := b.db.QueryRow(query).Scan(&s); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	if !s.Valid {
		return "NULL"
	}
	return s.String
}

// of picks the text for the dialect.
func (b *base) of(postgresText, mariadbText string) string {
	if b.d == mariadb {
		return mariadbText
	}
	return postgresText
}

// open opens the adapter as Datum does; settings come in pairs.
func (b *base) open(mapping string, settings ...string) *adapter {
	b.t.Helper()
	s := map[string]string{"dsn": b.dsn, "mapping": mapping, "connections": "4"}
	for i := 0; i < len(settings); i += 2 {
		s[settings[i]] = settings[i+1]
	}
	x, err := Vendor().Open(adapters.Session{System: "ops", Settings: s, Now: time.Now})
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	a := x.(*adapter)
	b.t.Cleanup(func() { a.Close() })
	return a
}

func is(t *testing.T, what string, err error, want domain.Code) {
	t.Helper()
	if got := domain.CodeOf(err); got != want {
		t.Errorf("%s: got %v, want code %q", what, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (a *adapter) one(t *testing.T, w adapters.Write) adapters.Outcome {
	t.Helper()
	outs := a.Write(t.Context(), []adapters.Write{w})
	if len(outs) != 1 {
		t.Fatalf("%d outcomes for one write", len(outs))
	}
	return outs[0]
}

// create makes a row and fails the test if it cannot.
func (a *adapter) create(t *testing.T, kind domain.Kind, v domain.Values) (domain.Record, adapters.Write) {
	t.Helper()
	ki, _ := kind.Info()
	w := adapters.Write{Kind: kind, CanonicalID: domain.NewID(ki.Prefix), Values: v, Golden: v, Key: "k"}
	out := a.one(t, w)
	if out.Err != nil {
		t.Fatalf("create %s: %v", kind, out.Err)
	}
	return out.Record, w
}

func update(r domain.Record, canonicalID string, v domain.Values) adapters.Write {
	return adapters.Write{Kind: r.Kind, CanonicalID: canonicalID, ExternalID: r.ExternalID, Values: v, Golden: v, Base: &r, Key: "k2"}
}

// changes reads until there is no more and returns the records, the last of each by id, and the cursor.
func (a *adapter) changes(t *testing.T, kind domain.Kind, cursor string) (map[string]domain.Record, string) {
	t.Helper()
	recs := map[string]domain.Record{}
	for range 1000 {
		p, err := a.Changes(t.Context(), kind, cursor)
		must(t, err)
		for _, r := range p.Records {
			recs[r.ExternalID] = r
		}
		if cursor = p.Cursor; !p.More {
			return recs, cursor
		}
	}
	t.Fatal("the changes do not end")
	return nil, ""
}

// all lists everything of a complete sweep.
func (a *adapter) all(t *testing.T, kind domain.Kind, between func()) map[string]domain.Record {
	t.Helper()
	recs, cursor := map[string]domain.Record{}, ""
	for {
		p, err := a.List(t.Context(), kind, cursor)
		must(t, err)
		for _, r := range p.Records {
			if _, twice := recs[r.ExternalID]; twice {
				t.Errorf("%s is listed twice", r.ExternalID)
			}
			recs[r.ExternalID] = r
		}
		if !p.More {
			if !p.Complete {
				t.Error("the listing is not complete")
			}
			return recs
		}
		cursor = p.Cursor
		if between != nil {
			between()
		}
	}
}

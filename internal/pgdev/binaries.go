package pgdev

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"datum/domain"
)

// oldestMajor is the oldest Postgres that Datum runs on.
const oldestMajor = 14

// downloaded is the version that is fetched when the machine has none.
const downloaded = embeddedpostgres.V17

// binaries is a directory with postgres and initdb.
type binaries struct {
	dir   string
	major int
}

func (b *binaries) path(name string) string { return filepath.Join(b.dir, name) }

// places are where installers put Postgres, as globs; of several matches the newest version wins.
var places = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // RHEL, Fedora (PGDG)
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// findBinaries looks on PATH, in the usual places, and among earlier downloads, and downloads last. Existing data wants
// the version that made it.
func (s *server) findBinaries(ctx context.Context) (*binaries, error) {
	want := 0
	if v, err := os.ReadFile(filepath.Join(s.state.data(), "PG_VERSION")); err == nil && !s.Disposable {
		want, _ = strconv.Atoi(strings.TrimSpace(string(v)))
	}
	found := s.installed(ctx)
	for _, b := range found {
		if want == 0 || b.major == want {
			return b, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil // prepare says what is wrong with it
	}
	s.Log.Info("no Postgres found on this machine; downloading one", "version", downloaded)
	dir := s.downloadDir()
	if err := s.download(ctx, mirror, dir); err != nil {
		return nil, err
	}
	b := s.inspect(ctx, filepath.Join(dir, "bin"))
	if b == nil {
		return nil, domain.Errorf(domain.Internal, "the downloaded Postgres in %s does not run here; install Postgres %d or newer, or set DATABASE_URL", dir, oldestMajor)
	}
	return b, nil
}

// installed returns the usable binaries on this machine, best first.
func (s *server) installed(ctx context.Context) []*binaries {
	var found []*binaries
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			if b := s.inspect(ctx, filepath.Dir(p)); b != nil {
				found = append(found, b)
			}
		}
	}
	var elsewhere []*binaries
	for _, glob := range places {
		dirs, _ := filepath.Glob(glob)
		for _, dir := range dirs {
			if b := s.inspect(ctx, dir); b != nil {
				elsewhere = append(elsewhere, b)
			}
		}
	}
	slices.SortStableFunc(elsewhere, func(a, b *binaries) int { return b.major - a.major })
	found = append(found, elsewhere...)
	if b := s.inspect(ctx, filepath.Join(s.downloadDir(), "bin")); b != nil {
		found = append(found, b)
	}
	return found
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect runs postgres in dir as the user that will run the server; nil if that is no good.
func (s *server) inspect(ctx context.Context, dir string) *binaries {
	b := &binaries{dir: dir}
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, b.path("postgres"), "--version")
	s.user.run(cmd, s.state.Home)
	out, err := cmd.Output()
	m := versionPattern.FindSubmatch(out)
	if err != nil || m == nil {
		return nil
	}
	if b.major, _ = strconv.Atoi(string(m[1])); b.major < oldestMajor {
		return nil
	}
	return b
}

func (s *server) downloadDir() string {
	return filepath.Join(s.state.Home, "postgres-"+string(downloaded))
}

// mirror is the Maven repository that the library fetches from.
const mirror = "https://repo1.maven.org/maven2"

// download fetches and unpacks Postgres into dir. The library can only fetch by starting, which it cannot do as root;
// so it is given a data directory that claims to be made already and cannot be started, and it stops there.
func (s *server) download(ctx context.Context, mirror, dir string) error {
	scratch, err := os.MkdirTemp(s.state.Home, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	unpacked, data := filepath.Join(scratch, "unpacked"), filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	major, _, _ := strings.Cut(string(downloaded), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major), 0o600); err != nil {
		return err
	}
	port, err := freePort(0)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		done <- embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().Version(downloaded).Port(uint32(port)).Logger(io.Discard).
			BinaryRepositoryURL(mirror).CachePath(filepath.Join(scratch, "cache")).RuntimePath(filepath.Join(scratch, "run")).
			BinariesPath(unpacked).DataPath(data)).Start()
	}()
	var started error
	select {
	case started = <-done:
	case <-ctx.Done():
		return domain.Errorf(domain.Unavailable, "the download of Postgres was interrupted: %w", context.Cause(ctx))
	}
	if _, err := os.Stat(filepath.Join(unpacked, "bin", "postgres")); err != nil {
		return domain.Errorf(domain.Unavailable, "no Postgres on this machine and none could be downloaded; install Postgres %d or newer (Debian: apt-get install postgresql; macOS: brew install postgresql@17), or set DATABASE_URL: %w",
			oldestMajor, fmt.Errorf("download: %w", started))
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	return os.Rename(unpacked, dir)
}

package pgdev

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"datum/domain"
)

// archive packs the machine's own Postgres the way the Maven repository does: a zip that holds a .txz with bin/.
func archive(t *testing.T, b *binaries) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		p := filepath.Join(dir, "bin", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, fmt.Appendf(nil, "#!/bin/sh\nexec %s \"$@\"\n", b.path(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	txz, err := exec.Command("tar", "-C", dir, "-cJf", "-", "bin").Output()
	if err != nil {
		t.Skipf("tar and xz are needed to pack an archive: %v", err)
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create("postgres.txz")
	if err == nil {
		_, err = w.Write(txz)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDownloadedPostgresRuns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := directory(t)
	s, err := openServer(Options{Dir: dir, Disposable: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	here := s.installed(ctx)
	if len(here) == 0 {
		t.Skip("no Postgres on this machine to pack")
	}
	jar := archive(t, here[0])
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, string(downloaded)+".jar") {
			_, _ = w.Write(jar)
			return
		}
		http.NotFound(w, r)
	}))
	defer repository.Close()

	if err := s.download(ctx, repository.URL, s.downloadDir()); err != nil {
		t.Fatal(err)
	}
	b := s.inspect(ctx, filepath.Join(s.downloadDir(), "bin"))
	if b == nil {
		t.Fatal("the downloaded Postgres does not run")
	}
	if found := s.installed(ctx); found[len(found)-1].dir != b.dir {
		t.Error("an earlier download is not found again")
	}
	if err := s.prepare(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.spawn(ctx, b); err != nil {
		t.Fatal(err)
	}
	if got := exe(t, start(t, Options{Dir: dir, Disposable: true}), `SELECT 'up'`); got != "up" {
		t.Error(got)
	}
	if left, _ := filepath.Glob(filepath.Join(s.state.Home, "download-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	repository.Close()
	err = s.download(ctx, repository.URL, filepath.Join(dir, "y"))
	if domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("without a network: %v", err)
	}
}

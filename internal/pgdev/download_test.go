package pgdev

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// The download is tried only when asked for, as it needs the network: DATUM_DRILL=1.
func TestDrillDownload(t *testing.T) {
	t.Parallel()
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("DATUM_DRILL is not set")
	}
	dir := directory(t)
	s, err := openServer(Options{Dir: dir, Disposable: true, Idle: 1e9, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := s.download(ctx, s.downloadDir()); err != nil {
		t.Fatal(err)
	}
	b := s.inspect(ctx, filepath.Join(s.downloadDir(), "bin"))
	if b == nil {
		t.Fatal("the downloaded Postgres does not run")
	}
	if err := s.prepare(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.spawn(ctx, b); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{Dir: dir, Disposable: true}) // adopts it
	if got := exe(t, c, `SELECT current_setting('server_version_num')::int / 10000 || ''`); got != "17" {
		t.Errorf("runs Postgres %s", got)
	}
}

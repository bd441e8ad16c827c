package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestDatabasesOfKilledProcessesAreDropped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	if s.cluster.External() {
		t.Skip("process numbers mean nothing on another machine's server")
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead, live := fmt.Sprintf("%s%d_x", testPrefix, gone.Process.Pid), fmt.Sprintf("%s%d_x", testPrefix, os.Getpid())
	for _, name := range []string{dead, live} {
		if err := s.clone(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = s.drop(ctx, live) }()
	if err := s.tidy(ctx); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{dead: false, live: true} {
		var there bool
		if err := s.admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil || there != want {
			t.Errorf("%s: there = %t, want %t (%v)", name, there, want, err)
		}
	}
}

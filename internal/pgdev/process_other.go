//go:build !unix

package pgdev

import (
	"context"
	"os/exec"

	"datum/domain"
)

var locales = []string{"C"}

type account struct{}

func unprivileged() (*account, error) {
	return nil, domain.Errorf(domain.Unsupported, "Datum runs a private Postgres only on Linux, macOS and BSD; set DATABASE_URL")
}

func (*account) run(*exec.Cmd, string)                            {}
func (*account) own(string) error                                 { return nil }
func chooseHome(dir string, _ *account) (string, error)           { return dir, nil }
func detach(*exec.Cmd)                                            {}
func lockFile(context.Context, string) (unlock func(), err error) { return func() {}, nil }
func interrupt(int) error                                         { return nil }
func quit(int) error                                              { return nil }
func alive(int) bool                                              { return false }
func commandLine(int) string                                      { return "" }

package config_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/internal/config"
)

func load(env map[string]string, args ...string) (config.Config, []string, error) {
	fs := flag.NewFlagSet("datum", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return config.Load(func(k string) string { return env[k] }, fs, args)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, rest, err := load(nil)
	if err != nil || len(rest) != 0 {
		t.Fatal(rest, err)
	}
	want := config.Config{Dir: ".datum", Addr: "127.0.0.1:8080", PublicURL: "http://127.0.0.1:8080", LogFormat: "auto",
		LogLevel: slog.LevelInfo, PollInterval: time.Minute, SweepInterval: 6 * time.Hour}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFlagsWinOverEnvironment(t *testing.T) {
	t.Parallel()
	got, rest, err := load(map[string]string{
		"DATABASE_URL": "postgres://u:p@db/datum", "DATUM_ADDR": ":9000", "DATUM_LOG": "debug", "DATUM_POLL_INTERVAL": "30s",
		"DATUM_SWEEP_INTERVAL": "2d", "DATUM_KEY": "k1:abc", "DATUM_PLAYGROUND": "1",
	}, "-addr", "0.0.0.0:7000", "-log-format=JSON", "-introspection", "left", "over")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{DatabaseURL: "postgres://u:p@db/datum", Dir: ".datum", Addr: "0.0.0.0:7000", PublicURL: "http://localhost:7000",
		Key: "k1:abc", LogFormat: "json", LogLevel: slog.LevelDebug, PollInterval: 30 * time.Second, SweepInterval: 48 * time.Hour,
		Introspection: true, Playground: true}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if fmt.Sprint(rest) != "[left over]" {
		t.Errorf("rest = %v", rest)
	}
}

func TestBadValuesNameTheVariable(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"DATABASE_URL":         {"host=db password=hush", "mysql://u:hush@db/x", "postgres://u:hush@db", "postgres://u:hush%zz@db/x"},
		"DATUM_ADDR":           {"8080", "localhost", "localhost:http", ":99999"},
		"DATUM_PUBLIC_URL":     {"datum.example.com", "ftp://x", "https://", "https://x/?a=b", "https://u:p@x"},
		"DATUM_DIR":            {" "},
		"DATUM_LOG":            {"loud"},
		"DATUM_LOG_FORMAT":     {"xml"},
		"DATUM_POLL_INTERVAL":  {"0s", "-1s", "fast", "48h", "5"},
		"DATUM_SWEEP_INTERVAL": {"31d", "1.5d", "999999999999999d"},
		"DATUM_INTROSPECTION":  {"maybe"},
	} {
		for _, v := range values {
			_, _, err := load(map[string]string{name: v})
			if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), name+": ") || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s=%q: err = %v", name, v, err)
			}
		}
	}
}

func TestPublicURLHasNoTrailingSlash(t *testing.T) {
	t.Parallel()
	c, _, err := load(map[string]string{"DATUM_PUBLIC_URL": "https://books.example.com/datum/"})
	if err != nil || c.PublicURL != "https://books.example.com/datum" {
		t.Errorf("PublicURL = %q, %v", c.PublicURL, err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c, _, err := load(map[string]string{"DATABASE_URL": "postgres://u:hush@db/datum", "DATUM_KEY": "k1:hush"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("settings", "config", c)
	fmt.Fprintf(&b, "%v %+v %#v %s", c, c, c, c)
	if strings.Contains(b.String(), "hush") || !strings.Contains(b.String(), ".datum") {
		t.Error(b.String())
	}
	for _, s := range config.Settings() {
		if (s.Env == "DATABASE_URL" || s.Env == "DATUM_KEY") && s.Flag != "" {
			t.Errorf("%s holds a secret and has a flag, which every user of the machine can read", s.Env)
		}
	}
}

func TestHelpNamesEveryVariable(t *testing.T) {
	t.Parallel()
	fs := flag.NewFlagSet("datum", flag.ContinueOnError)
	var b strings.Builder
	fs.SetOutput(&b)
	if _, _, err := config.Load(func(string) string { return "" }, fs, []string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		if s.Flag != "" && !strings.Contains(b.String(), s.Env) {
			t.Errorf("help lacks %s", s.Env)
		}
	}
}

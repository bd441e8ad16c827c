// Package config reads Datum's settings: defaults, then the environment, then flags. Every setting is one row of a table,
// from which parsing, flags and help come. OTEL_* variables are read by OpenTelemetry itself (package telemetry), and
// what a business decides (policy, systems, modes) is in the database.
package config

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"datum/domain"
)

// Config holds the settings of one process. It is not changed after Load.
type Config struct {
	DatabaseURL string // postgres://…; "" for a private Postgres below Dir. Holds a password
	Dir         string // where Datum keeps what belongs to this machine
	Addr        string // host:port to listen on
	PublicURL   string // how vendors and browsers reach Addr, without a trailing slash
	Key         string // keys that seal secrets, as vault.Parse takes them; "" for a key file in Dir. Secret
	LogLevel    slog.Level
	LogFormat   string // "auto", "json" or "text"; auto is text on a terminal

	PollInterval  time.Duration // between looks for changes at a system that sends no webhooks
	SweepInterval time.Duration // between complete comparisons with a system

	AlertPrivate  bool // alerts may be sent to addresses inside the network
	Introspection bool // GraphQL introspection for callers without an API key
	Playground    bool // the GraphQL page for browsers
}

// Setting describes one setting, for help and documentation.
type Setting struct {
	Env, Flag string // Flag is "" for what must not appear in a list of processes
	Default   string
	Help      string
	value     func(*Config) flag.Value
}

// Settings returns all settings, in the order in which they are explained.
func Settings() []Setting {
	return []Setting{
		{"DATABASE_URL", "", "", "postgres://user:password@host:port/database; empty runs a private Postgres below the directory",
			text(func(c *Config) *string { return &c.DatabaseURL }, databaseURL)},
		{"DATUM_DIR", "dir", ".datum", "directory for what belongs to this machine: private Postgres, key file",
			text(func(c *Config) *string { return &c.Dir }, filled)},
		{"DATUM_ADDR", "addr", "127.0.0.1:8080", "address to listen on, host:port",
			text(func(c *Config) *string { return &c.Addr }, hostPort)},
		{"DATUM_PUBLIC_URL", "public-url", "", "URL under which vendors and browsers reach this address; empty is http:// and the address",
			text(func(c *Config) *string { return &c.PublicURL }, publicURL)},
		{"DATUM_KEY", "", "", "keys that seal stored secrets, id:base64 and separated by commas, the first one seals; empty uses a key file in the directory",
			text(func(c *Config) *string { return &c.Key }, nil)},
		{"DATUM_LOG", "log", "info", "least level that is logged: debug, info, warn or error",
			func(c *Config) flag.Value { return (*levelValue)(&c.LogLevel) }},
		{"DATUM_LOG_FORMAT", "log-format", "auto", "json, text, or auto: text on a terminal",
			text(func(c *Config) *string { return &c.LogFormat }, oneOf("auto", "json", "text"))},
		{"DATUM_POLL_INTERVAL", "poll-interval", "1m", "time between looks for changes at a system that sends no webhooks, 1s to 24h",
			duration(func(c *Config) *time.Duration { return &c.PollInterval }, time.Second, 24*time.Hour)},
		{"DATUM_SWEEP_INTERVAL", "sweep-interval", "6h", "time between complete comparisons with a system, 1s to 30d",
			duration(func(c *Config) *time.Duration { return &c.SweepInterval }, time.Second, 30*24*time.Hour)},
		{"DATUM_ALERT_PRIVATE", "alert-private", "false", "alerts may be sent to private and local addresses",
			func(c *Config) flag.Value { return (*boolValue)(&c.AlertPrivate) }},
		{"DATUM_INTROSPECTION", "introspection", "false", "allow GraphQL introspection without an API key",
			func(c *Config) flag.Value { return (*boolValue)(&c.Introspection) }},
		{"DATUM_PLAYGROUND", "playground", "false", "serve the GraphQL page for browsers",
			func(c *Config) flag.Value { return (*boolValue)(&c.Playground) }},
	}
}

// Load returns the settings from defaults, the environment (os.Getenv) and the flags in args, and what is left of args.
// Flags of the caller's own may be defined on fs before. An error is Invalid, names the variable or flag, says what is
// expected and never repeats a secret; flag.ErrHelp is passed on.
func Load(getenv func(string) string, fs *flag.FlagSet, args []string) (_ Config, rest []string, err error) {
	var c Config
	for _, s := range Settings() {
		if err := s.value(&c).Set(s.Default); err != nil {
			return Config{}, nil, fmt.Errorf("default of %s: %w", s.Env, err)
		}
		if v := getenv(s.Env); v != "" {
			if err := s.value(&c).Set(v); err != nil {
				return Config{}, nil, domain.Errorf(domain.Invalid, "%s: %w", s.Env, err)
			}
		}
		if s.Flag != "" {
			fs.Var(s.value(&c), s.Flag, s.Help+" ("+s.Env+")")
		}
	}
	if err := fs.Parse(args); err != nil {
		return Config{}, nil, err
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://" + reachable(c.Addr)
	}
	return c, fs.Args(), nil
}

// reachable turns a listening address into one that can be called.
func reachable(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value {
	given := func(s string) string {
		if s == "" {
			return ""
		}
		return "given"
	}
	return slog.GroupValue(
		slog.String("database", given(c.DatabaseURL)), slog.String("key", given(c.Key)), slog.String("dir", c.Dir),
		slog.String("addr", c.Addr), slog.String("public_url", c.PublicURL), slog.Duration("poll_interval", c.PollInterval),
		slog.Duration("sweep_interval", c.SweepInterval))
}

// String is LogValue's text, so that no %v prints a secret.
func (c Config) String() string { return c.LogValue().String() }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

type textValue struct {
	p     *string
	check func(string) (string, error) // returns the value in its canonical form; nil takes any
}

func text(p func(*Config) *string, check func(string) (string, error)) func(*Config) flag.Value {
	return func(c *Config) flag.Value { return textValue{p(c), check} }
}

func (v textValue) String() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

func (v textValue) Set(s string) error {
	if v.check != nil {
		var err error
		if s, err = v.check(s); err != nil {
			return err
		}
	}
	*v.p = s
	return nil
}

func databaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if s == "" || (err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && len(u.Path) > 1) {
		return s, nil
	}
	return "", fmt.Errorf("want postgres://user:password@host:port/database") // without the value: it may hold a password
}

func publicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("want http:// or https://, a host and perhaps a path, got %q", s)
	}
	return strings.TrimRight(s, "/"), nil
}

func hostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("want host:port such as 127.0.0.1:8080 or :8080, got %q", s)
	}
	return s, nil
}

func filled(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", fmt.Errorf("must not be empty")
	}
	return s, nil
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return w, nil
			}
		}
		return "", fmt.Errorf("want one of %s, got %q", strings.Join(words, ", "), s)
	}
}

type levelValue slog.Level

func (v *levelValue) String() string { return strings.ToLower(slog.Level(*v).String()) }

func (v *levelValue) Set(s string) error {
	if (*slog.Level)(v).UnmarshalText([]byte(s)) != nil {
		return fmt.Errorf("want debug, info, warn or error, got %q", s)
	}
	return nil
}

type boolValue bool

func (v *boolValue) String() string   { return strconv.FormatBool(bool(*v)) }
func (v *boolValue) IsBoolFlag() bool { return true }

func (v *boolValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("want true or false, got %q", s)
	}
	*v = boolValue(b)
	return nil
}

type durationValue struct {
	p           *time.Duration
	least, most time.Duration
}

func duration(p func(*Config) *time.Duration, least, most time.Duration) func(*Config) flag.Value {
	return func(c *Config) flag.Value { return durationValue{p(c), least, most} }
}

func (v durationValue) String() string {
	if v.p == nil {
		return ""
	}
	return v.p.String()
}

// Set takes Go's durations and whole days: "90s", "6h", "30d".
func (v durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n <= 36500 {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < v.least || d > v.most {
		return fmt.Errorf("want a duration from %s to %s such as 90s, 6h or 30d, got %q", v.least, v.most, s)
	}
	*v.p = d
	return nil
}

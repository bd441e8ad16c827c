// Package alert provides the rules of what is watched: their configuration, and what a look at the metrics makes of them.
// Reading metrics and telling people is left to others.
package alert

import (
	"bytes"
	_ "embed" // the default configuration
	"errors"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"datum/domain"
)

//go:embed default.yaml
var defaultSource string

// DefaultSource is the configuration until somebody applies another one.
func DefaultSource() string { return defaultSource }

// Config is what is watched and who is told.
type Config struct {
	Interval  Duration   `yaml:"interval"` // between looks
	Remind    Duration   `yaml:"remind"`   // between notices while something lasts; 0 is one notice only
	Heartbeat *Heartbeat `yaml:"heartbeat,omitempty"`
	Channels  []Channel  `yaml:"channels"`
	Rules     []Rule     `yaml:"rules"`
}

// Heartbeat says regularly that Datum lives, so that its silence is noticed elsewhere.
type Heartbeat struct {
	URL   string   `yaml:"url"`
	Every Duration `yaml:"every"`
}

// Types of channels.
const (
	Webhook = "webhook" // signed as Standard Webhooks has it (standardwebhooks.com)
	Slack   = "slack"   // or what takes Slack's incoming webhooks
	Email   = "email"
)

// Channel is a way to tell somebody.
type Channel struct {
	Name string `yaml:"name"`
	Type string `yaml:"type"`
	URL  string `yaml:"url,omitempty"`
	// Secrets sign webhooks, newest first; two while they are rotated.
	Secrets  []string `yaml:"secrets,omitempty"`
	Server   string   `yaml:"server,omitempty"` // host:port of e-mail
	TLS      string   `yaml:"tls,omitempty"`    // starttls (the default), implicit or none
	User     string   `yaml:"user,omitempty"`
	Password string   `yaml:"password,omitempty"`
	From     string   `yaml:"from,omitempty"`
	To       []string `yaml:"to,omitempty"`
}

// Rule says when somebody is told of a metric.
type Rule struct {
	Name     string            `yaml:"name"`
	Metric   string            `yaml:"metric"`
	Labels   map[string]string `yaml:"labels,omitempty"` // that a series must have
	Above    *float64          `yaml:"above,omitempty"`
	Below    *float64          `yaml:"below,omitempty"`
	For      Duration          `yaml:"for,omitempty"` // how long it must last first
	Remind   *Duration         `yaml:"remind,omitempty"`
	Severity string            `yaml:"severity"`
	Channels []string          `yaml:"channels,omitempty"` // all if empty
	Summary  string            `yaml:"summary"`
	Next     string            `yaml:"next,omitempty"` // what to do
}

// Sealed stands in a configuration for a secret that is stored apart.
const Sealed = "sealed"

// HeartbeatChannel is the name under which the heartbeat's URL is sealed.
const HeartbeatChannel = "heartbeat"

// Duration is one in YAML: 90s, 6h, 3d.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	s := n.Value
	v, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var k int
		if k, err = strconv.Atoi(days); err == nil && k < 10000 {
			v = time.Duration(k) * 24 * time.Hour
		}
	}
	if err != nil || v < 0 {
		return fmt.Errorf("line %d: %q is not a duration such as 90s, 6h or 3d", n.Line, s)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

func (d Duration) String() string { return time.Duration(d).String() }

var (
	ruleName    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	yamlPrefix  = regexp.MustCompile(`^yaml: (unmarshal errors:\n *)?`)
	yamlType    = regexp.MustCompile(`cannot unmarshal !!\S+(?: .*)? into (\S+)`)
	yamlField   = regexp.MustCompile(`field (\S+) not found in type \S+`)
	severities  = []string{"info", "warning", "critical"}
	secretShape = regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{32,88}={0,2}$`) // 24 to 64 bytes
)

// yamlWords say in words what the types of a configuration are.
var yamlWords = map[string]string{"float64": "a number", "string": "text", "bool": "true or false", "[]string": "a list"}

// Parse reads a configuration and checks it; metrics are the names that can be watched. The error is Invalid and says everything
// that is wrong, and how to correct it. It repeats no secret.
func Parse(source string, metrics []string) (*Config, error) {
	c := &Config{}
	d := yaml.NewDecoder(bytes.NewReader([]byte(source)))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, domain.Errorf(domain.Invalid, "the file is empty; begin with what `datum alert show` prints")
		}
		words := yamlPrefix.ReplaceAllString(err.Error(), "")
		words = yamlType.ReplaceAllStringFunc(words, func(s string) string {
			want := yamlWords[yamlType.FindStringSubmatch(s)[1]]
			if want == "" {
				want = "something else, such as `datum alert show` prints"
			}
			return "the value must be " + want // it may be a secret and is not repeated
		})
		return nil, domain.Errorf(domain.Invalid, "%s", yamlField.ReplaceAllString(words, "there is no setting \"$1\" here"))
	}
	if problems := c.check(metrics); len(problems) > 0 {
		return nil, domain.Errorf(domain.Invalid, "%s", strings.Join(problems, "\n"))
	}
	return c, nil
}

func (c *Config) check(metrics []string) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if i := time.Duration(c.Interval); i < time.Second || i > time.Hour {
		wrong("interval must be between 1s and 1h")
	}
	if h := c.Heartbeat; h != nil {
		if e := time.Duration(h.Every); e < 10*time.Second || e > 24*time.Hour {
			wrong("heartbeat: every must be between 10s and 24h")
		}
		if h.URL != Sealed && !isURL(h.URL) {
			wrong("heartbeat: url must be an http or https URL without a user")
		}
	}
	names := map[string]bool{HeartbeatChannel: true}
	for _, ch := range c.Channels {
		at := "channel " + ch.Name + ": "
		if !ruleName.MatchString(ch.Name) || names[ch.Name] {
			wrong("%sa channel's name must be its own, of small letters, digits, _ and -, and not heartbeat", at)
		}
		names[ch.Name] = true
		for _, p := range ch.check() {
			wrong("%s%s", at, p)
		}
	}
	rules := map[string]bool{}
	for _, r := range c.Rules {
		at := "rule " + r.Name + ": "
		if !ruleName.MatchString(r.Name) || rules[r.Name] {
			wrong("%sa rule's name must be its own, of small letters, digits, _ and -", at)
		}
		rules[r.Name] = true
		if !slices.Contains(metrics, r.Metric) {
			wrong("%sthere is no metric %q; they are %s", at, r.Metric, strings.Join(metrics, ", "))
		}
		if (r.Above == nil) == (r.Below == nil) {
			wrong("%sgive either above or below", at)
		}
		if !slices.Contains(severities, r.Severity) {
			wrong("%sseverity must be one of %s", at, strings.Join(severities, ", "))
		}
		if r.Summary == "" {
			wrong("%ssay in summary what it means, in plain words", at)
		}
		for _, ch := range r.Channels {
			if !names[ch] || ch == HeartbeatChannel {
				wrong("%sthere is no channel %q", at, ch)
			}
		}
	}
	return problems
}

func (ch Channel) check() (problems []string) {
	switch ch.Type {
	case Webhook:
		if !isURL(ch.URL) {
			problems = append(problems, "url must be an http or https URL without a user")
		}
		if len(ch.Secrets) == 0 || len(ch.Secrets) > 2 {
			problems = append(problems, "give one secret, or two while they are rotated, the newest first")
		}
		for i, s := range ch.Secrets {
			if s != Sealed && !secretShape.MatchString(s) {
				problems = append(problems, fmt.Sprintf("secret %d must be whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)", i+1))
			}
		}
	case Slack:
		if ch.URL != Sealed && !isURL(ch.URL) {
			problems = append(problems, "url must be the address of an incoming webhook")
		}
	case Email:
		if host, port, ok := strings.Cut(ch.Server, ":"); !ok || host == "" || port == "" {
			problems = append(problems, "server must be host:port, such as smtp.example.com:587")
		}
		if !slices.Contains([]string{"", "starttls", "implicit", "none"}, ch.TLS) {
			problems = append(problems, "tls must be starttls, implicit or none")
		}
		if (ch.User == "") != (ch.Password == "") {
			problems = append(problems, "user and password go together")
		}
		if len(ch.To) == 0 {
			problems = append(problems, "to must name somebody")
		}
		for _, a := range append([]string{ch.From}, ch.To...) {
			if _, err := mail.ParseAddress(a); err != nil {
				problems = append(problems, "from and to must be e-mail addresses")
				break
			}
		}
	default:
		problems = append(problems, "type must be webhook, slack or email")
	}
	return problems
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// Secret is what is sealed of a channel.
type Secret struct {
	URL      string   `json:"url,omitempty"`
	Secrets  []string `json:"secrets,omitempty"`
	Password string   `json:"password,omitempty"`
}

// Seal takes the secrets out of the configuration and leaves Sealed in their place. They are returned by channel; one that was
// Sealed already is taken from old, by its place. Invalid if there is none to take.
func (c *Config) Seal(old map[string]Secret) (map[string]Secret, error) {
	secrets := map[string]Secret{}
	hide := func(s *string, before string) (string, error) {
		plain := *s
		if plain == Sealed {
			if before == "" {
				return "", domain.Errorf(domain.Invalid, "there is no sealed secret to keep; give the secret itself")
			}
			plain = before
		}
		*s = Sealed
		return plain, nil
	}
	var errs []error
	take := func(name string, s *string, before string) string {
		plain, err := hide(s, before)
		if err != nil {
			errs = append(errs, domain.Errorf(domain.Invalid, "channel %s: %s", name, domain.AsError(err).Message))
		}
		return plain
	}
	if h := c.Heartbeat; h != nil {
		secrets[HeartbeatChannel] = Secret{URL: take(HeartbeatChannel, &h.URL, old[HeartbeatChannel].URL)}
	}
	for i := range c.Channels {
		ch := &c.Channels[i]
		before, now := old[ch.Name], Secret{}
		if ch.Type == Slack {
			now.URL = take(ch.Name, &ch.URL, before.URL)
		}
		for j := range ch.Secrets {
			kept := "" // "sealed" keeps those there are, in their order
			if at := sealedBefore(now.Secrets, before.Secrets); at < len(before.Secrets) {
				kept = before.Secrets[at]
			}
			now.Secrets = append(now.Secrets, take(ch.Name, &ch.Secrets[j], kept))
		}
		if ch.Password != "" {
			now.Password = take(ch.Name, &ch.Password, before.Password)
		}
		secrets[ch.Name] = now
	}
	return secrets, errors.Join(errs...)
}

// sealedBefore is the first of the old secrets that is not among the new ones yet.
func sealedBefore(now, old []string) int {
	for i, s := range old {
		if !slices.Contains(now, s) {
			return i
		}
	}
	return len(old)
}

// Open puts a secret back into its channel.
func (ch Channel) Open(s Secret) Channel {
	if ch.URL == Sealed {
		ch.URL = s.URL
	}
	if len(s.Secrets) > 0 {
		ch.Secrets = s.Secrets
	}
	if s.Password != "" {
		ch.Password = s.Password
	}
	return ch
}

// Source is the configuration as YAML.
func (c *Config) Source() (string, error) {
	b := &bytes.Buffer{}
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(c), e.Close()); err != nil {
		return "", fmt.Errorf("alert.Source: %w", err)
	}
	return b.String(), nil
}

// Channel returns the channel of the name.
func (c *Config) Channel(name string) (Channel, bool) {
	i := slices.IndexFunc(c.Channels, func(ch Channel) bool { return ch.Name == name })
	if i < 0 {
		return Channel{}, false
	}
	return c.Channels[i], true
}

// Reading is one series of a metric.
type Reading struct {
	Metric string
	Labels map[string]string
	Value  float64
}

// Series names the labels, in order: "status=refused, system=crm".
func Series(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ", ")
}

// State is how one series stands with one rule. There is none while all is well.
type State struct {
	Rule       string
	Series     string
	Incident   string // "" until it fires
	Since      time.Time
	FiredAt    *time.Time
	NotifiedAt *time.Time
	Value      float64
}

// Events of a notice.
const (
	Firing   = "firing"
	Reminder = "reminder"
	Resolved = "resolved"
	Test     = "test"
)

// Notice is something to tell.
type Notice struct {
	Event    string
	Incident string
	Rule     Rule
	Series   string
	Value    float64
	Since    time.Time
	At       time.Time
}

// Look compares readings with the rules. It returns the states that hold from now on and what to tell: an incident once when it
// has lasted long enough, again at each reminder, and its end. newID makes ids of incidents.
func (c *Config) Look(now time.Time, readings []Reading, states []State, newID func() string) (next []State, notices []Notice) {
	type key struct{ rule, series string }
	before := map[key]State{}
	for _, s := range states {
		before[key{s.Rule, s.Series}] = s
	}
	for _, r := range c.Rules {
		remind := c.Remind
		if r.Remind != nil {
			remind = *r.Remind
		}
		for _, x := range readings {
			if x.Metric != r.Metric || !r.matches(x) {
				continue
			}
			k := key{r.Name, Series(x.Labels)}
			s, known := before[k]
			delete(before, k)
			tell := func(event string) {
				s.NotifiedAt = &now
				notices = append(notices, Notice{Event: event, Incident: s.Incident, Rule: r, Series: s.Series, Value: x.Value, Since: s.Since, At: now})
			}
			if !r.breached(x.Value) {
				if known && s.Incident != "" {
					tell(Resolved)
				}
				continue
			}
			if !known {
				s = State{Rule: k.rule, Series: k.series, Since: now}
			}
			s.Value = x.Value
			switch {
			case s.Incident == "" && now.Sub(s.Since) >= time.Duration(r.For):
				s.Incident, s.FiredAt = newID(), &now
				tell(Firing)
			case s.Incident != "" && remind > 0 && (s.NotifiedAt == nil || now.Sub(*s.NotifiedAt) >= time.Duration(remind)):
				tell(Reminder)
			}
			next = append(next, s)
		}
	}
	// What is left is not measured any more, or its rule is gone: its end is told too.
	for _, s := range states {
		if _, left := before[key{s.Rule, s.Series}]; left && s.Incident != "" {
			r := Rule{Name: s.Rule, Summary: "No longer watched, or gone", Severity: "info"}
			if i := slices.IndexFunc(c.Rules, func(r Rule) bool { return r.Name == s.Rule }); i >= 0 {
				r = c.Rules[i]
			}
			notices = append(notices, Notice{Event: Resolved, Incident: s.Incident, Rule: r, Series: s.Series, Value: s.Value, Since: s.Since, At: now})
		}
	}
	return next, notices
}

func (r Rule) matches(x Reading) bool {
	for k, v := range r.Labels {
		if x.Labels[k] != v {
			return false
		}
	}
	return true
}

func (r Rule) breached(v float64) bool {
	return r.Above != nil && v > *r.Above || r.Below != nil && v < *r.Below
}

// Title says it in one line.
func (n Notice) Title() string {
	of := ""
	if n.Series != "" {
		of = " (" + n.Series + ")"
	}
	switch n.Event {
	case Resolved:
		return "Over: " + n.Rule.Summary + of
	case Reminder:
		return "Still: " + n.Rule.Summary + of
	case Test:
		return "Test: " + n.Rule.Summary
	default:
		return n.Rule.Summary + of
	}
}

// Text says the rest.
func (n Notice) Text() string {
	if n.Event == Test {
		return n.Rule.Next
	}
	var b strings.Builder
	limit, than := n.Rule.Above, "above"
	if n.Rule.Below != nil {
		limit, than = n.Rule.Below, "below"
	}
	if limit != nil {
		fmt.Fprintf(&b, "%s is %s; the rule %s tells when it is %s %s", n.Rule.Metric, number(n.Value), n.Rule.Name, than, number(*limit))
		if n.Rule.For > 0 {
			fmt.Fprintf(&b, " for %s", n.Rule.For)
		}
		b.WriteString(".\n")
	}
	fmt.Fprintf(&b, "It began at %s.", n.Since.UTC().Format(time.RFC3339))
	if n.Event != Resolved && n.Rule.Next != "" {
		fmt.Fprintf(&b, "\nWhat to do: %s.", n.Rule.Next)
	}
	return b.String()
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Tells reports whether the rule's notices go to a channel.
func (r Rule) Tells(channel string) bool {
	return len(r.Channels) == 0 || slices.Contains(r.Channels, channel)
}

// Package telemetry sets up what Datum says about itself: structured logs that carry correlation ids and no personal
// data, and OpenTelemetry traces for those who ask for them. It leaves metrics to the packages that have something to
// count.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"datum/domain"
)

// Options set up a logger.
type Options struct {
	Level  slog.Leveler // default slog.LevelInfo
	Format string       // "json", "text", or "auto" (default): text on a terminal, else JSON
	Allow  []string     // keys of text attributes that may be logged, beside the common ones
}

// NewLogger returns a logger that writes one line per record to w. Records logged with a context carry its correlation
// id and trace id.
//
// Logging is by allow-list. Numbers, booleans, times and durations are logged; text only under a known key; anything
// else is replaced. Messages and errors are logged with e-mail addresses, telephone numbers and quoted text taken out,
// so an error should quote (%q) what a customer typed.
func NewLogger(w io.Writer, o Options) *slog.Logger {
	r := redactor{allow: map[string]bool{}}
	for _, k := range slices.Concat(allowed, o.Allow) {
		r.allow[k] = true
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	ho := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: r.replace}
	if o.Format == "text" || (o.Format != "json" && terminal(w)) {
		return slog.New(handler{slog.NewTextHandler(w, ho)})
	}
	return slog.New(handler{slog.NewJSONHandler(w, ho)})
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}

// handler adds what the context knows.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	id, span := domain.Correlation(ctx), trace.SpanContextFromContext(ctx)
	if id != "" || span.IsValid() {
		r = r.Clone()
	}
	if id != "" {
		r.AddAttrs(slog.String("correlation_id", id))
	}
	if span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(as []slog.Attr) slog.Handler { return handler{h.Handler.WithAttrs(as)} }
func (h handler) WithGroup(name string) slog.Handler    { return handler{h.Handler.WithGroup(name)} }

// allowed are the keys of text that says something about Datum and nothing about a customer.
var allowed = []string{
	"adapter", "addr", "attempt", "breaker", "build", "case", "case_id", "code", "command", "component", "config", "correlation_id",
	"cursor", "data", "database", "dir", "direction", "entity", "entity_id", "event", "exchange_id", "external_id", "field",
	"fields", "format", "from", "job_id", "job_kind", "key_id", "kind", "lane", "limit", "method", "migration", "mode",
	"op", "operation", "outcome", "path", "port", "process", "projection", "public_url", "queue", "record_id", "role",
	"route", "scheduled_at", "service", "signal_id", "signal", "source", "span_id", "stage", "state", "status", "system", "to",
	"trace_id", "transport", "vendor", "version", "worker",
	"client_id", "leader_id", "task", // River's
}

// Redacted stands in a log for what is not allowed there.
const Redacted = "[redacted]"

type redactor struct{ allow map[string]bool }

func (r redactor) replace(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
		return a
	case slog.KindString:
		if a.Key == slog.MessageKey && len(groups) == 0 {
			return slog.String(a.Key, Scrub(a.Value.String()))
		}
		if a.Key == "err" || a.Key == "error" { // an error that was made text, as River does
			return slog.String(a.Key, Scrub(a.Value.String()))
		}
		if r.allow[a.Key] || a.Value.String() == "" {
			return slog.String(a.Key, scrubPersonal(a.Value.String()))
		}
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			return slog.String(a.Key, Scrub(errorText(v)))
		case slog.Level, *slog.Source:
			return a
		case []string:
			if r.allow[a.Key] {
				return a
			}
		}
		if v, ok := a.Value.Any().(fmt.Stringer); ok && r.allow[a.Key] {
			return slog.String(a.Key, scrubPersonal(v.String()))
		}
		if r.allow[a.Key] && named(a.Value.Any()) {
			return slog.String(a.Key, scrubPersonal(fmt.Sprint(a.Value.Any())))
		}
	}
	return slog.String(a.Key, Redacted)
}

// named reports whether v is one of the domain's words.
func named(v any) bool {
	switch v.(type) {
	case domain.Kind, domain.Field, domain.Code, []domain.Field:
		return true
	}
	return false
}

// errorText is the error with the cause that a *domain.Error keeps for the log.
func errorText(err error) string {
	s := err.Error()
	var e *domain.Error
	if errors.As(err, &e) && e.Err != nil && !strings.Contains(s, e.Err.Error()) {
		s += ": caused by " + errorText(e.Err)
	}
	return s
}

var (
	email  = regexp.MustCompile(`[^\s"'<>()\[\]{},;:=]+@[^\s"'<>()\[\]{},;:=]+`)
	phone  = regexp.MustCompile(`(?:\+\d|\b0\d|\(0\d\))[\d ()-]{6,}\d\b`)
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`)
	// identifier is quoted text that names something of ours: a constraint, a column, a path of digits.
	identifier = regexp.MustCompile(`^"(?:[a-z][a-z0-9]*(?:_[a-z0-9]+)+|\d{1,5})"$`)
)

// Scrub takes out of a sentence what may be personal: quoted text, e-mail addresses and telephone numbers.
func Scrub(s string) string {
	s = quoted.ReplaceAllStringFunc(s, func(q string) string {
		if identifier.MatchString(q) {
			return q
		}
		return `"…"`
	})
	return scrubPersonal(s)
}

// scrubPersonal takes out e-mail addresses and telephone numbers.
func scrubPersonal(s string) string {
	return phone.ReplaceAllString(email.ReplaceAllString(s, "…@…"), "…")
}

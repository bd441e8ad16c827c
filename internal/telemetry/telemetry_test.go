package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"

	"datum/domain"
	"datum/internal/telemetry"
)

// TestMain lets the test binary trace one span in a process of its own: the tracer belongs to the whole process.
func TestMain(m *testing.M) {
	if os.Getenv("TELEMETRY_TEST_SPAN") == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	shutdown, err := telemetry.Tracing(ctx, os.Getenv, "1.2.3", slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(3)
	}
	_, span := otel.Tracer("test").Start(ctx, "a span of the test")
	fmt.Println("recording:", span.IsRecording())
	span.End()
	if err := shutdown(ctx); err != nil {
		fmt.Println("error:", err)
	}
}

// logged returns the one line that log writes, parsed.
func logged(t *testing.T, o telemetry.Options, log func(*slog.Logger)) map[string]any {
	t.Helper()
	var b bytes.Buffer
	o.Format = "json"
	log(telemetry.NewLogger(&b, o))
	m := map[string]any{}
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	return m
}

func TestContextIsLogged(t *testing.T) {
	t.Parallel()
	ctx := domain.WithCorrelation(context.Background(), "cor_1")
	provider := trace.NewTracerProvider()
	ctx, span := provider.Tracer("test").Start(ctx, "x")
	defer span.End()
	m := logged(t, telemetry.Options{}, func(l *slog.Logger) { l.With("system", "crm").InfoContext(ctx, "hello") })
	if m["correlation_id"] != "cor_1" || m["trace_id"] != span.SpanContext().TraceID().String() || m["span_id"] == nil || m["system"] != "crm" {
		t.Errorf("%v", m)
	}
	m = logged(t, telemetry.Options{}, func(l *slog.Logger) { l.Info("hello") })
	if _, ok := m["correlation_id"]; ok {
		t.Errorf("%v", m)
	}
}

func TestOnlyAllowedTextIsLogged(t *testing.T) {
	t.Parallel()
	type customer struct{ Name string }
	const canary = "Zebedee Quux"
	for name, log := range map[string]func(*slog.Logger){
		"unknown key":  func(l *slog.Logger) { l.Info("x", "customer", canary) },
		"With":         func(l *slog.Logger) { l.With("customer", canary).Info("x") },
		"group":        func(l *slog.Logger) { l.WithGroup("system").Info("x", "customer", canary) },
		"group value":  func(l *slog.Logger) { l.Info("x", slog.Group("system", "customer", canary)) },
		"struct":       func(l *slog.Logger) { l.Info("x", "system", customer{canary}) },
		"bytes":        func(l *slog.Logger) { l.Info("x", "body", []byte(canary)) },
		"map":          func(l *slog.Logger) { l.Info("x", "system", map[string]string{"a": canary}) },
		"texts":        func(l *slog.Logger) { l.Info("x", "names", []string{canary}) },
		"stringer":     func(l *slog.Logger) { l.Info("x", "customer", bytes.NewBufferString(canary)) },
		"quoted error": func(l *slog.Logger) { l.Info("x", "error", fmt.Errorf("bad name %q", canary)) },
		"cause": func(l *slog.Logger) {
			l.Info("x", "err", &domain.Error{Code: domain.Invalid, Message: "no", Err: fmt.Errorf("%q", canary)})
		},
		"unclosed quote":  func(l *slog.Logger) { l.Info("x", "err", errors.New(`near "`+canary)) },
		"quote in quotes": func(l *slog.Logger) { l.Info("x", "err", fmt.Errorf("%q", `"`+canary+`" `+canary)) },
		"message":         func(l *slog.Logger) { l.Info(fmt.Sprintf("saved %q", canary)) },
		"e-mail":          func(l *slog.Logger) { l.Info("x", "reason", "no answer from Zebedee.Quux@example.com") },
		"telephone":       func(l *slog.Logger) { l.Info("call 0491 570 156 or +61 491 570 156 or (03) 5550 1234", "system", "a") },
	} {
		var b bytes.Buffer
		log(telemetry.NewLogger(&b, telemetry.Options{Format: "json"}))
		// The nanoseconds of the time may well be somebody's number.
		_, rest, ok := strings.Cut(b.String(), `"level"`)
		if !ok {
			t.Errorf("%s: nothing logged", name)
		}
		for _, personal := range []string{"Zebedee", "Quux", "570", "5550"} {
			if strings.Contains(rest, personal) {
				t.Errorf("%s: %s", name, rest)
			}
		}
	}
}

func TestUsefulThingsAreLogged(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("op: %w", &domain.Error{Code: domain.Conflict, System: "crm", Op: "store.Write",
		Message: `record 12345678901 clashes with "record_pkey" since 2026-11-23`, Err: errors.New("SQLSTATE 23505")})
	m := logged(t, telemetry.Options{Allow: []string{"colour"}}, func(l *slog.Logger) {
		l.Warn("a message", "err", err, "external_id", "12345678901", "kind", domain.KindCustomer, "n", 7, "took", time.Second,
			"fields", []string{"abn"}, "colour", "blue", "entity", "cus_01h455vb4pex5vsknk084sn02q")
	})
	want := map[string]any{
		"msg": "a message", "level": "WARN", "external_id": "12345678901", "kind": "Customer", "n": 7.0, "took": 1e9, "colour": "blue",
		"entity": "cus_01h455vb4pex5vsknk084sn02q",
		"err":    `op: store.Write: crm: record 12345678901 clashes with "record_pkey" since 2026-11-23 (CONFLICT): caused by SQLSTATE 23505`,
	}
	for k, v := range want {
		if m[k] != v {
			t.Errorf("%s = %v, want %v", k, m[k], v)
		}
	}
	if fmt.Sprint(m["fields"]) != "[abn]" || m["time"] == nil {
		t.Errorf("%v", m)
	}
}

func TestLevelAndFormat(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	telemetry.NewLogger(&b, telemetry.Options{Level: slog.LevelWarn}).Info("quiet")
	if b.Len() > 0 {
		t.Error(b.String())
	}
	telemetry.NewLogger(&b, telemetry.Options{Format: "auto"}).Info("a file is no terminal")
	if !json.Valid(b.Bytes()) {
		t.Error(b.String())
	}
	b.Reset()
	telemetry.NewLogger(&b, telemetry.Options{Format: "text"}).Info("hello")
	if !strings.Contains(b.String(), "msg=hello") {
		t.Error(b.String())
	}
}

// span runs this binary to trace one span under the given environment.
func span(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, append(env, "TELEMETRY_TEST_SPAN=1")...)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

func TestTracesGoToTheEndpointOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- r.URL.Path + string(b)
	}))
	defer collector.Close()

	if out := span(t); out != "recording: false\n" {
		t.Errorf("without variables: %s", out)
	}
	if out := span(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_SDK_DISABLED=true"); out != "recording: false\n" {
		t.Errorf("disabled: %s", out)
	}
	if n := len(bodies); n != 0 {
		t.Fatalf("%d requests nobody asked for", n)
	}
	if out := span(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_RESOURCE_ATTRIBUTES=region=au"); out != "recording: true\n" {
		t.Errorf("with an endpoint: %s", out)
	}
	body := <-bodies
	for _, want := range []string{"/v1/traces", "a span of the test", "service.name", "datum", "1.2.3", "region"} {
		if !strings.Contains(body, want) {
			t.Errorf("the request lacks %s: %q", want, body)
		}
	}
	if out := span(t, "OTEL_TRACES_EXPORTER=console"); !strings.Contains(out, "a span of the test") {
		t.Errorf("console: %s", out)
	}
	if out := span(t, "OTEL_TRACES_EXPORTER=pigeon"); !strings.Contains(out, "OTEL_") || !strings.Contains(out, "INVALID") {
		t.Errorf("an unknown exporter: %s", out)
	}
}

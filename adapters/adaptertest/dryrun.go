package adaptertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

// dryRun: what a dry run records is, to the byte, what is sent when the write is made, with every step that follows but for ids that
// the vendor has not given yet; recording it sends nothing that writes; and nothing that writes goes out without having been shown to the guard.
func dryRun(e *env) {
	if !e.need("Writer") {
		return
	}
	var r domain.Record
	var w adapters.Write
	if e.f.Adopted {
		r, w = e.create(0)
	} else {
		w = e.newWrite(0)
		e.sameRequests("a creation", w)
		if e.f.Immutable {
			return
		}
		found := e.find(w)
		r = e.fetch(found)
	}
	e.sameRequests("an update", e.update(r, w.CanonicalID, domain.Values{e.f.NameField: e.golden(7)[e.f.NameField]}))
}

// find returns the external id of the record that a write made.
func (e *env) find(w adapters.Write) string {
	e.t.Helper()
	id := ""
	e.eventually("the record is there", func() bool {
		rs, _ := e.changes("")
		for _, r := range rs {
			if e.isOf(r, w) {
				id = r.ExternalID
			}
		}
		return id != ""
	})
	return id
}

// sameRequests rehearses a write, makes it, and compares the requests.
func (e *env) sameRequests(what string, w adapters.Write) {
	e.t.Helper()
	before := e.writeCalls()
	dry := &rest.Recorder{Rehearse: e.f.Vendor.Rehearse}
	out := e.ab.Writer.Write(rest.WithGuard(e.t.Context(), dry), []adapters.Write{w})
	steps := dry.Steps()
	if len(steps) == 0 {
		e.t.Fatalf("%s: a dry run recorded nothing: %v", what, out[0].Err)
	}
	if n := e.writeCalls(); n != before {
		e.t.Errorf("%s: a dry run has sent %d calls that write", what, n-before)
	}

	live := &watch{}
	e.wire.start()
	out = e.ab.Writer.Write(rest.WithGuard(e.t.Context(), live), []adapters.Write{w})
	sent := e.wire.stop()
	if out[0].Err != nil {
		e.t.Fatalf("%s: %v", what, out[0].Err)
	}
	if n := e.writeCalls() - before; n > len(live.seen) {
		e.t.Errorf("%s: the vendor was written to %d times, and %d requests were shown to the guard", what, n, len(live.seen))
	}
	if d, l := steps[0], live.seen[0]; d.Digest != l.Digest || d.Method != l.Method || d.Path != l.Path || d.Body != l.Body || !maps.Equal(d.Header, l.Header) {
		e.t.Errorf("%s: recorded\n%s %s %v %s\nand made\n%s %s %v %s", what, d.Method, d.Path, d.Header, d.Body, l.Method, l.Path, l.Header, l.Body)
	}
	if len(steps) != len(live.seen) {
		e.t.Fatalf("%s takes %d steps, and a dry run recorded %d: %v", what, len(live.seen), len(steps), steps)
	}
	for i, d := range steps[1:] {
		if l := live.seen[i+1]; d.Method != l.Method || !foretold(d.Path, l.Path) || !foretold(d.Body, l.Body) {
			e.t.Errorf("%s: step %d was recorded as\n%s %s %s\nand made as\n%s %s %s", what, i+2, d.Method, d.Path, d.Body, l.Method, l.Path, l.Body)
		}
	}
	for i, q := range live.seen {
		at := slices.IndexFunc(sent, func(s sentRequest) bool { return s.method == q.Method && s.path == q.Path && s.body == q.Body })
		if at < 0 {
			e.t.Fatalf("%s: step %d was shown as\n%s %s %s\nand not sent so; sent were %v", what, i+1, q.Method, q.Path, q.Body, sent)
		}
		for k, v := range q.Header {
			if got := strings.Join(sent[at].header[k], ", "); got != v {
				e.t.Errorf("%s: step %d was shown with %s: %q and sent with %q", what, i+1, k, v, got)
			}
		}
		for _, k := range []string{"Content-Type", "Accept", "Idempotency-Key", "If-Match", "Xero-Tenant-Id"} {
			if len(sent[at].header[k]) > 0 && q.Header[k] == "" {
				e.t.Errorf("%s: step %d was sent with %s, which was not shown", what, i+1, k)
			}
		}
		sent = sent[at+1:]
	}
}

var placeholders = regexp.MustCompile(`id-from-step-[0-9.]+`)

// foretold reports whether the text is what was recorded, with something else for every placeholder.
func foretold(recorded, text string) bool {
	parts := placeholders.Split(recorded, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^(?s:" + strings.Join(parts, `[^"/&]+`) + ")$").MatchString(text)
}

// writeCalls counts the calls that wrote, as the vendor's ledger has them.
func (e *env) writeCalls() int {
	e.t.Helper()
	var ledger struct{ WriteCalls map[string]int }
	e.sim("GET", "/stats", nil, &ledger)
	n := 0
	for _, c := range ledger.WriteCalls {
		n += c
	}
	return n
}

// watch is a guard that notes what it is shown.
type watch struct {
	mu   sync.Mutex
	seen []rest.Request
}

func (g *watch) Look(_ context.Context, q rest.Request) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, q)
	return nil
}

func (g *watch) Now(context.Context) error { return nil }

// wire notes the requests that go out while it is on.
type wire struct {
	http.RoundTripper
	mu   sync.Mutex
	on   bool
	sent []sentRequest
}

type sentRequest struct {
	method, path, body string
	header             http.Header
}

// RoundTrip sends the request and notes it.
func (t *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var b []byte
	if r.Body != nil {
		var err error
		if b, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("wire: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	t.mu.Lock()
	if t.on {
		t.sent = append(t.sent, sentRequest{r.Method, r.URL.RequestURI(), string(b), r.Header.Clone()})
	}
	t.mu.Unlock()
	return t.RoundTripper.RoundTrip(r)
}

func (t *wire) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on, t.sent = true, nil
}

func (t *wire) stop() []sentRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = false
	return t.sent
}

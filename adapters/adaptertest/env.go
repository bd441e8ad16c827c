package adaptertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

// env is one case: a simulator, an adapter that is connected to it, and everything that was logged.
type env struct {
	t       *testing.T
	f       Fixture
	m       *adapters.Mapping
	url     string
	tokens  *tokens
	timeout time.Duration
	adapter adapters.Adapter
	ab      adapters.Abilities
	out     *record
	wire    *wire
	made    int // records made by another
	people  int // objects made by newcomer
}

func start(t *testing.T, f Fixture) *env {
	t.Helper()
	sim := f.New()
	server := httptest.NewServer(sim.Handler())
	creds := sim.Credentials()
	e := &env{t: t, f: f, m: f.Vendor.Carried(f.Kind), url: server.URL, out: &record{}}
	e.tokens = &tokens{creds: creds, access: creds["accessToken"], refresh: creds["refreshToken"]}
	for k, v := range creds {
		if isSecret(k) {
			e.out.hide(v)
		}
	}
	e.tokens.hide = e.out.hide
	if f.Vendor.OAuth != nil && f.TokenPath != "" {
		o := *f.Vendor.OAuth
		o.TokenURL = server.URL + f.TokenPath
		e.tokens.oauth = &rest.OAuth{Endpoints: o}
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		sim.Close()
		server.Close()
		e.out.leaks(t)
	})
	e.connect()
	if e.ab.Provisioner != nil {
		for range 2 { // it may be repeated
			if err := e.ab.Provisioner.Provision(t.Context()); err != nil {
				t.Fatalf("provision: %v", err)
			}
		}
	}
	return e
}

// isSecret tells the credentials that must not be seen from names such as the tenant's.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "token") || strings.Contains(name, "secret") || strings.Contains(name, "key")
}

// connect opens the adapter afresh, as a process does that has just started.
func (e *env) connect() {
	e.t.Helper()
	log := slog.New(slog.NewJSONHandler(e.out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	transport := rest.NewTransport()
	e.t.Cleanup(transport.CloseIdleConnections)
	e.wire = &wire{RoundTripper: transport}
	timeout := e.timeout
	if timeout == 0 {
		timeout = e.f.Vendor.Timeout
	}
	cfg := rest.Config{System: "sys", BaseURL: e.url, Exchanges: e.out, ReadLimits: e.f.Vendor.ReadLimits,
		TokenHeader: e.f.Vendor.TokenHeader, Meaning: e.f.Vendor.Meaning, Timeout: timeout,
		Transport: e.wire, Log: log, Trip: 1000}
	if e.f.Vendor.Auth != adapters.AuthNone {
		cfg.Auth = e.tokens
	}
	client, err := rest.New(cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range e.f.Vendor.Settings {
		if s.Default != "" {
			settings[s.Name] = s.Default
		}
	}
	for k, v := range e.f.Settings(e.tokens.creds) {
		settings[k] = v
	}
	e.adapter, err = e.f.Vendor.Open(adapters.Session{System: "sys", BaseURL: e.url, Settings: settings, HTTP: client, Now: time.Now, Log: log})
	if err != nil {
		e.t.Fatalf("open: %v", err)
	}
	e.ab = adapters.AbilitiesOf(e.adapter)
}

// tokens is a rest.TokenSource over the simulator's real token endpoint.
type tokens struct {
	mu      sync.Mutex
	creds   map[string]string
	access  string
	refresh string
	oauth   *rest.OAuth
	hide    func(string)
}

func (k *tokens) Token(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.access, nil
}

func (k *tokens) Refresh(ctx context.Context, used string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.access != used || k.oauth == nil {
		return k.access, nil
	}
	n, err := k.oauth.Refresh(ctx, k.creds["clientId"], k.creds["clientSecret"], k.refresh)
	if err != nil {
		return "", err
	}
	k.access = n.AccessToken
	k.hide(n.AccessToken)
	if n.RefreshToken != "" {
		k.refresh = n.RefreshToken
		k.hide(n.RefreshToken)
	}
	return k.access, nil
}

func (k *tokens) Reject(context.Context, string, string) error { return nil }

// record collects everything that leaves the adapter for people: log, errors, exchanges.
type record struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

// Log keeps an exchange.
func (r *record) Log(x rest.Exchange) { fmt.Fprintf(r, "%+v\n", x) }

func (r *record) hide(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s) > 3 {
		r.secrets = append(r.secrets, s)
	}
}

func (r *record) leaks(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.secrets {
		if i := bytes.Index(r.text.Bytes(), []byte(s)); i >= 0 {
			line := r.text.Bytes()[bytes.LastIndexByte(r.text.Bytes()[:i], '\n')+1:]
			line, _, _ = bytes.Cut(line, []byte("\n"))
			t.Errorf("a secret is in the log, an error or an exchange: %.200q", bytes.ReplaceAll(line, []byte(s), []byte("[the secret]")))
		}
	}
}

// code returns the error's code after noting its text, whole chain and all, to be searched for secrets.
func (e *env) code(err error) domain.Code {
	for x := err; x != nil; {
		fmt.Fprintf(e.out, "error: %v %+v\n", x, x)
		u, ok := x.(interface{ Unwrap() error })
		if !ok {
			break
		}
		x = u.Unwrap()
	}
	return domain.CodeOf(err)
}

// is fails the test if the error's code is none of the wanted ones; no codes means no error.
func (e *env) is(what string, err error, want ...domain.Code) bool {
	e.t.Helper()
	got := e.code(err)
	if len(want) == 0 {
		want = []domain.Code{""}
	}
	for _, w := range want {
		if got == w {
			return true
		}
	}
	e.t.Errorf("%s: got %v (%s), want %q", what, err, got, want)
	return false
}

// sim calls the control surface and decodes its answer into out.
func (e *env) sim(method, path string, in, out any) {
	e.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			e.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+"/_sim"+path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		e.t.Fatalf("%s /_sim%s answered %d: %s %v", method, path, resp.StatusCode, b, err)
	}
	if out != nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(out); err != nil {
			e.t.Fatalf("%s /_sim%s: %v", method, path, err)
		}
	}
}

type object = map[string]any

// person creates (id "") or edits an object on the vendor's own screen and returns its external id.
func (e *env) person(externalID string, properties map[string]any) string {
	e.t.Helper()
	id := ""
	if externalID != "" {
		id = e.f.ObjectID(externalID)
	}
	var o object
	e.sim("POST", "/objects", object{"type": e.f.Type, "id": id, "properties": properties}, &o)
	return e.f.ExternalID(o)
}

// newcomer has a person make an object with the name.
func (e *env) newcomer(name string) string {
	e.t.Helper()
	e.people++
	return e.person("", e.f.Make(e.people-1, name))
}

// objects returns the simulator's objects by external id.
func (e *env) objects() map[string]object {
	e.t.Helper()
	var list []object
	e.sim("GET", "/objects?type="+e.f.Type, nil, &list)
	m := map[string]object{}
	for _, o := range list {
		m[e.f.ExternalID(o)] = o
	}
	return m
}

// holds fails the test unless the vendor has so many objects, no two of them with one id of ours.
func (e *env) holds(when string, n int) {
	e.t.Helper()
	var ledger struct{ Duplicates int }
	e.sim("GET", "/stats", nil, &ledger)
	if got := len(e.objects()) - e.f.Base; got != n || ledger.Duplicates > 0 {
		e.t.Errorf("%s: the vendor has %d new objects, %d of them duplicates; want %d and none", when, got, ledger.Duplicates, n)
	}
}

// fault arms a fault on the calls that matter, until clear.
func (e *env) fault(f object) {
	e.t.Helper()
	if f["path"] == nil {
		f["path"] = e.f.Path
	}
	if f["method"] != nil && e.f.CreateCall != "" {
		f["holds"] = e.f.CreateCall
	}
	e.sim("POST", "/faults", f, nil)
}

func (e *env) clear() { e.t.Helper(); e.sim("DELETE", "/faults", nil, nil) }

// fired counts how often the armed faults happened.
func (e *env) fired() int {
	e.t.Helper()
	var fs []struct{ Fired int }
	e.sim("GET", "/faults", nil, &fs)
	n := 0
	for _, f := range fs {
		n += f.Fired
	}
	return n
}

// eventually repeats ok until it holds.
func (e *env) eventually(what string, ok func() bool) {
	e.t.Helper()
	for deadline := time.Now().Add(10*time.Second + e.f.Lag); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// fit returns the values as the vendor holds them: only fields that are carried and can be written, as far as they fit.
func (e *env) fit(v domain.Values) domain.Values {
	w := domain.Values{}
	for _, f := range e.m.Writable() {
		if x, ok := v[f]; ok {
			w[f] = x
		}
	}
	return w
}

// golden returns the n-th record's values that the vendor can take.
func (e *env) golden(n int) domain.Values {
	e.t.Helper()
	v := e.fit(e.f.Golden(n))
	if v[e.f.NameField].Empty() {
		e.t.Fatalf("Golden(%d) has no %s", n, e.f.NameField)
	}
	return v
}

// newWrite is the creation of the n-th record.
func (e *env) newWrite(n int) adapters.Write {
	v := e.golden(n)
	return adapters.Write{Kind: e.f.Kind, CanonicalID: e.newID(), Values: v, Golden: v, Key: domain.NewID("key")}
}

// newID is an id of ours for the kind.
func (e *env) newID() string {
	ki, _ := e.f.Kind.Info()
	return domain.NewID(ki.Prefix)
}

// another is the creation of a record that no other creation has made, with the values.
func (e *env) another(v domain.Values) adapters.Write {
	e.made++
	w := e.newWrite(1000 + e.made)
	w.Values = w.Values.Clone()
	for f, x := range v {
		w.Values[f] = x
	}
	w.Golden = w.Values
	return w
}

// change writes the values to the record, or to a new one if records of the kind cannot be changed.
func (e *env) change(r domain.Record, canonicalID string, v domain.Values) adapters.Write {
	if e.f.Immutable {
		return e.another(v)
	}
	return e.update(r, canonicalID, v)
}

// marked reports whether the vendor's objects have a place for our id.
func (e *env) marked() bool { return e.m.IDField != "" }

// isOf reports whether the record is that of the write: by our id or, where there is no place for it, by the name.
func (e *env) isOf(r domain.Record, w adapters.Write) bool {
	if e.marked() {
		return r.CanonicalID == w.CanonicalID
	}
	return r.Values[e.f.NameField] == e.m.Fit(w.Values)[e.f.NameField]
}

// query looks the record of a write up as is done when its outcome is unknown.
func (e *env) query(w adapters.Write) adapters.Query {
	if e.marked() {
		return adapters.Query{CanonicalID: w.CanonicalID}
	}
	return adapters.Query{CanonicalID: w.CanonicalID, Values: w.Values}
}

// isGone reports whether the record is shown as one that is no more: deleted, archived, voided or cancelled.
func isGone(r domain.Record) bool {
	return r.Deleted || r.Values["status"] == domain.TextValue("ARCHIVED") ||
		r.Values["stage"] == domain.TextValue("VOIDED") || r.Values["stage"] == domain.TextValue("CANCELLED")
}

// update changes fields of a record.
func (e *env) update(r domain.Record, canonicalID string, v domain.Values) adapters.Write {
	golden := r.Values.Clone()
	for f, x := range v {
		golden[f] = x
	}
	return adapters.Write{Kind: e.f.Kind, CanonicalID: canonicalID, ExternalID: r.ExternalID, Values: v, Golden: golden, Base: &r, Key: domain.NewID("key")}
}

// write makes one write.
func (e *env) write(w adapters.Write) adapters.Outcome {
	e.t.Helper()
	outs := e.ab.Writer.Write(e.t.Context(), []adapters.Write{w})
	if len(outs) != 1 {
		e.t.Fatalf("%d outcomes for one write", len(outs))
	}
	e.code(outs[0].Err)
	return outs[0]
}

// create makes the n-th record and fails the test if that fails.
func (e *env) create(n int) (domain.Record, adapters.Write) {
	e.t.Helper()
	w := e.newWrite(n)
	if e.f.Adopted {
		return e.fetch(e.newcomer(fmt.Sprintf("Found %03d Pty Ltd", n))), w
	}
	out := e.write(w)
	if out.Err != nil {
		e.t.Fatalf("create: %v", out.Err)
	}
	return out.Record, w
}

// fetch reads one record and fails the test if that fails.
func (e *env) fetch(id string) domain.Record {
	e.t.Helper()
	r, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id)
	if e.code(err) != "" {
		e.t.Fatalf("fetch %s: %v", id, err)
	}
	return r
}

// changes reads from the cursor to the present, opening the adapter afresh for every page.
func (e *env) changes(cursor string) (rs []domain.Record, next string) {
	e.t.Helper()
	for range 1000 {
		e.connect()
		p, err := e.adapter.Changes(e.t.Context(), e.f.Kind, cursor)
		if e.code(err) != "" {
			e.t.Fatalf("changes: %v", err)
		}
		rs = append(rs, p.Records...)
		if p.More && p.Cursor == cursor {
			e.t.Fatal("changes: there is more, but the cursor does not move")
		}
		if cursor = p.Cursor; !p.More {
			return rs, cursor
		}
	}
	e.t.Fatal("changes do not come to an end")
	return nil, ""
}

// same compares the values written with those of a record.
func (e *env) same(what string, r domain.Record, want domain.Values) {
	e.t.Helper()
	want = e.m.Fit(want)
	for f, w := range r.Values.Diff(want) {
		if domain.Essence(r.Values[f]) != domain.Essence(w) {
			e.t.Errorf("%s: %s is %s, want %s", what, f, r.Values[f], w)
		}
	}
	for _, i := range r.Issues {
		if _, written := want[i.Field]; written && i.Severity == domain.Problem {
			e.t.Errorf("%s: a value of ours is a problem when it comes back: %s: %s", what, i.Field, i.Message)
		}
	}
	if len(r.Unknown) > 0 {
		e.t.Errorf("%s: the mapping does not know %q", what, r.Unknown)
	}
	if r.Kind != e.f.Kind || r.ExternalID == "" || r.ModifiedAt.IsZero() || r.FetchedAt.IsZero() || !json.Valid(r.Raw) {
		e.t.Errorf("%s: the record lacks kind, external id, times or raw object: %s %s %s %s, %d bytes", what, r.Kind, r.ExternalID, r.ModifiedAt, r.FetchedAt, len(r.Raw))
	}
}

package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"datum/domain/store"
	"datum/graph"
	"datum/graph/transport"
)

// socket is a client of graphql-transport-ws that says exactly what a test tells it to.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

type frame struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func (f *fixture) dial(t *testing.T, protocols ...string) *socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	conn, res, err := websocket.Dial(ctx, f.url, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t, conn, ctx}
}

// open dials and initialises with a role's key.
func (f *fixture) open(t *testing.T, role store.Role) *socket {
	t.Helper()
	s := f.dial(t, transport.Protocol)
	s.write(`{"type":"connection_init","payload":{"authorization":"Bearer ` + f.keys[role] + `"}}`)
	if m := s.read(); m.Type != "connection_ack" {
		t.Fatalf("got %+v, want connection_ack", m)
	}
	return s
}

func (s *socket) write(text string) {
	s.t.Helper()
	if err := s.conn.Write(s.ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) subscribe(id, query string) {
	s.t.Helper()
	b, _ := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]any{"query": query}})
	s.write(string(b))
}

func (s *socket) read() frame {
	s.t.Helper()
	_, b, err := s.conn.Read(s.ctx)
	if err != nil {
		s.t.Fatalf("the connection was closed: %v", err)
	}
	var m frame
	if err := json.Unmarshal(b, &m); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// closed reads until the connection is closed and returns code and reason.
func (s *socket) closed() (websocket.StatusCode, string) {
	s.t.Helper()
	for {
		if _, _, err := s.conn.Read(s.ctx); err != nil {
			var ce websocket.CloseError
			if !errors.As(err, &ce) {
				s.t.Fatalf("closed without a code: %v", err)
			}
			return ce.Code, ce.Reason
		}
	}
}

func TestWebSocketCloseCodes(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.MaxBody = 4 << 10 })
	initialise := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + f.keys[store.RoleReader] + `"}}`
	long := `{"id":"1","type":"subscribe","payload":{"query":"subscription { customerChanged { cursor } }"}}`
	for _, c := range []struct {
		what     string
		protocol string
		messages []string
		code     websocket.StatusCode
	}{
		{"another protocol", "graphql-ws", nil, 4406},
		{"something that is not JSON", transport.Protocol, []string{"hello"}, 4400},
		{"a message of no known type", transport.Protocol, []string{initialise, `{"type":"start","id":"1"}`}, 4400},
		{"a list", transport.Protocol, []string{`[]`}, 4400},
		{"a payload that is not an object", transport.Protocol, []string{`{"type":"connection_init","payload":[1]}`}, 4400},
		{"subscribe without an id", transport.Protocol, []string{initialise, `{"type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400},
		{"subscribe without a query", transport.Protocol, []string{initialise, `{"id":"1","type":"subscribe","payload":{}}`}, 4400},
		{"subscribe before the acknowledgement", transport.Protocol, []string{long}, 4401},
		{"a key that is none", transport.Protocol, []string{`{"type":"connection_init","payload":{"authorization":"Bearer dat_x_y"}}`}, 4403},
		{"no key", transport.Protocol, []string{`{"type":"connection_init"}`}, 4403},
		{"an id that is taken", transport.Protocol, []string{initialise, long, long}, 4409},
		{"initialised twice", transport.Protocol, []string{initialise, initialise}, 4429},
		{"a message that is too large", transport.Protocol, []string{initialise, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", 5<<10) + `"}}`}, websocket.StatusMessageTooBig},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := f.dial(t, c.protocol)
			for _, m := range c.messages {
				if err := s.conn.Write(s.ctx, websocket.MessageText, []byte(m)); err != nil {
					break // closed already, as it should be
				}
			}
			if code, reason := s.closed(); code != c.code {
				t.Errorf("closed with %d %q, want %d", code, reason, c.code)
			}
		})
	}
}

func TestWebSocketInitTimeout(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.InitTimeout = 50 * time.Millisecond })
	s := f.dial(t, transport.Protocol)
	if code, reason := s.closed(); code != 4408 {
		t.Errorf("closed with %d %q, want 4408", code, reason)
	}
}

func TestWebSocketOperations(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s := f.open(t, store.RoleReader)

	s.write(`{"type":"ping","payload":{"n":1}}`)
	if m := s.read(); m.Type != "pong" || string(m.Payload) != `{"n":1}` {
		t.Errorf("answer to ping: %+v", m)
	}
	s.write(`{"type":"pong"}`) // unasked for: fine

	s.subscribe("q", `{ viewer { name } }`)
	if m := s.read(); m.Type != "next" || m.ID != "q" || string(m.Payload) != `{"data":{"viewer":{"name":"reader"}}}` {
		t.Errorf("a query: %+v %s", m, m.Payload)
	}
	if m := s.read(); m.Type != "complete" || m.ID != "q" {
		t.Errorf("end of a query: %+v", m)
	}

	s.subscribe("bad", `{ nothing }`)
	var errs []map[string]any
	if m := s.read(); m.Type != "error" || json.Unmarshal(m.Payload, &errs) != nil || len(errs) != 1 {
		t.Errorf("an invalid query: %+v %s", m, m.Payload)
	}
	s.subscribe("worse", `subscription { customerChanged(after: "nonsense") { cursor } }`)
	if m := s.read(); m.Type != "error" || !strings.Contains(string(m.Payload), "INVALID") {
		t.Errorf("a subscription that cannot begin: %+v %s", m, m.Payload)
	}

	// An id is free again as soon as its operation was completed, by either side.
	s.subscribe("live", `subscription { customerChanged { customer { legalName } } }`)
	s.write(`{"id":"live","type":"complete"}`)
	s.subscribe("live", `subscription { systemHealth(systems: ["crm"]) { system { name } } }`)
	if m := s.read(); m.ID != "live" || !strings.Contains(string(m.Payload), `"crm"`) {
		t.Errorf("the id's second operation: %+v %s", m, m.Payload)
	}
	if m := (func() frame { s.subscribe("q", `{ __typename }`); return s.read() })(); m.ID != "q" {
		t.Errorf("the connection is stuck: %+v", m)
	}
}

func TestWebSocketSubscriptionCap(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.MaxSubscriptions = 3; c.Transport.MaxStreams = 2 })
	s := f.open(t, store.RoleReader)
	for i := range 3 {
		s.subscribe(fmt.Sprint(i), `subscription { customerChanged { cursor } }`)
	}
	s.subscribe("one too many", `subscription { customerChanged { cursor } }`)
	if m := s.read(); m.Type != "error" || m.ID != "one too many" || !strings.Contains(string(m.Payload), "RATE_LIMITED") {
		t.Fatalf("%+v %s", m, m.Payload)
	}
	s.write(`{"id":"0","type":"complete"}`)
	s.subscribe("now", `subscription { systemHealth(systems: ["crm"]) { cursor } }`)
	if m := s.read(); m.Type != "next" || m.ID != "now" {
		t.Fatalf("a freed place is not given away: %+v %s", m, m.Payload)
	}

	// Connections of one key are counted too, and given back.
	second := f.open(t, store.RoleReader)
	third := f.dial(t, transport.Protocol)
	third.write(`{"type":"connection_init","payload":{"authorization":"Bearer ` + f.keys[store.RoleReader] + `"}}`)
	if code, _ := third.closed(); code != 4429 {
		t.Errorf("a connection too many is closed with %d", code)
	}
	other := f.open(t, store.RoleEditor)
	_ = other.conn.CloseNow()
	_ = second.conn.CloseNow()
	eventually(t, "a closed connection frees its place", func() bool {
		s := f.dial(t, transport.Protocol)
		defer func() { _ = s.conn.CloseNow() }()
		s.write(`{"type":"connection_init","payload":{"authorization":"Bearer ` + f.keys[store.RoleReader] + `"}}`)
		_, b, err := s.conn.Read(s.ctx)
		return err == nil && strings.Contains(string(b), "connection_ack")
	})
}

func TestStreamsEndWithKeyAndProcess(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.KeepAlive = 2 * time.Second }) // also how long a client may take to answer
	text := f.key(store.NewKey{System: "ops", Role: store.RoleReader, Name: "leaver"})
	s := f.dial(t, transport.Protocol)
	s.write(`{"type":"connection_init","payload":{"authorization":"Bearer ` + text + `"}}`)
	s.read()
	stays := f.open(t, store.RoleReader)
	if _, err := store.RevokeKey(s.ctx, f.pool, strings.Split(text, "_")[1]); err != nil {
		t.Fatal(err)
	}
	if code, _ := s.closed(); code != 4403 {
		t.Errorf("the connection of a revoked key is closed with %d", code)
	}
	stays.subscribe("q", `{ __typename }`)
	if m := stays.read(); m.Type != "next" {
		t.Errorf("another key's connection: %+v", m)
	}
	close(f.done)
	if code, _ := stays.closed(); code != websocket.StatusGoingAway {
		t.Errorf("when the process ends a connection is closed with %d", code)
	}
}

func TestWebSocketOrigin(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Origins = []string{"https://app.example.com"} })
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for origin, want := range map[string]bool{"https://evil.example": false, "https://app.example.com": true} {
		conn, res, err := websocket.Dial(ctx, f.url, &websocket.DialOptions{Subprotocols: []string{transport.Protocol}, HTTPHeader: http.Header{"Origin": {origin}}})
		if (err == nil) != want {
			t.Errorf("a page of %s may connect: %v", origin, err == nil)
		}
		if err == nil {
			_ = conn.CloseNow()
		} else if res != nil && res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", origin, res.StatusCode)
		}
	}
}

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"datum/domain"
)

// Protocol is the WebSocket subprotocol (github.com/enisdenjo/graphql-ws, PROTOCOL.md).
const Protocol = "graphql-transport-ws"

// Close codes of the protocol.
const (
	closeBadRequest   websocket.StatusCode = 4400
	closeUnauthorized websocket.StatusCode = 4401 // subscribed before the connection was acknowledged
	closeForbidden    websocket.StatusCode = 4403 // the credentials do not verify
	closeProtocol     websocket.StatusCode = 4406
	closeInitTimeout  websocket.StatusCode = 4408
	closeDuplicateID  websocket.StatusCode = 4409
	closeTooMany      websocket.StatusCode = 4429 // initialisations, or connections of one caller
	closeInternal     websocket.StatusCode = 4500
)

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket is one connection. One goroutine reads; operations write under a lock.
type socket struct {
	h             *Handler
	conn          *websocket.Conn
	header        http.Header
	authorization string          // of the upgrade request
	ctx           context.Context // ends with the connection
	end           context.CancelFunc

	writing sync.Mutex

	mu     sync.Mutex
	active map[string]context.CancelFunc
	acked  context.Context // carries the caller, nil until acknowledged
	who    string
}

func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{Protocol}, OriginPatterns: h.Origins})
	if err != nil {
		h.Log.DebugContext(r.Context(), "websocket refused", "error", err)
		return // Accept has answered
	}
	// The request's context does not outlive the handler and carries what was found out about the request.
	ctx, end := context.WithCancel(r.Context())
	s := &socket{h: h, conn: conn, header: r.Header, authorization: r.Header.Get("Authorization"), ctx: ctx, end: end,
		active: map[string]context.CancelFunc{}}
	defer end()
	defer func() { _ = conn.CloseNow() }()
	if conn.Subprotocol() != Protocol {
		s.close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	conn.SetReadLimit(h.MaxBody)
	s.run()
	if s.who != "" {
		h.leaveStream(s.who)
	}
}

// close closes the connection with a code. It does not wait long for the other side to agree.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.conn.Close(code, reason)
	s.end()
}

func (s *socket) run() {
	timer := time.AfterFunc(s.h.InitTimeout, func() {
		if !s.acknowledged() {
			s.close(closeInitTimeout, "Connection initialisation timeout")
		}
	})
	defer timer.Stop()
	go s.watch()
	initialised := false
	for {
		kind, b, err := s.conn.Read(s.ctx)
		if err != nil {
			return // closed, by either side; too large a message is closed with 1009 by the library
		}
		var m message
		if kind != websocket.MessageText || !utf8.Valid(b) || json.Unmarshal(b, &m) != nil {
			s.close(closeBadRequest, "Invalid message received")
			return
		}
		switch m.Type {
		case "connection_init":
			if initialised {
				s.close(closeTooMany, "Too many initialisation requests")
				return
			}
			initialised = true
			if !s.init(m.Payload) {
				return
			}
		case "ping":
			if !s.send(message{Type: "pong", Payload: m.Payload}) {
				return
			}
		case "pong":
		case "subscribe":
			if !s.subscribe(m) {
				return
			}
		case "complete":
			s.mu.Lock()
			if cancel := s.active[m.ID]; cancel != nil {
				cancel()
				delete(s.active, m.ID) // the id is free at once
			}
			s.mu.Unlock()
		default:
			s.close(closeBadRequest, "Invalid message type")
			return
		}
	}
}

func (s *socket) acknowledged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked != nil
}

// init verifies the credentials: those of the payload, else those of the upgrade request.
func (s *socket) init(payload json.RawMessage) bool {
	authorization := s.authorization
	if len(payload) > 0 {
		var p map[string]any
		if json.Unmarshal(payload, &p) != nil {
			s.close(closeBadRequest, "Invalid connection_init payload")
			return false
		}
		for k, v := range p {
			if text, ok := v.(string); ok && strings.EqualFold(k, "authorization") {
				authorization = text
			}
		}
	}
	ctx, err := s.h.Gate.Enter(s.ctx, authorization)
	if err != nil {
		if mayRetry(err) {
			s.h.Log.ErrorContext(s.ctx, "could not look up an API key", "error", err)
			s.close(websocket.StatusTryAgainLater, "Try again later")
		} else {
			s.close(closeForbidden, `Forbidden: send {"Authorization": "Bearer dat_…"} as connection_init's payload`)
		}
		return false
	}
	who := s.h.Gate.Who(ctx)
	if !s.h.enterStream(who) {
		s.close(closeTooMany, "Too many connections of this API key")
		return false
	}
	s.mu.Lock()
	s.acked, s.who = ctx, who
	s.mu.Unlock()
	return s.send(message{Type: "connection_ack"})
}

// watch pings, looks whether the caller may still be there, and ends the connection with the process.
func (s *socket) watch() {
	tick := time.NewTicker(s.h.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.h.Done:
			s.close(websocket.StatusGoingAway, "Going away: reconnect with your cursor")
			return
		case <-tick.C:
			s.mu.Lock()
			ctx := s.acked
			s.mu.Unlock()
			if ctx != nil && s.h.Gate.Still(ctx) != nil {
				s.close(closeForbidden, "Forbidden")
				return
			}
			ping, stop := context.WithTimeout(s.ctx, s.h.KeepAlive)
			err := s.conn.Ping(ping)
			stop()
			if err != nil {
				s.end()
				_ = s.conn.CloseNow()
				return
			}
		}
	}
}

func (s *socket) send(m message) bool {
	b, err := json.Marshal(m)
	if err != nil {
		s.close(closeInternal, "Internal error")
		return false
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	ctx, stop := context.WithTimeout(s.ctx, s.h.WriteTimeout)
	defer stop()
	if err := s.conn.Write(ctx, websocket.MessageText, b); err != nil {
		s.end() // a client that does not read
		return false
	}
	return true
}

// subscribe starts an operation of any type; false ends the connection.
func (s *socket) subscribe(m message) bool {
	if !s.acknowledged() {
		s.close(closeUnauthorized, "Unauthorized")
		return false
	}
	var fields map[string]json.RawMessage
	if m.ID == "" || len(m.ID) > 128 || json.Unmarshal(m.Payload, &fields) != nil {
		s.close(closeBadRequest, "Invalid subscribe message")
		return false
	}
	params, err := decodeParams(fields)
	if err != nil {
		s.close(closeBadRequest, "Invalid subscribe payload")
		return false
	}
	params.Headers = s.header
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(s.acked))
	s.mu.Lock()
	_, taken := s.active[m.ID]
	full := len(s.active) >= s.h.MaxSubscriptions
	if !taken && !full {
		s.active[m.ID] = cancel
	}
	s.mu.Unlock()
	if taken {
		cancel()
		s.close(closeDuplicateID, "Subscriber for "+printable(m.ID)+" already exists")
		return false
	}
	if full {
		cancel()
		return s.fail(m.ID, gqlerror.List{s.h.Present(ctx, domain.Errorf(domain.RateLimited,
			"this connection has %d operations under way; complete one first", s.h.MaxSubscriptions))})
	}
	go func() {
		defer cancel()
		s.operate(ctx, m.ID, params)
	}()
	return true
}

// printable keeps a close reason within a control frame and free of what a client made up.
func printable(id string) string {
	if len(id) > 40 || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "that id"
	}
	return id
}

// operate runs one operation to its end. Whoever takes the id out of active says complete, or nobody if the client did.
func (s *socket) operate(ctx context.Context, id string, params *graphql.RawParams) {
	op, errs := s.h.Exec.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		errs = s.h.refused(ctx, op, errs).Errors
		if s.release(ctx, id) {
			s.fail(id, errs)
		}
		return
	}
	subscription := op.Operation.Operation == ast.Subscription
	if !subscription {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.h.OperationTimeout)
		defer stop()
	}
	first := true
	for resp := range s.h.answers(graphql.WithOperationContext(ctx, op), op) {
		if subscription && first && len(resp.Data) == 0 && len(resp.Errors) > 0 { // it could not begin
			if s.release(ctx, id) {
				s.fail(id, resp.Errors)
			}
			return
		}
		first = false
		b, err := json.Marshal(executed(resp))
		if err != nil || !s.send(message{ID: id, Type: "next", Payload: b}) {
			return
		}
		if !subscription {
			break
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && first {
		if s.release(s.ctx, id) {
			s.fail(id, gqlerror.List{s.h.Present(ctx, domain.Errorf(domain.Unavailable, "the operation took longer than %s", s.h.OperationTimeout))})
		}
		return
	}
	if s.release(ctx, id) {
		s.send(message{ID: id, Type: "complete"})
	}
}

// release frees the id and reports whether the client still waits for the operation's end.
func (s *socket) release(ctx context.Context, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil { // the client completed it, and may have given the id to another operation since
		return false
	}
	delete(s.active, id)
	return true
}

func (s *socket) fail(id string, errs gqlerror.List) bool {
	b, err := json.Marshal(errs)
	if err != nil {
		return false
	}
	return s.send(message{ID: id, Type: "error", Payload: b})
}

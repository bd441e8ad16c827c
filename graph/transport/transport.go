// Package transport serves GraphQL over HTTP: queries and mutations by the GraphQL-over-HTTP specification
// (graphql.github.io/graphql-over-http), subscriptions over server-sent events (graphql-sse, distinct connections mode)
// and over WebSocket (the graphql-transport-ws protocol). It leaves who may come in to a Gate and what an operation costs
// and means to the executor. Form and multipart requests are refused: a browser would send them across sites.
package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"datum/domain"
)

// Gate decides who may come in. It must be safe for concurrent use.
type Gate interface {
	// Enter returns a context that carries the caller named by the credentials, which are in the form of an
	// Authorization header. The error is Unauthentic if they do not verify and anything else if that cannot be told.
	Enter(ctx context.Context, authorization string) (context.Context, error)
	// Still returns an error if the caller of a context returned by Enter may no longer be there.
	Still(ctx context.Context) error
	// Who names the caller, so that what one holds at a time can be limited.
	Who(ctx context.Context) string
}

// Config configures a Handler. Zero values mean the defaults.
type Config struct {
	Exec graphql.GraphExecutor
	Gate Gate
	Log  *slog.Logger
	// Present turns an error into what the caller may see.
	Present func(ctx context.Context, err error) *gqlerror.Error
	// Done ends all streams when it is closed: clients are told to come back with their cursor.
	Done <-chan struct{}

	MaxBody          int64         // bytes of a request body or a WebSocket message; 256 KiB
	OperationTimeout time.Duration // of a query or mutation; 30 s
	InitTimeout      time.Duration // until connection_init; 10 s
	KeepAlive        time.Duration // between pings, and between looks at whether the caller may still be there; 15 s
	WriteTimeout     time.Duration // of one message to a subscriber; 10 s
	MaxSubscriptions int           // under way on one WebSocket connection; 50
	MaxStreams       int           // WebSocket connections and event streams of one caller; 100
	Origins          []string      // other origins whose pages may open a WebSocket, as patterns for the host
}

// Handler serves GraphQL at one URL. It is safe for concurrent use.
type Handler struct {
	Config
	mu      sync.Mutex
	streams map[string]int
}

// New returns a handler.
func New(c Config) *Handler {
	c.MaxBody = or(c.MaxBody, 256<<10)
	c.OperationTimeout = or(c.OperationTimeout, 30*time.Second)
	c.InitTimeout = or(c.InitTimeout, 10*time.Second)
	c.KeepAlive = or(c.KeepAlive, 15*time.Second)
	c.WriteTimeout = or(c.WriteTimeout, 10*time.Second)
	c.MaxSubscriptions = or(c.MaxSubscriptions, 50)
	c.MaxStreams = or(c.MaxStreams, 100)
	return &Handler{Config: c, streams: map[string]int{}}
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(graphql.StartOperationTrace(r.Context()))
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		h.serveWebSocket(w, r)
		return
	}
	h.serveHTTP(w, r)
}

// enterStream counts a stream of the caller. It returns false if the caller has too many.
func (h *Handler) enterStream(who string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[who] >= h.MaxStreams {
		return false
	}
	h.streams[who]++
	return true
}

func (h *Handler) leaveStream(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[who]--; h.streams[who] <= 0 {
		delete(h.streams, who)
	}
}

// answers runs an operation and sends its responses until it ends or ctx does.
func (h *Handler) answers(ctx context.Context, op *graphql.OperationContext) <-chan *graphql.Response {
	ch := make(chan *graphql.Response)
	go func() {
		defer close(ch)
		defer func() {
			if p := recover(); p != nil {
				h.Log.ErrorContext(ctx, "graphql stream panicked", "panic", p)
			}
		}()
		next, ctx := h.Exec.DispatchOperation(ctx, op)
		for {
			resp := next(ctx)
			if resp == nil {
				return
			}
			resp.Data = bytes.Clone(resp.Data) // the next response is written over it
			select {
			case ch <- resp:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// result is a response on the wire. Data is absent, not null, when nothing was executed.
type result struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}

// executed returns the result of an operation that was run.
func executed(resp *graphql.Response) result {
	data := resp.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	return result{Errors: resp.Errors, Data: data, Extensions: resp.Extensions}
}

// refused returns the result of a request that was not run.
func (h *Handler) refused(ctx context.Context, op *graphql.OperationContext, errs gqlerror.List) result {
	if op != nil {
		ctx = graphql.WithOperationContext(ctx, op)
	}
	return result{Errors: h.Exec.DispatchError(ctx, errs).Errors}
}

// mayRetry reports whether the gate could not tell, as against said no.
func mayRetry(err error) bool { return domain.CodeOf(err) != domain.Unauthentic }

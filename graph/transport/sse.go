package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"datum/domain"
)

// serveEvents answers any operation as a stream of server-sent events: one "next" per response, then "complete". A stream
// that the server has to end without the operation being over ends without "complete", so that an EventSource reconnects.
func (h *Handler) serveEvents(ctx context.Context, w http.ResponseWriter, r *http.Request, params *graphql.RawParams) {
	who := h.Gate.Who(ctx)
	if !h.enterStream(who) {
		w.Header().Set("Retry-After", "30")
		h.fail(ctx, w, mediaJSON, domain.Errorf(domain.RateLimited, "this API key has %d streams open; close one first", h.MaxStreams))
		return
	}
	defer h.leaveStream(who)
	op, errs := h.Exec.CreateOperationContext(ctx, params)
	if len(errs) == 0 && op.Operation.Operation == ast.Mutation && r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		h.fail(ctx, w, mediaJSON, &httpError{http.StatusMethodNotAllowed, "a mutation needs POST"})
		return
	}
	s := &events{rc: http.NewResponseController(w), w: w, timeout: h.WriteTimeout}
	w.Header().Set("Content-Type", mediaEvents)
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if len(errs) > 0 {
		s.next(h.refused(ctx, op, errs))
		s.complete()
		return
	}
	if !s.comment("open") {
		return
	}
	ctx, cancel := context.WithCancel(graphql.WithOperationContext(ctx, op))
	defer cancel()
	if op.Operation.Operation != ast.Subscription {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, h.OperationTimeout)
		defer stop()
	}
	tick := time.NewTicker(h.KeepAlive)
	defer tick.Stop()
	answers := h.answers(ctx, op)
	for {
		select {
		case resp, ok := <-answers:
			if !ok {
				if ctx.Err() == nil {
					s.complete()
				}
				return
			}
			if !s.next(executed(resp)) {
				return
			}
			if op.Operation.Operation != ast.Subscription {
				s.complete()
				return
			}
		case <-tick.C:
			if h.Gate.Still(ctx) != nil || !s.comment("ping") {
				return
			}
		case <-h.Done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// events writes server-sent events; its methods report whether the client is still there.
type events struct {
	rc      *http.ResponseController
	w       http.ResponseWriter
	timeout time.Duration
}

func (s *events) write(b []byte) bool {
	// The server's own write timeout is for whole responses; a stream has one per event.
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := s.w.Write(b); err != nil {
		return false
	}
	return s.rc.Flush() == nil
}

func (s *events) next(r result) bool {
	b, err := json.Marshal(r)
	if err != nil {
		return false
	}
	var buf bytes.Buffer
	buf.WriteString("event: next\ndata: ")
	_ = json.Compact(&buf, b) // no line breaks
	buf.WriteString("\n\n")
	return s.write(buf.Bytes())
}

func (s *events) complete() { s.write([]byte("event: complete\ndata:\n\n")) }

func (s *events) comment(text string) bool { return s.write([]byte(": " + text + "\n\n")) }

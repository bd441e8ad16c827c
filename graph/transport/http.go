package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"datum/domain"
)

// Media types of responses.
const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
	mediaEvents   = "text/event-stream"
)

// httpError is a request that is refused before GraphQL has a say.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func (h *Handler) serveHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	w.Header().Set("Vary", "Accept, Authorization")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		h.fail(ctx, w, mediaJSON, &httpError{http.StatusMethodNotAllowed, "GraphQL is served to GET and POST"})
		return
	}
	media, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		h.fail(ctx, w, mediaJSON, &httpError{http.StatusNotAcceptable,
			"accept application/graphql-response+json, application/json or text/event-stream"})
		return
	}
	failMedia := media
	if media == mediaEvents {
		failMedia = mediaJSON
	}
	ctx, err := h.Gate.Enter(ctx, r.Header.Get("Authorization"))
	if err != nil {
		h.failAuth(r.Context(), w, failMedia, err)
		return
	}
	params, err := h.params(w, r)
	if err != nil {
		h.fail(ctx, w, failMedia, err)
		return
	}
	if media == mediaEvents {
		h.serveEvents(ctx, w, r, params)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.OperationTimeout)
	defer cancel()
	op, errs := h.Exec.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		status := http.StatusOK
		if media == mediaResponse {
			status = http.StatusBadRequest
		}
		write(w, media, status, h.refused(ctx, op, errs))
		return
	}
	if err := mayRun(r, op); err != nil {
		if err.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "POST")
		}
		h.fail(ctx, w, media, err)
		return
	}
	next, ctx := h.Exec.DispatchOperation(graphql.WithOperationContext(ctx, op), op)
	resp := next(ctx)
	if resp == nil { // the time was up before it began
		h.fail(ctx, w, media, domain.Errorf(domain.Unavailable, "the operation took longer than %s", h.OperationTimeout))
		return
	}
	write(w, media, http.StatusOK, executed(resp))
}

// mayRun refuses what a plain request must not run.
func mayRun(r *http.Request, op *graphql.OperationContext) *httpError {
	switch op.Operation.Operation {
	case ast.Mutation:
		if r.Method != http.MethodPost {
			return &httpError{http.StatusMethodNotAllowed, "a mutation needs POST"}
		}
	case ast.Subscription:
		return &httpError{http.StatusNotAcceptable, "a subscription needs Accept: text/event-stream, or a WebSocket with graphql-transport-ws"}
	}
	return nil
}

// negotiate picks the response's media type. Without a preference it is application/json, as the specification asks for
// the benefit of old clients.
func negotiate(accept []string) (string, bool) {
	best, bestQ, bestRank := "", 0.0, -1
	given := false
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		given = true
		name, ps, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := ps["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		if cs := ps["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
			continue
		}
		media, rank := "", 0
		switch name {
		case mediaEvents:
			media, rank = mediaEvents, 3
		case mediaResponse:
			media, rank = mediaResponse, 2
		case mediaJSON:
			media, rank = mediaJSON, 1
		case "*/*", "application/*":
			media, rank = mediaJSON, 0
		}
		if media != "" && q > 0 && (q > bestQ || q == bestQ && rank > bestRank) {
			best, bestQ, bestRank = media, q, rank
		}
	}
	if !given {
		return mediaJSON, true
	}
	return best, best != ""
}

// params reads the request's parameters. Its errors never quote the request: it can hold personal data.
func (h *Handler) params(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	start := graphql.Now()
	fields := map[string]json.RawMessage{}
	if r.Method == http.MethodGet {
		if int64(len(r.URL.RawQuery)) > h.MaxBody {
			return nil, &httpError{http.StatusRequestURITooLong, "the URL is too long"}
		}
		q := r.URL.Query()
		for _, name := range []string{"query", "operationName"} {
			if q.Has(name) {
				fields[name], _ = json.Marshal(q.Get(name))
			}
		}
		for _, name := range []string{"variables", "extensions"} {
			if v := q.Get(name); v != "" {
				fields[name] = json.RawMessage(v)
			}
		}
	} else {
		if err := mayRead(r); err != nil {
			return nil, err
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.MaxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, &httpError{http.StatusRequestEntityTooLarge, "the body is larger than " + strconv.FormatInt(h.MaxBody, 10) + " bytes"}
		case err != nil:
			return nil, &httpError{http.StatusBadRequest, "the body could not be read"}
		case !utf8.Valid(body):
			return nil, &httpError{http.StatusBadRequest, "the body is not UTF-8"}
		case json.Unmarshal(body, &fields) != nil || fields == nil:
			return nil, &httpError{http.StatusBadRequest, "the body is not a JSON object"}
		}
	}
	p, err := decodeParams(fields)
	if err != nil {
		return nil, err
	}
	p.Headers = r.Header
	p.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return p, nil
}

// mayRead refuses a body that is not JSON in UTF-8.
func mayRead(r *http.Request) error {
	media, ps, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaJSON {
		return &httpError{http.StatusUnsupportedMediaType, "send the request as application/json"}
	}
	if cs := ps["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return &httpError{http.StatusUnsupportedMediaType, "send the request in UTF-8"}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &httpError{http.StatusUnsupportedMediaType, "send the request uncompressed"}
	}
	return nil
}

// decodeParams reads the well-formed members of a request.
func decodeParams(fields map[string]json.RawMessage) (*graphql.RawParams, error) {
	p := &graphql.RawParams{}
	for _, m := range []struct {
		name, shape string
		into        any
	}{
		{"query", "text", &p.Query},
		{"operationName", "text", &p.OperationName},
		{"variables", "an object", &p.Variables},
		{"extensions", "an object", &p.Extensions},
	} {
		raw, ok := fields[m.name]
		if !ok {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber() // amounts keep their digits
		if d.Decode(m.into) != nil || d.More() {
			return nil, &httpError{http.StatusBadRequest, m.name + " must be " + m.shape}
		}
	}
	if strings.TrimSpace(p.Query) == "" {
		return nil, &httpError{http.StatusBadRequest, "query is missing"}
	}
	return p, nil
}

// fail answers a request that was not run.
func (h *Handler) fail(ctx context.Context, w http.ResponseWriter, media string, err error) {
	var he *httpError
	if errors.As(err, &he) {
		write(w, media, he.status, result{Errors: gqlerror.List{{Message: he.message, Extensions: map[string]any{"code": "BAD_REQUEST"}}}})
		return
	}
	status := http.StatusInternalServerError
	switch domain.CodeOf(err) {
	case domain.Unavailable:
		status = http.StatusServiceUnavailable
	case domain.RateLimited:
		status = http.StatusTooManyRequests
	}
	write(w, media, status, result{Errors: gqlerror.List{h.Present(ctx, err)}})
}

// RefuseOrigin answers a request that a page of another site made a browser send.
func RefuseOrigin(w http.ResponseWriter, _ *http.Request) {
	write(w, mediaJSON, http.StatusForbidden, result{Errors: gqlerror.List{{Message: "a page of this origin may not use the API; its operator can allow the origin",
		Extensions: map[string]any{"code": string(domain.Forbidden)}}}})
}

// failAuth answers a caller who may not come in: 401, or 503 if that could not be told.
func (h *Handler) failAuth(ctx context.Context, w http.ResponseWriter, media string, err error) {
	if mayRetry(err) {
		h.Log.ErrorContext(ctx, "could not look up an API key", "error", err)
		h.fail(ctx, w, media, &domain.Error{Code: domain.Unavailable, Message: "API keys cannot be checked just now; retry", Err: err})
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="datum"`)
	write(w, media, http.StatusUnauthorized, result{Errors: gqlerror.List{h.Present(ctx, err)}})
}

func write(w http.ResponseWriter, media string, status int, r result) {
	b, err := json.Marshal(r)
	if err != nil { // a resolver wrote something that is not JSON
		status = http.StatusInternalServerError
		b = []byte(`{"errors":[{"message":"the answer could not be written","extensions":{"code":"INTERNAL"}}]}`)
	}
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

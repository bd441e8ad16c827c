package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"datum/adapters"
	"datum/domain"
)

// MaxBody is the largest answer that is read.
const MaxBody = 20 << 20

// send makes one request and reads the whole answer.
func (c *Client) send(ctx context.Context, call adapters.Call, token string) (resp *adapters.Response, err error) {
	ctx, span := otel.Tracer("datum/adapters/rest").Start(ctx, call.Method+" "+c.cfg.System, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("datum.system", c.cfg.System), attribute.String("datum.lane", string(LaneOf(ctx))),
		attribute.String("datum.correlation_id", domain.Correlation(ctx)),
		attribute.String("http.request.method", call.Method), attribute.String("url.path", pathOnly(call.Path))))
	started := c.cfg.Now().UTC()
	clock := time.Now()
	req, err := c.request(ctx, call, token)
	if err != nil {
		span.End()
		return nil, err
	}
	defer func() {
		took := time.Since(clock)
		status := 0
		if resp != nil {
			status = resp.Status
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if err != nil {
			span.SetStatus(codes.Error, string(domain.CodeOf(err)))
		}
		span.End()
		c.cfg.Log.DebugContext(ctx, "vendor call", "system", c.cfg.System, "method", call.Method, "path", pathOnly(call.Path),
			"status", status, "code", domain.CodeOf(err), "duration", took)
		c.record(ctx, call, req.Header, token, started, took, resp, err)
	}()

	var sent atomic.Bool
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	limited = httptrace.WithClientTrace(limited, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	h, err := c.http.Do(req.WithContext(limited))
	if err != nil {
		return nil, c.lost(ctx, call, sent.Load(), err)
	}
	defer h.Body.Close()
	body, err := io.ReadAll(io.LimitReader(h.Body, MaxBody+1))
	if err != nil {
		return nil, c.lost(ctx, call, true, err)
	}
	if len(body) > MaxBody {
		e := &domain.Error{Code: domain.Invalid, Message: fmt.Sprintf("the answer is larger than %d MB; ask for smaller pages", MaxBody>>20)}
		if call.Write && !call.Safe {
			e.Code = domain.Unknown
		}
		return nil, e
	}
	return &adapters.Response{Status: h.StatusCode, Header: h.Header, Body: body, SentAt: started}, nil
}

func (c *Client) request(ctx context.Context, call adapters.Call, token string) (*http.Request, error) {
	var body io.Reader
	if call.Body != nil {
		body = bytes.NewReader(call.Body)
	}
	at := c.cfg.BaseURL + call.Path
	if call.URL != "" {
		at = call.URL
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, at, body)
	if err != nil {
		// The parser's error quotes the URL, which can hold personal data.
		return nil, domain.Errorf(domain.Internal, "the call's method or path cannot be sent")
	}
	// The transport must not repeat a write by itself: it would be neither counted nor logged.
	req.GetBody = nil
	for k, vs := range call.Header {
		req.Header[http.CanonicalHeaderKey(k)] = vs
	}
	setDefault(req.Header, "Accept", "application/json")
	setDefault(req.Header, "User-Agent", c.cfg.UserAgent)
	if call.Body != nil {
		setDefault(req.Header, "Content-Type", "application/json")
	}
	switch {
	case token == "":
	case c.cfg.TokenHeader != "":
		req.Header.Set(c.cfg.TokenHeader, token)
	default:
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

func setDefault(h http.Header, key, value string) {
	if h.Get(key) == "" {
		h.Set(key, value)
	}
}

// lost says what a failure without an answer means: was the request sent, and may it be repeated?
func (c *Client) lost(ctx context.Context, call adapters.Call, sent bool, cause error) error {
	// The URL in *url.Error can hold personal data.
	if u, ok := errors.AsType[*url.Error](cause); ok {
		cause = u.Err
	}
	e := &domain.Error{Code: domain.Unavailable, Err: cause}
	switch {
	case ctx.Err() != nil:
		e.Message, e.Err = "stopped while waiting for the answer", context.Cause(ctx)
	case errors.Is(cause, context.DeadlineExceeded):
		e.Message = fmt.Sprintf("no answer within %s", c.cfg.Timeout)
	case sent:
		e.Message = "the connection was lost before the answer came"
	default:
		e.Message = "no connection to the vendor"
	}
	if !sent {
		e.Err = errors.Join(ErrNotSent, e.Err)
	}
	if sent && call.Write && !call.Safe {
		e.Code = domain.Unknown
		e.Message += "; whether the write was done must be looked up"
	}
	return e
}

func pathOnly(path string) string {
	p, _, _ := strings.Cut(path, "?")
	return p
}

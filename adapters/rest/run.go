package rest

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"datum/adapters"
	"datum/domain"
)

var _ adapters.Runner = (*Client)(nil)

// NewRunner returns a client for a system that is not called over HTTP: only its Run works. Config.BaseURL, Auth, ReadLimits, Meaning,
// UserAgent and Transport are not used.
func NewRunner(cfg Config) (*Client, error) {
	cfg.BaseURL, cfg.Auth, cfg.ReadLimits, cfg.Meaning = "", nil, nil, nil
	return build(cfg)
}

// Run makes one call that is not HTTP, within the budget, the breaker and the time limit, and keeps it as an exchange:
// call.Method, Path and Body say what was asked, the response's body, which is JSON, what came back. do classifies its own
// failures; its context ends with the time limit.
func (c *Client) Run(ctx context.Context, call adapters.Call, do func(ctx context.Context) (*adapters.Response, error)) (*adapters.Response, error) {
	err := c.look(ctx, call)
	var resp *adapters.Response
	if err == nil {
		resp, err = c.around(ctx, call, func() (*adapters.Response, error) { return c.run(ctx, call, do) })
	}
	if err != nil {
		e := *domain.AsError(err)
		if e.System == "" {
			e.System = c.cfg.System
		}
		return nil, &e
	}
	return resp, nil
}

func (c *Client) run(ctx context.Context, call adapters.Call, do func(ctx context.Context) (*adapters.Response, error)) (*adapters.Response, error) {
	ctx, span := otel.Tracer("datum/adapters/rest").Start(ctx, call.Method+" "+c.cfg.System, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("datum.system", c.cfg.System), attribute.String("datum.lane", string(LaneOf(ctx))),
		attribute.String("datum.correlation_id", domain.Correlation(ctx)), attribute.String("db.operation.name", call.Method)))
	defer span.End()
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	started, clock := c.cfg.Now().UTC(), time.Now()
	resp, err := do(limited)
	took := time.Since(clock)
	if err != nil {
		span.SetStatus(codes.Error, string(domain.CodeOf(err)))
	} else {
		resp.Status, resp.Header, resp.SentAt = http.StatusOK, http.Header{"Content-Type": {"application/json"}}, started
	}
	c.cfg.Log.DebugContext(ctx, "vendor call", "system", c.cfg.System, "method", call.Method, "path", pathOnly(call.Path),
		"code", domain.CodeOf(err), "duration", took)
	c.record(ctx, call, nil, "", started, took, resp, err)
	return resp, err
}

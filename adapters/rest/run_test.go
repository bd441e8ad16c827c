package rest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

type kept struct {
	mu   sync.Mutex
	list []rest.Exchange
}

func (k *kept) Log(x rest.Exchange) { k.mu.Lock(); k.list = append(k.list, x); k.mu.Unlock() }

// TestRun: what is not HTTP has its time limit, its breaker, its exchange without secrets, and its own errors.
func TestRun(t *testing.T) {
	t.Parallel()
	log := &kept{}
	c, err := rest.NewRunner(rest.Config{System: "ops", Timeout: 50 * time.Millisecond, Trip: 2, OpenFor: time.Minute, Exchanges: log, Secrets: []string{"s3cret"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	call := adapters.Call{Method: "UPDATE", Path: "/clients/1", Body: []byte(`{"name":"s3cret"}`), Write: true}
	resp, err := c.Run(t.Context(), call, func(context.Context) (*adapters.Response, error) {
		return &adapters.Response{Body: []byte(`{"was":"s3cret"}`)}, nil
	})
	if err != nil || resp.SentAt.IsZero() || string(resp.Body) != `{"was":"s3cret"}` {
		t.Fatalf("%+v %v", resp, err)
	}
	if x := log.list[0]; x.Method != "UPDATE" || x.Path != "/clients/1" || x.Status != 200 || !strings.Contains(x.RequestBody, `"name"`) ||
		!strings.Contains(x.ResponseBody, `"was"`) || strings.Contains(x.RequestBody+x.ResponseBody, "s3cret") {
		t.Errorf("the exchange is %+v", x)
	}
	refused := domain.Errorf(domain.Conflict, "taken")
	_, err = c.Run(t.Context(), call, func(context.Context) (*adapters.Response, error) { return nil, refused })
	if e := domain.AsError(err); e.Code != domain.Conflict || e.System != "ops" || log.list[1].Code != domain.Conflict {
		t.Errorf("a refusal: %v, kept as %q", err, log.list[1].Code)
	}
	for range 2 {
		_, err = c.Run(t.Context(), call, func(ctx context.Context) (*adapters.Response, error) {
			<-ctx.Done()
			return nil, domain.Errorf(domain.Unavailable, "late: %w", ctx.Err())
		})
		if domain.CodeOf(err) != domain.Unavailable || errors.Is(err, rest.ErrNotSent) {
			t.Errorf("late: %v", err)
		}
	}
	_, err = c.Run(t.Context(), call, func(context.Context) (*adapters.Response, error) {
		t.Error("called although the breaker is open")
		return nil, refused
	})
	if !errors.Is(err, rest.ErrNotSent) {
		t.Errorf("with the breaker open: %v", err)
	}
	if _, err := rest.NewRunner(rest.Config{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("without a system: %v", err)
	}
}

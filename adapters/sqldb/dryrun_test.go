package sqldb

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

type guard struct {
	held error
	seen []rest.Request
}

func (g *guard) Look(_ context.Context, q rest.Request) error {
	g.seen = append(g.seen, q)
	return g.held
}

func (g *guard) Now(context.Context) error { return nil }

// TestADryRunShowsWhatIsWritten: the row that a dry run shows is the row that is written, in one step, and showing it writes nothing.
func TestADryRunShowsWhatIsWritten(t *testing.T) {
	each(t, func(t *testing.T, b *base) {
		a := ops(t, b)
		log := &exchanges{}
		runner, err := rest.NewRunner(rest.Config{System: "ops", Timeout: 10 * time.Second, Exchanges: log, Log: slog.New(slog.DiscardHandler)})
		must(t, err)
		a.s.HTTP = runner
		w := adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), Values: client(1), Golden: client(1), Key: "k"}
		for _, method := range []string{"INSERT", "UPDATE"} {
			dry, live := &guard{held: errors.New("held")}, &guard{}
			before := len(log.all())
			if out := a.Write(rest.WithGuard(t.Context(), dry), []adapters.Write{w})[0]; !errors.Is(out.Err, rest.ErrHeld) {
				t.Fatalf("a dry run: %v", out.Err)
			}
			for _, x := range log.all()[before:] {
				if x.Method != "SELECT" {
					t.Errorf("a dry run did %s %s", x.Method, x.Path)
				}
			}
			before = len(log.all())
			out := a.Write(rest.WithGuard(t.Context(), live), []adapters.Write{w})[0]
			must(t, out.Err)
			if len(dry.seen) != 1 || len(live.seen) != 1 || dry.seen[0].Digest != live.seen[0].Digest || dry.seen[0].Body != live.seen[0].Body || !maps.Equal(dry.seen[0].Header, live.seen[0].Header) {
				t.Fatalf("recorded %+v\nand made %+v", dry.seen, live.seen)
			}
			n := 0
			for _, x := range log.all()[before:] {
				if x.Method != "SELECT" {
					n++
					if q := dry.seen[0]; x.Method != method || q.Method != x.Method || q.Path != x.Path || q.Body != x.RequestBody {
						t.Errorf("recorded %+v\nand written %s %s %s", q, x.Method, x.Path, x.RequestBody)
					}
				}
			}
			if n != 1 {
				t.Errorf("%d statements wrote", n)
			}
			w = update(out.Record, w.CanonicalID, domain.Values{"legalName": `"Changed"`})
		}
	})
}

package change_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// evidence returns what is known about the only open case of a kind, a line for each field: who owns it and what each says.
func (w *world) evidence(kind string) (change.Evidence, string) {
	w.tb.Helper()
	ev, err := w.a.Evidence(ctx, w.one(kind))
	w.ok(err)
	var lines []string
	for _, row := range ev.Rows {
		line := fmt.Sprintf("%s of %s, equal %t:", row.Field, row.Owner, row.Equal)
		for i, cell := range row.Cells {
			line += fmt.Sprintf(" [%s %s", strings.TrimSuffix(ev.Columns[i].Label, " Pty Ltd"), cell.Value)
			if cell.InForce {
				line += " in force"
			}
			if cell.Owns {
				line += " owns"
			}
			if cell.At == nil {
				line += " since?"
			}
			line += "]"
		}
		lines = append(lines, line)
	}
	return ev, strings.Join(lines, "\n")
}

// A case shows who says what since when, which is in force and who owns it.
func TestEvidence(t *testing.T) {
	t.Parallel()
	t.Run("conflict", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		conflicting(w)
		ev, got := w.evidence(store.CaseConflict)
		if want := `email of crm, equal false: [in force "a@ant.example.com" in force] [accounting record x1 "b@ant.example.com"] [crm record h1 "a@ant.example.com" in force owns]`; got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
		if by := ev.Rows[0].Cells[1].By; by != "system:accounting" {
			t.Errorf("accounting's value is by %q", by)
		}
		if by := ev.Rows[0].Cells[0].By; by != "system:crm" {
			t.Errorf("the value in force is by %q", by)
		}
	})
	t.Run("proposal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		id := w.pair(1, values("legalName", "Ape Pty Ltd"))
		w.edit(ops, id, values("legalName", "Apes Pty Ltd"))
		ev, got := w.evidence(store.CaseConflict)
		if !strings.HasSuffix(got, `[proposed for ops "Apes Pty Ltd"]`) || ev.Rows[0].Cells[3].By != "system:ops" {
			t.Errorf("%s by %q", got, ev.Rows[0].Cells[3].By)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		refused(w)
		w.ok(store.InsertExchanges(ctx, w.pool, []store.Exchange{
			{System: accounting, CorrelationID: "cor", SentAt: time.Now(), Method: "GET", Path: "/Contacts", Status: 200},
			{System: accounting, CorrelationID: "cor", SentAt: time.Now(), Method: "POST", Path: "/Contacts", Status: 400, RequestBody: `{"Phone":"+61390000002"}`, ResponseBody: "not a number"},
			{System: accounting, CorrelationID: "cor", SentAt: time.Now(), Method: "POST", Path: "/Contacts", Status: 200},
			{System: crm, CorrelationID: "cor", SentAt: time.Now(), Method: "POST", Path: "/objects", Status: 400},
		}))
		ev, got := w.evidence(store.CaseRefused)
		if want := `phone of crm, equal false: [in force "+61390000002" in force] [accounting record x1 "+61390000001"] [crm record h1 "+61390000002" in force owns] [sent to accounting "+61390000002"]`; got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
		if ev.Exchange == nil || ev.Exchange.ResponseBody != "not a number" {
			t.Errorf("exchange %+v", ev.Exchange)
		}
		if c := w.one(store.CaseRefused); c.Detail.Sent["phone"] != text("+61390000002") || c.Detail.Message != "the telephone number is not one" {
			t.Errorf("case %+v", c.Detail)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		w.pair(1, values("legalName", "Ass Pty Ltd"))
		unusable(w, crm, "h1")
		if _, got := w.evidence(store.CaseInvalid); !strings.Contains(got, `[crm record h1 "123"]`) || !strings.Contains(got, `abn of accounting`) {
			t.Error(got)
		}
	})
	t.Run("duplicate", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		twice(w)
		_, got := w.evidence(store.CaseDuplicate)
		if !strings.Contains(got, "legalName of accounting, equal false") || !strings.Contains(got, "abn of accounting, equal true") {
			t.Error(got)
		}
	})
	t.Run("unlinked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policyHead+"  create: [crm]\n  replicate: {accounting: always, crm: always}\n")
		unlinked(w)
		if _, got := w.evidence(store.CaseUnlinked); !strings.Contains(got, `[accounting "Elk Pty Ltd"]`) || !strings.Contains(got, `+61390000005`) {
			t.Error(got)
		}
	})
}

// A case names what goes no further because of it.
func TestHoldsUp(t *testing.T) {
	t.Parallel()
	says := func(w *world, kind string) string {
		w.tb.Helper()
		h, err := w.a.HoldsUp(ctx, w.one(kind), 5)
		w.ok(err)
		line := h.Says()
		for _, x := range h.Items {
			line += fmt.Sprintf("; %s in %s %s", x.Name, x.System, x.Why)
		}
		return line
	}
	w := newWorld(t, ownership.DefaultSource())
	conflicting(w)
	if got := says(w, store.CaseConflict); got != "nothing waits because of it" {
		t.Error(got)
	}
	w = newWorld(t, ownership.DefaultSource())
	refused(w)
	if got := says(w, store.CaseRefused); got != "1 thing waits because of it; Bee Pty Ltd in accounting differs there" {
		t.Error(got)
	}
	id := w.first()
	b := &pgx.Batch{}
	e := store.Entity{ID: domain.NewID("inv"), Kind: domain.KindInvoice, Golden: domain.Values{"number": text("INV-7")}, Provenance: map[domain.Field]store.Provenance{}}
	w.ok(store.QueueEntity(b, &e))
	store.QueueProjection(b, &store.Projection{EntityID: e.ID, System: accounting, Kind: e.Kind, Status: store.Parked, ErrorCode: store.Waits, Diff: domain.Values{}, Lane: "live"})
	w.ok(w.pool.SendBatch(ctx, b).Close())
	_, err := w.pool.Exec(ctx, "UPDATE projections SET waits_for = ARRAY[$1] WHERE entity_id = $2", id, e.ID)
	w.ok(err)
	if got := says(w, store.CaseRefused); !strings.HasPrefix(got, "2 things wait") || !strings.Contains(got, "INV-7 in accounting refers to it") {
		t.Error(got)
	}
	w = newWorld(t, ownership.DefaultSource())
	twice(w)
	if got := says(w, store.CaseDuplicate); !strings.Contains(got, "Fly in accounting is not created there until this is decided") {
		t.Error(got)
	}
	w = newWorld(t, policyHead+"  create: [crm]\n  replicate: {accounting: always, crm: always}\n")
	unlinked(w)
	if got := says(w, store.CaseUnlinked); !strings.Contains(got, "accounting x1 in accounting stands for nothing") {
		t.Error(got)
	}
}

// When the world has moved on, cases end by themselves, say why, and let go on what they held back.
func TestOvertakenCasesEnd(t *testing.T) {
	t.Parallel()
	ends := func(w *world, kind, why string, move func()) {
		w.tb.Helper()
		c := w.one(kind)
		if n, err := w.a.EndOvertaken(ctx); err != nil || n != 0 {
			w.tb.Fatalf("%s ended before its time: %d (%v)", kind, n, err)
		}
		move()
		_, err := w.a.EndOvertaken(ctx)
		w.ok(err)
		w.none(kind)
		if lines := w.timeline(c.ID); !strings.HasPrefix(lines[len(lines)-1], "closed by : "+why) {
			w.tb.Errorf("timeline %q", lines)
		}
		w.quietly("looking once more", func() {
			if n, err := w.a.EndOvertaken(ctx); err != nil || n != 0 {
				w.tb.Errorf("%d more ended (%v)", n, err)
			}
		})
	}
	opened := func(w *world, c store.Case) {
		c.ID, c.Title = domain.NewID("case"), "x"
		b := &pgx.Batch{}
		store.QueueCase(b, c)
		w.ok(w.pool.SendBatch(ctx, b).Close())
	}
	t.Run("duplicate", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		id := twice(w)
		w.isAt(id, accounting, store.Parked)
		ends(w, store.CaseDuplicate, "they have nothing in common", func() { w.change(crm, "h2", values("abn", abn(9))) })
		w.work(w.faithful)
		w.isAt(id, accounting, store.Confirmed)
	})
	t.Run("merged in the vendor", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		twice(w)
		c := w.one(store.CaseDuplicate)
		told := w.news(c.ID)
		w.clock++
		rec := w.record("h1", w.clock, w.stored(crm, "h1").Values)
		rec.Aliases = []string{"h2"}
		w.apply(crm, rec, change.FromPoll)
		w.none(store.CaseDuplicate)
		if lines := w.timeline(c.ID); len(lines) != 2 || lines[1] != "closed by : the two were merged" || w.news(c.ID) == told {
			t.Errorf("timeline %q, %d news", lines, w.news(c.ID)-told)
		}
	})
	t.Run("stuck write", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		id := w.pair(1, values("legalName", "Yak Pty Ltd", "phone", "+61390000001"))
		w.change(crm, "h1", values("phone", "+61390000002"))
		opened(w, store.Case{Kind: store.CaseStuck, EntityKind: customer, EntityID: id, System: accounting, DedupeKey: "stuck|" + id + "|" + accounting})
		w.decide(w.one(store.CaseStuck).ID, change.ChoiceIgnore)
		opened(w, store.Case{Kind: store.CaseStuck, EntityKind: customer, EntityID: id, System: accounting, DedupeKey: "stuck|" + id + "|" + accounting})
		ends(w, store.CaseStuck, "no longer so", func() { w.work(w.faithful) })
	})
	t.Run("stuck signal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		signal := func() int64 {
			_, err := store.InsertSignals(ctx, w.pool, []store.Signal{{System: crm, Kind: customer, ExternalID: "h1", Source: "webhook"}})
			w.ok(err)
			var id int64
			w.ok(w.pool.QueryRow(ctx, "SELECT max(id) FROM signals").Scan(&id))
			return id
		}
		w.ok(store.FailSignals(ctx, w.pool, []int64{signal()}, "it has three heads"))
		opened(w, store.Case{Kind: store.CaseStuck, EntityKind: customer, System: crm, ExternalID: "h1", DedupeKey: "stuck|crm|h1"})
		ends(w, store.CaseStuck, "it went through", func() { w.ok(store.FinishSignals(ctx, w.pool, []int64{signal()})) })
		// And by hand: the failed one is given new tries.
		opened(w, store.Case{Kind: store.CaseStuck, EntityKind: customer, System: crm, ExternalID: "h1", DedupeKey: "stuck|crm|h1"})
		w.decide(w.one(store.CaseStuck).ID, change.ChoiceRetry)
		if n, err := store.RetrySignals(ctx, w.pool, crm, customer, "h1"); err != nil || n != 0 {
			t.Errorf("%d signals are left failed (%v)", n, err)
		}
	})
	t.Run("gap", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		w.ok(store.SetCursor(ctx, w.pool, crm, customer, "sweep", store.Cursor{}, true))
		opened(w, store.Case{Kind: store.CaseGap, System: crm, DedupeKey: "gap|crm"})
		ends(w, store.CaseGap, "a complete sweep", func() { w.ok(store.SetCursor(ctx, w.pool, crm, customer, "sweep", store.Cursor{}, true)) })
	})
	t.Run("what only its own watcher can know", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		opened(w, store.Case{Kind: store.CaseStuck, DedupeKey: "alerts|ops"})
		opened(w, store.Case{Kind: store.CaseGap, System: crm, DedupeKey: "gap|silent|crm|never"})
		w.ok(store.SetCursor(ctx, w.pool, crm, customer, "sweep", store.Cursor{}, true))
		if n, err := w.a.EndOvertaken(ctx); err != nil || n != 0 {
			t.Errorf("%d ended (%v)", n, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, ownership.DefaultSource())
		refused(w)
		ends(w, store.CaseRefused, "no longer so", func() { w.gone(accounting, "x1") })
	})
}

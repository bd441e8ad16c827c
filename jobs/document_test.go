package jobs_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"datum/adapters/all"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// nativePolicy lets everything be entered by apps: till is the shop, stock the inventory, ops what flows write for.
const nativePolicy = `
systems: {till: native, stock: native, ops: native}
flows: {as: ops, quote_to_invoice: on, order_to_invoice: on, order_to_stock: on, refund_to_credit_note: on, payment_to_status: on}
numbers: {Invoice: {prefix: INV-, digits: 5}}
Customer: {owner: till, create: [till]}
Product: {owner: till, create: [till]}
Location: {owner: stock, create: [stock]}
StockLevel: {owner: stock, create: [stock], fields: {available: {owner: ops, fallback: [stock]}}}
Quote: {owner: till, create: [till], fields: {paymentStatus: {owner: ops, fallback: []}}}
Order: {owner: till, create: [till], fields: {paymentStatus: {owner: till, fallback: [ops]}, amountPaid: {owner: till, fallback: [ops]}}}
Invoice: {owner: ops, create: [ops]}
CreditNote:
  owner: till
  create: [till]
  fields: {invoice: {owner: ops, fallback: []}, allocations: {owner: ops, fallback: []}}
Payment:
  owner: till
  create: [till]
  fields: {allocations: {owner: ops, fallback: []}}
`

// books is a Datum without vendors.
type books struct {
	t      *testing.T
	ctx    context.Context
	pool   *pgxpool.Pool
	engine *jobs.Engine
}

func newBooks(t *testing.T, policy string) *books {
	t.Helper()
	b := &books{t: t, ctx: context.Background(), pool: pgtest.New(t)}
	sealer, err := vault.Parse(drillKey + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, err)
	b.engine, err = jobs.New(jobs.Config{Pool: b.pool, Sealer: sealer, Vendors: all.Vendors()}, true)
	must(t, err)
	_, err = b.engine.Applier().Publish(b.ctx, 0, policy, change.Surroundings{}, change.Cause{Actor: "test"})
	must(t, err)
	must(t, b.engine.Start(b.ctx))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*patience*time.Second)
		defer cancel()
		must(t, b.engine.Stop(ctx))
	})
	return b
}

// fields is {"name", value, ...}: text, or anything that is a value already.
func fields(pairs ...any) domain.Values {
	v := domain.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f := domain.Field(pairs[i].(string))
		if s, ok := pairs[i+1].(string); ok && !strings.HasPrefix(s, "{") && !strings.HasPrefix(s, "[") {
			v[f] = domain.TextValue(s)
		} else if ok {
			v[f] = domain.Value(s)
		} else {
			v[f] = domain.ValueOf(pairs[i+1])
		}
	}
	return v
}

func aud(s string) string { return `{"amount":"` + s + `","currency":"AUD"}` }

// edit enters or changes something and fails the test if it is refused.
func (b *books) edit(system string, kind domain.Kind, id string, v domain.Values) string {
	b.t.Helper()
	res, err := b.engine.Applier().Edit(b.ctx, change.Edit{System: system, Kind: kind, EntityID: id, Fields: v, Cause: change.Cause{Actor: "test", Source: change.FromMutation}})
	must(b.t, err)
	if len(res.Refused) > 0 {
		b.t.Fatalf("%s %s by %s refused: %v", kind, id, system, res.Refused[0])
	}
	return res.EntityID
}

func (b *books) get(id string) store.Entity {
	b.t.Helper()
	es, err := store.Entities(b.ctx, b.pool, []string{id})
	must(b.t, err)
	if len(es) != 1 {
		b.t.Fatalf("there is no %s", id)
	}
	return es[0]
}

// all returns every entity of a kind.
func (b *books) all(kind domain.Kind) []store.Entity {
	b.t.Helper()
	ids, err := store.EntityIDs(b.ctx, b.pool, kind, "", 1000)
	must(b.t, err)
	es, err := store.Entities(b.ctx, b.pool, ids)
	must(b.t, err)
	return es
}

// rest waits until no job is left.
func (b *books) rest() {
	b.t.Helper()
	eventually(b.t, 30*time.Second, "no job is left", func() (bool, any) {
		var n int
		must(b.t, b.pool.QueryRow(b.ctx, `SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable', 'pending')`).Scan(&n))
		return n == 0, n
	})
}

func (b *books) cases() []string {
	b.t.Helper()
	cs, err := store.ListCases(b.ctx, b.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
	must(b.t, err)
	var titles []string
	for _, c := range cs {
		titles = append(titles, c.Title)
	}
	slices.Sort(titles)
	return titles
}

// shop is a customer, a product with stock, and what is needed to sell it.
type shop struct {
	*books
	customer, product, level string
}

func newShop(t *testing.T) *shop {
	s := &shop{books: newBooks(t, nativePolicy)}
	s.customer = s.edit("till", domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	s.product = s.edit("till", domain.KindProduct, "", fields("sku", "KET-1", "name", "Kettle"))
	place := s.edit("stock", domain.KindLocation, "", fields("name", "Warehouse"))
	s.level = s.edit("stock", domain.KindStockLevel, "", fields("product", s.product, "location", place, "onHand", "10", "committed", "0"))
	s.rest()
	return s
}

func (s *shop) lines(quantity string) string {
	return fmt.Sprintf(`[{"product":%q,"sku":"KET-1","quantity":%q,"unitPrice":"11","taxCode":"GST"}]`, s.product, quantity)
}

func (s *shop) position() (onHand, committed string) {
	s.t.Helper()
	must(s.t, s.pool.QueryRow(s.ctx, `SELECT trim_scale(coalesce(sum(on_hand), 0))::text, trim_scale(coalesce(sum(committed), 0))::text FROM stock_movements WHERE stock_level = $1`, s.level).
		Scan(&onHand, &committed))
	return onHand, committed
}

func sumOf(v domain.Value) decimal.Decimal {
	var sum decimal.Decimal
	for _, a := range domain.AllocationsOf(v) {
		d, _ := decimal.NewFromString(a.Amount)
		sum = sum.Add(d)
	}
	return sum
}

// TestOrderToCash: an order with two payments and a refund becomes one invoice, paid and credited to the cent, and moves stock
// once, in whatever order its parts arrive and however often they are repeated.
func TestOrderToCash(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const orders = 12
	rnd := rand.New(rand.NewPCG(3, 3))
	for n := range orders {
		o := s.edit("till", domain.KindOrder, "", fields("number", fmt.Sprint("#", n), "customer", s.customer, "orderDate", "2026-03-02", "stage", "DRAFT", "lines", s.lines("3")))
		var p1, p2, back, note string
		parts := []func(){
			func() { s.edit("till", domain.KindOrder, o, fields("stage", "CONFIRMED", "paymentStatus", "PAID")) },
			func() {
				p1 = s.edit("till", domain.KindPayment, p1, fields("order", o, "amount", aud("20"), "date", "2026-03-02"))
			},
			func() {
				p2 = s.edit("till", domain.KindPayment, p2, fields("order", o, "amount", aud("13"), "date", "2026-03-03"))
			},
			func() {
				note = s.edit("till", domain.KindCreditNote, note, fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1"), "reason", "dented"))
			},
			func() {
				back = s.edit("till", domain.KindPayment, back, fields("order", o, "amount", aud("11"), "date", "2026-03-05", "direction", "REFUNDED"))
			},
		}
		rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for _, part := range append(parts, parts[:2]...) {
			part()
			if rnd.IntN(2) == 0 {
				s.rest()
			}
		}
	}
	s.rest()
	invoices, paid := s.all(domain.KindInvoice), map[string]decimal.Decimal{}
	if len(invoices) != orders {
		t.Errorf("%d invoices for %d orders", len(invoices), orders)
	}
	credited := map[string]decimal.Decimal{}
	for _, p := range s.all(domain.KindPayment) {
		for _, a := range domain.AllocationsOf(p.Golden["allocations"]) {
			d, _ := decimal.NewFromString(a.Amount)
			paid[a.Invoice], credited[a.CreditNote] = paid[a.Invoice].Add(d), credited[a.CreditNote].Add(d)
		}
	}
	numbers := map[string]bool{}
	for _, i := range invoices {
		if total := domain.Amount(i.Golden["total"]); i.Stage != "AUTHORISED" || !total.Equal(decimal.NewFromInt(33)) || !paid[i.ID].Equal(total) {
			t.Errorf("invoice %s: %s of %s paid, stage %s", i.ID, paid[i.ID], total, i.Stage)
		}
		numbers[i.Golden["number"].Text()] = true
	}
	if len(numbers) != orders || !numbers["INV-00001"] || !numbers[fmt.Sprintf("INV-%05d", orders)] {
		t.Errorf("numbers have gaps or repeat: %v", numbers)
	}
	notes := s.all(domain.KindCreditNote)
	if len(notes) != orders {
		t.Errorf("%d credit notes", len(notes))
	}
	for _, c := range notes {
		if got := credited[c.ID].Add(sumOf(c.Golden["allocations"])); !got.Equal(decimal.NewFromInt(11)) || c.Golden["invoice"].Empty() {
			t.Errorf("credit note %s is used for %s of 11, invoice %s", c.ID, got, c.Golden["invoice"])
		}
	}
	if onHand, committed := s.position(); onHand != "10" || committed != fmt.Sprint(2*orders) { // one of three went back before it was sent
		t.Errorf("%s on hand, %s promised", onHand, committed)
	}
	if cs := s.cases(); len(cs) != 1 || cs[0] != fmt.Sprintf("Kettle is oversold by %d", 2*orders-10) {
		t.Errorf("cases: %v", cs)
	}
}

// TestStockAddsUp: what the inventory reports and what was promised before it knew are never counted twice.
func TestStockAddsUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	order := func(stage, quantity, id string) string {
		id = s.edit("till", domain.KindOrder, id, fields("customer", s.customer, "stage", stage, "lines", s.lines(quantity)))
		s.rest()
		return id
	}
	is := func(when, onHand, committed, available string) {
		t.Helper()
		s.rest()
		if h, c := s.position(); h != onHand || c != committed {
			t.Errorf("%s: %s on hand and %s promised; want %s and %s", when, h, c, onHand, committed)
		}
		if got := s.get(s.level).Golden["available"].Text(); got != available {
			t.Errorf("%s: %s available, want %s", when, got, available)
		}
	}
	report := func(onHand, committed string) {
		s.edit("stock", domain.KindStockLevel, s.level, fields("onHand", onHand, "committed", committed))
	}
	is("opened", "10", "0", "10")
	o := order("CONFIRMED", "3", "")
	is("sold", "10", "3", "7")
	report("10", "3")
	is("the inventory knows", "10", "3", "7")
	order("CONFIRMED", "4", o)
	is("one more", "10", "4", "6")
	report("15", "3")
	is("goods came in before it knows of the fourth", "15", "4", "11")
	report("15", "4")
	is("it knows", "15", "4", "11")
	report("11", "0")
	is("sent", "11", "0", "11")
	o = order("CONFIRMED", "2", "")
	order("CANCELLED", "2", o)
	is("called off", "11", "0", "11")
	order("CONFIRMED", "12", "")
	is("oversold", "11", "12", "0")
	if cs := s.cases(); len(cs) != 1 || cs[0] != "Kettle is oversold by 1" {
		t.Errorf("cases: %v", cs)
	}
	report("20", "12")
	is("bought more", "20", "12", "8")
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestRestock: sent goods that come back are counted once, and the inventory is told.
func TestRestock(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.edit("till", domain.KindOrder, "", fields("customer", s.customer, "stage", "CONFIRMED", "paymentStatus", "PAID", "fulfilmentStatus", "FULFILLED", "lines", s.lines("2")))
	s.rest()
	s.edit("stock", domain.KindStockLevel, s.level, fields("onHand", "8", "committed", "0"))
	s.rest()
	note := s.edit("till", domain.KindCreditNote, "", fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1")))
	s.rest()
	s.edit("till", domain.KindCreditNote, note, fields("reason", "twice"))
	s.rest()
	if onHand, _ := s.position(); onHand != "9" {
		t.Errorf("%s on hand, want 9", onHand)
	}
	if got := s.get(s.level).Golden["onHand"].Text(); got != "9" {
		t.Errorf("the inventory's count is %s, want 9", got)
	}
}

// TestQuoteToCash: an accepted quote is a draft invoice once; when that is paid the quote says so.
func TestQuoteToCash(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	q := s.edit("till", domain.KindQuote, "", fields("title", "Kitchen", "customer", s.customer, "lines", s.lines("2")))
	s.rest()
	if n := len(s.all(domain.KindInvoice)); n != 0 {
		t.Fatalf("%d invoices of a draft quote", n)
	}
	for range 3 {
		s.edit("till", domain.KindQuote, q, fields("stage", "ACCEPTED", "notes", fmt.Sprint(rand.Int())))
	}
	s.rest()
	invoices := s.all(domain.KindInvoice)
	if len(invoices) != 1 || invoices[0].Stage != "DRAFT" || invoices[0].Golden["total"] != domain.Value(aud("22.00")) || invoices[0].Golden["taxTotal"] != domain.Value(aud("2.00")) {
		t.Fatalf("invoices: %+v", invoices)
	}
	s.edit("ops", domain.KindInvoice, invoices[0].ID, fields("stage", "AUTHORISED", "amountPaid", aud("10")))
	s.rest()
	if got := s.get(q).Golden["paymentStatus"].Text(); got != "PARTIALLY_PAID" {
		t.Errorf("the quote is %s", got)
	}
	s.edit("ops", domain.KindInvoice, invoices[0].ID, fields("stage", "PAID", "amountPaid", aud("22")))
	s.rest()
	if got := s.get(q).Golden["paymentStatus"].Text(); got != "PAID" {
		t.Errorf("the quote is %s", got)
	}
}

// TestOverpaidAndEdited: what flows cannot decide is asked of a person.
func TestOverpaidAndEdited(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.edit("till", domain.KindOrder, "", fields("number", "#1", "customer", s.customer, "stage", "CONFIRMED", "paymentStatus", "PAID", "lines", s.lines("1")))
	p := s.edit("till", domain.KindPayment, "", fields("order", o, "amount", aud("15"), "date", "2026-03-02"))
	s.rest()
	inv := s.all(domain.KindInvoice)[0].ID
	if got := s.get(p).Golden["allocations"]; got != domain.ValueOf([]domain.Allocation{{Amount: "4"}, {Invoice: inv, Amount: "11"}}) {
		t.Errorf("the payment pays %s, want 11 of the invoice and 4 on the customer's account", got)
	}
	if cs := s.cases(); !slices.Equal(cs, []string{"order #1 is overpaid by 4.00"}) {
		t.Errorf("cases: %v", cs)
	}
	s.edit("till", domain.KindOrder, o, fields("lines", s.lines("2")))
	s.rest()
	if cs := s.cases(); len(cs) != 2 || cs[0] != "order #1 is overpaid by 4.00" || cs[1] != "order #1 was changed after it was invoiced" {
		t.Errorf("cases: %v", cs)
	}
	if n := len(s.all(domain.KindInvoice)); n != 1 {
		t.Errorf("%d invoices", n)
	}
}

// TestDocumentsMustAddUp: what is entered here is worked out, and what does not come out is refused with the sum.
func TestDocumentsMustAddUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	res, err := s.engine.Applier().Edit(s.ctx, change.Edit{System: "ops", Kind: domain.KindInvoice, Fields: fields("customer", s.customer,
		"lines", `[{"description":"x","quantity":"3","unitPrice":"19.95","amount":"60"}]`), Cause: change.Cause{Actor: "test"}})
	must(t, err)
	if len(res.Refused) != 1 || !strings.Contains(res.Refused[0].Message, "59.85") || !strings.Contains(res.Refused[0].Message, "60") {
		t.Errorf("refused: %v", res.Refused)
	}
	res, err = s.engine.Applier().Edit(s.ctx, change.Edit{System: "ops", Kind: domain.KindInvoice, Fields: fields("customer", "cus_01hzzzzzzzzzzzzzzzzzzzzzzz",
		"lines", `[{"description":"x","unitPrice":"1"}]`), Cause: change.Cause{Actor: "test"}})
	must(t, err)
	if len(res.Refused) != 1 || !strings.Contains(res.Refused[0].Message, "there is no Customer") {
		t.Errorf("refused: %v", res.Refused)
	}
}

package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/money"
	"datum/domain/ownership"
	"datum/domain/store"
)

// flowQueue is where flows run.
const flowQueue = "flow"

// flowWorker brings up to date what follows from a document: it looks at how things are, not at what has happened, so it may
// run at any time, any number of times, in any order. Each document it makes bears its origin, which is a strong key, so that
// there is never a second one; each stock movement bears an id of its own.
type flowWorker struct {
	river.WorkerDefaults[FlowArgs]
	*Engine
}

func (w *flowWorker) Work(ctx context.Context, job *river.Job[FlowArgs]) error {
	id, key, version, err := store.FlowKey(ctx, w.pool, job.Args.EntityID)
	if err != nil || id == "" {
		return err
	}
	pol, _, err := w.applier.Policy(ctx, w.pool, version)
	if err != nil {
		return err
	}
	if pol.Flows.As == "" {
		return nil
	}
	if domain.KindOfID(id) == domain.KindStockLevel {
		f := newFlow(w.Engine, pol, store.Family{})
		e, err := f.entity(ctx, id)
		if err != nil || e == nil {
			return err
		}
		return f.stockLevel(ctx, e)
	}
	// Everything about one order is done by one after the other: two payments must not both pay the same cent.
	return w.turns.join(ctx, key, id, func(ctx context.Context, ids []string) error {
		return store.Alone(ctx, w.pool, key, func(family store.Family) error {
			f := newFlow(w.Engine, pol, family)
			for _, id := range ids {
				e, err := f.entity(ctx, id)
				if err != nil {
					return err
				}
				if e == nil {
					continue
				}
				if err := f.follow(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (f *flow) follow(ctx context.Context, e *store.Entity) error {
	switch e.Kind {
	case domain.KindQuote:
		return f.quote(ctx, e)
	case domain.KindOrder:
		return f.order(ctx, e)
	case domain.KindInvoice:
		return f.invoice(ctx, e)
	case domain.KindCreditNote:
		return f.creditNote(ctx, e)
	case domain.KindPayment:
		return f.payment(ctx, e)
	default:
		return nil
	}
}

// flow is one run under one policy. It looks at each entity once, and again after it has changed it: what others change
// meanwhile is the next run's.
type flow struct {
	*Engine
	pol  *ownership.Policy
	seen map[string]store.Entity

	key    string                   // whose family is known
	family map[string]bool          // its ids
	docs   map[domain.Kind][]string // those of what was made from it or belongs to it
	open   map[string]bool          // keys of their open cases
}

func newFlow(e *Engine, pol *ownership.Policy, family store.Family) *flow {
	f := &flow{Engine: e, pol: pol, seen: map[string]store.Entity{}, key: family.Key, family: map[string]bool{}, docs: map[domain.Kind][]string{}, open: map[string]bool{}}
	for _, x := range family.Entities {
		f.seen[x.ID], f.family[x.ID] = x, true
		if x.ID != f.key {
			f.docs[x.Kind] = append(f.docs[x.Kind], x.ID)
		}
	}
	for _, k := range family.Open {
		f.open[k] = true
	}
	return f
}

func (f *flow) on(name ownership.Flow) bool { return f.pol.Flows.On[name] }

// entity reads an entity, following merges; nil if there is none.
func (f *flow) entity(ctx context.Context, id string) (*store.Entity, error) {
	if id == "" {
		return nil, nil
	}
	e, ok := f.seen[id]
	if !ok {
		es, err := store.Goldens(ctx, f.pool, []string{id})
		if err != nil || len(es) == 0 {
			return nil, err
		}
		e = es[0]
		f.seen[id] = e
	}
	if e.MergedInto == "" {
		return &e, nil
	}
	id, err := store.Survivor(ctx, f.pool, id)
	if err != nil {
		return nil, err
	}
	return f.entity(ctx, id)
}

// edit applies an edit for the flow.
func (f *flow) edit(ctx context.Context, e change.Edit) (change.Result, error) {
	res, err := f.applier.Edit(ctx, e)
	delete(f.seen, res.EntityID)
	delete(f.seen, e.EntityID)
	return res, err
}

// made returns the document of the kind that was made from the origin, nil if there is none yet.
func (f *flow) made(ctx context.Context, kind domain.Kind, origin string) (*store.Entity, error) {
	ids := f.docs[kind]
	if origin != f.key || kind != domain.KindInvoice {
		var err error
		if ids, err = store.MadeFrom(ctx, f.pool, kind, origin); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return f.entity(ctx, ids[0])
}

// ofOrder returns the payments or credit notes of an order, the oldest first.
func (f *flow) ofOrder(ctx context.Context, kind domain.Kind, order string) ([]string, error) {
	if order == f.key {
		return f.docs[kind], nil
	}
	return store.OfOrder(ctx, f.pool, kind, order)
}

func (f *flow) cause(e *store.Entity, flow ownership.Flow) change.Cause {
	return change.Cause{Actor: "flow:" + string(flow), Source: change.FromFlow, CorrelationID: domain.NewID("cor")}
}

// make creates a document unless there is one of the origin, and returns it.
func (f *flow) make(ctx context.Context, flow ownership.Flow, from *store.Entity, kind domain.Kind, fields domain.Values) (*store.Entity, error) {
	made, err := f.made(ctx, kind, from.ID)
	if err != nil || made != nil {
		return made, err
	}
	fields["origin"] = domain.TextValue(from.ID)
	for x, v := range fields {
		if v.Empty() {
			delete(fields, x)
		}
	}
	res, err := f.edit(ctx, change.Edit{System: f.pol.Flows.As, Kind: kind, Fields: fields, Cause: f.cause(from, flow)})
	if err != nil {
		return nil, err
	}
	if len(res.Refused) > 0 {
		if res.EntityID != "" && res.Refused[0].Code == domain.Conflict { // somebody was faster, or it was entered by hand
			return f.entity(ctx, res.EntityID)
		}
		return nil, f.stuckAt(ctx, flow, from, res.Refused[0])
	}
	if from.ID == f.key {
		f.docs[kind] = append(f.docs[kind], res.EntityID)
	}
	if err := f.settled(ctx, flowKey(flow, from)); err != nil {
		return nil, err
	}
	f.log.InfoContext(ctx, "document made", "flow", string(flow), "entity", res.EntityID, "kind", kind, "names", []string{from.ID})
	return f.entity(ctx, res.EntityID)
}

// set changes fields of a document for the flow's system; fields that are as they should be are left alone.
func (f *flow) set(ctx context.Context, flow ownership.Flow, e *store.Entity, fields domain.Values) error {
	want := domain.Values{}
	for x, v := range fields {
		if have := e.Golden[x]; have != v && !(have.Empty() && v.Empty()) {
			want[x] = v
		}
	}
	if len(want) == 0 {
		return nil
	}
	for len(want) > 0 {
		res, err := f.edit(ctx, change.Edit{System: f.pol.Flows.As, Kind: e.Kind, EntityID: e.ID, Fields: want, Quiet: true, Cause: f.cause(e, flow)})
		if err != nil || len(res.Refused) == 0 {
			return err
		}
		for _, r := range res.Refused {
			if r.Code != domain.NotOwner || want[r.Field] == "" {
				return f.stuckAt(ctx, flow, e, r)
			}
			delete(want, r.Field) // its owner says something else, and wins
		}
	}
	return nil
}

// stuckAt opens a case: the flow cannot go on by itself. It is tried again with the next change of the document.
func (f *flow) stuckAt(ctx context.Context, flow ownership.Flow, e *store.Entity, why *domain.Error) error {
	return f.ask(ctx, e, flowKey(flow, e), fmt.Sprintf("%s: %s cannot go on", change.NameOf(e.Golden), flow), why.Message,
		"put the document right where it is entered; the flow goes on by itself")
}

// ask opens a case about a document, once.
func (f *flow) ask(ctx context.Context, e *store.Entity, key, title, message, next string) error {
	f.open[key] = true
	return store.OpenCase(ctx, f.pool, store.Case{ID: domain.NewID("case"), Kind: store.CaseFlow, EntityKind: e.Kind, EntityID: e.ID, DedupeKey: key,
		Title: title, Detail: store.CaseDetail{Message: message, Next: next}})
}

// settled closes the case of a key: what it was about is no longer so.
func (f *flow) settled(ctx context.Context, key string) error {
	if f.family[key[strings.LastIndex(key, "|")+1:]] && !f.open[key] {
		return nil
	}
	return store.CloseCaseByKey(ctx, f.pool, key, "no longer so")
}

// copied are the fields that a document hands on to one made from it.
func copied(from *store.Entity) domain.Values {
	v := domain.Values{}
	for _, x := range []domain.Field{"customer", "currency", "taxMode", "lines", "notes"} {
		v[x] = from.Golden[x]
	}
	// The lines as agreed, with the issuer's figures where it has given them: the same cents arrive in accounting.
	for _, x := range []domain.Field{"subtotal", "taxTotal", "rounding", "total"} {
		v[x] = from.Golden[x]
	}
	v["reference"] = from.Golden["number"]
	if r := domain.Amount(v["rounding"]); !r.IsZero() {
		// Cash was rounded to five cents: a line, because that is where accounting has a place for it.
		delete(v, "rounding")
		v["lines"] = domain.ValueOf(append(domain.LinesOf(v["lines"]), domain.Line{Kind: domain.LineRounding, Description: "Rounding", Quantity: "1", UnitPrice: r.String(),
			Amount: r.String(), Tax: "0", TaxCode: string(money.OutOfScope)}))
	}
	return v
}

// quote: an accepted quote becomes a draft invoice.
func (f *flow) quote(ctx context.Context, q *store.Entity) error {
	if !f.on(ownership.QuoteToInvoice) || q.Stage != "ACCEPTED" && q.Stage != "INVOICED" || q.Golden["lines"].Empty() {
		return nil
	}
	fields := copied(q)
	fields["stage"] = domain.TextValue("DRAFT")
	fields["issueDate"] = today()
	if fields["reference"].Empty() {
		fields["reference"] = q.Golden["title"]
	}
	_, err := f.make(ctx, ownership.QuoteToInvoice, q, domain.KindInvoice, fields)
	return err
}

func today() domain.Value { return domain.TextValue(time.Now().In(sydney).Format(time.DateOnly)) }

// sydney is where documents are dated that Datum makes.
var sydney = func() *time.Location {
	if l, err := time.LoadLocation("Australia/Sydney"); err == nil {
		return l
	}
	return time.FixedZone("AEST", 10*60*60)
}()

// order: a confirmed order commits stock; once something is paid it becomes an invoice, which its payments pay.
func (f *flow) order(ctx context.Context, o *store.Entity) error {
	if f.on(ownership.OrderToStock) {
		if err := f.commit(ctx, o); err != nil {
			return err
		}
	}
	status := o.Golden["paymentStatus"].Text()
	if !f.on(ownership.OrderToInvoice) || status == "" || status == "UNPAID" || o.Stage == "DRAFT" || o.Golden["lines"].Empty() {
		return nil
	}
	inv, err := f.made(ctx, domain.KindInvoice, o.ID)
	if err != nil {
		return err
	}
	if inv == nil {
		// What was paid and called off is invoiced, too, and credited by its refund: seen a moment earlier it would be.
		if o.Stage == "CANCELLED" && domain.Amount(o.Golden["total"]).IsZero() {
			return nil
		}
		if o.Golden["customer"].Empty() {
			return f.nameless(ctx, o)
		}
		fields := copied(o)
		fields["stage"] = domain.TextValue("AUTHORISED")
		fields["issueDate"] = o.Golden["orderDate"]
		if fields["issueDate"].Empty() {
			fields["issueDate"] = today()
		}
		fields["dueDate"] = fields["issueDate"]
		if inv, err = f.make(ctx, ownership.OrderToInvoice, o, domain.KindInvoice, fields); err != nil || inv == nil {
			return err
		}
	} else if err := f.edited(ctx, o, inv); err != nil {
		return err
	}
	// Payments and refunds of the order may have come before it.
	for _, kind := range []domain.Kind{domain.KindPayment, domain.KindCreditNote} {
		ids, err := f.ofOrder(ctx, kind, o.ID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			e, err := f.entity(ctx, id)
			if err != nil {
				return err
			}
			if kind == domain.KindPayment {
				err = f.pay(ctx, e, o, inv)
			} else {
				err = f.credit(ctx, e, o, inv)
			}
			if err != nil {
				return err
			}
		}
	}
	return f.calledOff(ctx, o, inv)
}

// nameless waits for the order's customer to be known, or asks for one where the order names none.
func (f *flow) nameless(ctx context.Context, o *store.Entity) error {
	recs, err := store.RecordsOf(ctx, f.pool, []string{o.ID})
	if err != nil {
		return err
	}
	for _, r := range recs {
		if len(r.Waits) > 0 {
			return nil // the order is looked at again when it is
		}
	}
	return f.ask(ctx, o, flowKey(ownership.OrderToInvoice, o), fmt.Sprintf("order %s is paid and names no customer", o.Golden["number"].Text()),
		"an invoice has to say to whom it is", "give the order a customer in the shop; it is invoiced then by itself")
}

func flowKey(flow ownership.Flow, e *store.Entity) string { return "flow|" + string(flow) + "|" + e.ID }

// edited tells a person that an order was changed after it was invoiced: an issued invoice is not rewritten.
func (f *flow) edited(ctx context.Context, o, inv *store.Entity) error {
	key := "edited|" + o.ID
	refunded, total := domain.Amount(o.Golden["amountRefunded"]), domain.Amount(o.Golden["total"])
	was := domain.Amount(inv.Golden["total"])
	// The shop shows what is left after a refund, or what there was before it.
	if inv.Stage == "VOIDED" || total.Equal(was) || total.Add(refunded).Equal(was) || near(total, was) || near(total.Add(refunded), was) {
		return f.settled(ctx, key)
	}
	if inv.Stage == "DRAFT" {
		return f.set(ctx, ownership.OrderToInvoice, inv, copied(o))
	}
	return f.ask(ctx, o, key, fmt.Sprintf("order %s was changed after it was invoiced", o.Golden["number"].Text()),
		fmt.Sprintf("the order is %s now, and invoice %s was issued over %s", total.StringFixed(2), inv.Golden["number"].Text(), was.StringFixed(2)),
		"issue a credit note or a further invoice over the difference in accounting")
}

// calledOff tells a person that an order was cancelled and its invoice stands: nothing has taken it back.
func (f *flow) calledOff(ctx context.Context, o, inv *store.Entity) error {
	key := "cancelled|" + o.ID
	if o.Stage != "CANCELLED" || inv.Stage == "VOIDED" {
		return f.settled(ctx, key)
	}
	notes, err := f.ofOrder(ctx, domain.KindCreditNote, o.ID)
	if err != nil {
		return err
	}
	credited := decimal.Zero
	for _, id := range notes {
		c, err := f.entity(ctx, id)
		if err != nil {
			return err
		}
		if c.Stage != "VOIDED" {
			credited = credited.Add(domain.Amount(c.Golden["total"]))
		}
	}
	total, refunded := domain.Amount(inv.Golden["total"]), domain.Amount(o.Golden["amountRefunded"])
	stands := total.Sub(decimal.Max(credited, domain.Amount(inv.Golden["amountCredited"])))
	if !stands.IsPositive() || near(stands, decimal.Zero) || refunded.GreaterThan(credited) && !near(refunded, credited) {
		return f.settled(ctx, key) // or the credit note of what was given back is on its way
	}
	return f.ask(ctx, o, key, fmt.Sprintf("order %s was cancelled and its invoice stands", o.Golden["number"].Text()),
		fmt.Sprintf("nothing has taken back %s of invoice %s; of what was paid %s has not been given back", stands.StringFixed(2), inv.Golden["number"].Text(),
			decimal.Max(decimal.Zero, domain.Amount(o.Golden["amountPaid"]).Sub(refunded)).StringFixed(2)),
		"give the money back where it was taken, and a credit note follows by itself; or credit or void the invoice in accounting; ignore this if the money is to be kept")
}

// near allows for the two lawful ways of rounding GST.
func near(a, b decimal.Decimal) bool { return a.Sub(b).Abs().LessThanOrEqual(decimal.New(5, -2)) }

// invoice: what is paid shows on what the invoice was made from.
func (f *flow) invoice(ctx context.Context, inv *store.Entity) error {
	if err := f.again(ctx, inv); err != nil {
		return err
	}
	from, err := f.entity(ctx, inv.Golden["origin"].Text())
	if err != nil || from == nil {
		return err
	}
	if from.Kind == domain.KindOrder {
		// Its payments may have waited for the invoice to be issued.
		if err := f.order(ctx, from); err != nil {
			return err
		}
	}
	if !f.on(ownership.PaymentToStatus) {
		return nil
	}
	total, paid, credited := domain.Amount(inv.Golden["total"]), domain.Amount(inv.Golden["amountPaid"]), domain.Amount(inv.Golden["amountCredited"])
	covered := paid.Add(credited)
	if covered.LessThan(total) && from.Kind == domain.KindOrder && !from.Golden["paymentStatus"].Empty() {
		if inv.Golden["amountPaid"].Empty() {
			return nil // accounting has not seen it yet, and the order knows better
		}
		// What has come in counts before accounting has booked it: the order is not unpaid for that moment.
		allocated, err := store.AllocatedTo(ctx, f.pool, inv.ID)
		if err != nil {
			return err
		}
		covered = decimal.Max(covered, allocated)
	}
	status := "UNPAID"
	switch {
	case inv.Stage == "PAID" || total.IsPositive() && covered.GreaterThanOrEqual(total):
		status = "PAID"
	case covered.IsPositive():
		status = "PARTIALLY_PAID"
	}
	fields := domain.Values{"paymentStatus": domain.TextValue(status)}
	if from.Kind == domain.KindOrder && !inv.Golden["amountPaid"].Empty() && (paid.IsPositive() || !from.Golden["amountPaid"].Empty()) {
		fields["amountPaid"] = inv.Golden["amountPaid"]
	}
	return f.set(ctx, ownership.PaymentToStatus, from, fields)
}

// again has payments and credits tried once more that a system refused before the invoice was as it is now: while it was a draft.
func (f *flow) again(ctx context.Context, inv *store.Entity) error {
	if inv.Stage != "AUTHORISED" {
		return nil
	}
	refused, err := store.RefusedFor(ctx, f.pool, inv.ID)
	if err != nil {
		return err
	}
	for _, u := range refused {
		if err := f.applier.Retry(ctx, u.EntityID, u.System, f.cause(inv, ownership.PaymentToStatus)); err != nil {
			return err
		}
	}
	return nil
}

// Package ownership is the published business decision of which system owns each field at each stage, and the pure
// function that selects golden values by it. It leaves storing and enforcing to others.
package ownership

import (
	"slices"
	"time"

	"datum/domain"
	"datum/domain/money"
)

// Native is the adapter of a system that is Datum's own: apps write through GraphQL and nothing is called.
const Native = "native"

// Policy is one version of the decision.
type Policy struct {
	Systems []System // in the order of the document
	Kinds   map[domain.Kind]*KindPolicy
	Flows   Flows
	Numbers map[domain.Kind]Number // kinds whose numbers Datum allocates; their owner does the others'
	GST     money.Rounding         // of documents that Datum works out; "" is PerLine
	// Brakes are those that the document speaks of, by system, "" for all; see Brake.
	Brakes map[string]map[Way]Brake
	// Expires is how long an owner is asked for a change of any kind that does not say so itself; 0 is AskedFor.
	Expires time.Duration

	lines map[string]int // of the parsed document, by the path of what stands there: "Customer.fields.abn"
}

// System is a connected system and the adapter it uses.
type System struct {
	Name    string
	Adapter string
	// Settings are the account's own, where somebody has looked them up; a policy says nothing of them.
	Settings map[string]string
}

// KindPolicy is the decision for one kind.
type KindPolicy struct {
	Kind      domain.Kind
	Owner     string               // owns every field without a rule of its own
	Create    []string             // systems whose new objects become new entities
	Replicate map[string]Condition // when the kind is written to a system; unlisted is Never
	Fields    map[domain.Field]Rule
	Stages    map[string]map[domain.Field]Rule // overrides by lifecycle stage
	Match     Match
	Expires   time.Duration // how long an owner is asked for a change; 0 is as for all kinds
}

// Match says from which probability records of a kind that share no strong key are taken for one. 0 is never.
type Match struct {
	Ask  float64 // from here a person is asked
	Link float64 // from here the record of a system that has none of the entity is linked to the only candidate
}

// Flow is something that Datum does by itself when documents move.
type Flow string

// Flows there are.
const (
	QuoteToInvoice     Flow = "quote_to_invoice"      // a quote accepted becomes a draft invoice
	OrderToInvoice     Flow = "order_to_invoice"      // an order paid becomes an invoice, and its payments pay it
	OrderToStock       Flow = "order_to_stock"        // an order confirmed commits stock, a refund brings it back
	RefundToCreditNote Flow = "refund_to_credit_note" // a refund credits the order's invoice
	PaymentToStatus    Flow = "payment_to_status"     // what is paid shows on the order and the quote
)

// AllFlows returns every flow.
func AllFlows() []Flow {
	return []Flow{QuoteToInvoice, OrderToInvoice, OrderToStock, RefundToCreditNote, PaymentToStatus}
}

// Followed reports whether flows look at entities of the kind.
func Followed(k domain.Kind) bool {
	switch k {
	case domain.KindQuote, domain.KindOrder, domain.KindInvoice, domain.KindCreditNote, domain.KindPayment, domain.KindStockLevel:
		return true
	default:
		return false
	}
}

// Flows say which flows are on, and for which native system they write.
type Flows struct {
	As string
	On map[Flow]bool
}

// Number says how the numbers look that Datum allocates for a kind: "INV-00042".
type Number struct {
	Prefix string
	Digits int
}

// Condition says when an entity is replicated to a system.
type Condition string

// Conditions.
const (
	Always     Condition = "always"
	Never      Condition = "never"
	WhenBilled Condition = "when_billed" // a customer from lifecycle stage CUSTOMER on
	// WhenConfirmed is a document that is neither a draft nor called off; WhenPaid an order of which something is paid;
	// WhenAllocated a payment or credit note of which it is known what it pays.
	WhenConfirmed Condition = "when_confirmed"
	WhenPaid      Condition = "when_paid"
	WhenAllocated Condition = "when_allocated"
	// WhenNeeded is what something that is written to the system refers to: the customers of its invoices, and no others.
	WhenNeeded Condition = "when_needed"
)

var conditions = []Condition{Always, Never, WhenBilled, WhenConfirmed, WhenPaid, WhenAllocated, WhenNeeded}

// Others says what happens to an edit by a system that does not own the field.
type Others string

// Answers to a non-owner's edit.
const (
	Restore Others = "restore" // the golden value is written back
	Propose Others = "propose" // a case opens; theirs stays in their system until it is decided
	Keep    Others = "keep"    // a local variation is fine
)

// Rule is the decision for one field.
type Rule struct {
	Owner    string
	Fallback []string // who is asked when the owner has no value, in order; nil means KindPolicy.Create
	Others   Others   // "" means Restore
	Editors  bool     // editors, and not only operators, may ask the owner for a change
}

// System returns the system of that name; its adapter is "" if the policy does not know it.
func (p *Policy) System(name string) System { return System{Name: name, Adapter: p.Adapter(name)} }

// Adapter returns the adapter of the system, "" if the policy does not know it.
func (p *Policy) Adapter(system string) string {
	for _, s := range p.Systems {
		if s.Name == system {
			return s.Adapter
		}
	}
	return ""
}

// Kind returns the decision for a kind; a kind the policy does not mention is owned by nobody and replicated nowhere.
func (p *Policy) Kind(k domain.Kind) *KindPolicy {
	if kp := p.Kinds[k]; kp != nil {
		return kp
	}
	return &KindPolicy{Kind: k}
}

// Rule returns the effective rule of the field at the stage, with defaults filled in.
func (kp *KindPolicy) Rule(f domain.Field, stage string) Rule {
	r, ok := kp.Stages[stage][f]
	base := kp.Fields[f]
	if !ok {
		r = base
	}
	if r.Owner == "" {
		r.Owner = base.Owner
	}
	if r.Owner == "" {
		r.Owner = kp.Owner
	}
	if r.Fallback == nil {
		r.Fallback = base.Fallback
	}
	if r.Fallback == nil {
		r.Fallback = kp.Create
	}
	if r.Others == "" {
		r.Others = base.Others
	}
	r.Editors = r.Editors || base.Editors
	if r.Others == "" {
		r.Others = Restore
	}
	return r
}

// MayCreate reports whether new objects of the system become new entities.
func (kp *KindPolicy) MayCreate(system string) bool { return slices.Contains(kp.Create, system) }

// Replicates reports whether an entity with these golden values is to be written to the system; needed says that something
// else that is written there refers to it.
func (kp *KindPolicy) Replicates(system string, golden domain.Values, needed bool) bool {
	ki, _ := kp.Kind.Info()
	stage := golden[ki.StageField].Text()
	switch kp.Replicate[system] {
	case Always:
		return true
	case WhenBilled:
		return stage == "CUSTOMER" || stage == "FORMER_CUSTOMER"
	case WhenConfirmed:
		return !slices.Contains([]string{"", "DRAFT", "CANCELLED", "VOIDED", "DECLINED", "EXPIRED"}, stage)
	case WhenPaid:
		status := golden["paymentStatus"].Text()
		return status != "" && status != "UNPAID" && stage != "CANCELLED"
	case WhenNeeded:
		return needed
	case WhenAllocated:
		return !golden["allocations"].Empty() && stage != "VOIDED"
	default:
		return false
	}
}

package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/graph"
)

// mutations runs GraphQL mutations of one input in the name of a system: it returns the id of the object and what was refused, as
// "CODE field owner stage: message".
func (r *rig) mutations(system string) func(name string, input map[string]any) (id string, refused []string) {
	ask := r.apiOf(system)
	return func(name string, input map[string]any) (string, []string) {
		r.t.Helper()
		field := graph.Schema().Mutation.Fields.ForName(name)
		data := ask("", fmt.Sprintf(`mutation($in: %s!) { m: %s(input: $in) { o: %s { id } userErrors { code field owner stage message } } }`,
			field.Arguments.ForName("input").Type.Name(), name, graph.Schema().Types[field.Type.Name()].Fields[0].Name), map[string]any{"in": input})
		m := data["m"].(map[string]any)
		var refused []string
		for _, e := range m["userErrors"].([]any) {
			x := e.(map[string]any)
			refused = append(refused, fmt.Sprint(x["code"], " ", x["field"], " ", x["owner"], " ", x["stage"], ": ", x["message"]))
		}
		o, _ := m["o"].(map[string]any)
		id, _ := o["id"].(string)
		return id, refused
	}
}

type values = map[string]any

// TestLockedPeriod: what is asked for over GraphQL of a document in the locked part of accounting's books is refused with the lock
// date, and nothing is sent; what was let through because the books were locked a moment ago is a case with the date.
func TestLockedPeriod(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	do := r.mutations("accounting")
	mine := func(want string, id string, refused []string) string {
		t.Helper()
		if want == "" && len(refused) > 0 || want != "" && (len(refused) != 1 || !strings.HasPrefix(refused[0], "FORBIDDEN") || !strings.Contains(refused[0], want)) {
			t.Errorf("refused: %q, want %q", refused, want)
		}
		return id
	}
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Hartley Plumbing Pty Ltd", "abn", "51824753556"))
	lines := []values{{"description": "Work", "quantity": "1", "unitPrice": "110", "taxCode": "GST"}}
	doc := func(kind, stage, day string, more values) (string, []string) {
		v := values{"customer": customer, "stage": stage, "issueDate": day, "lines": lines}
		if kind == "Invoice" {
			v["dueDate"] = "2026-05-30"
		}
		for k, x := range more {
			v[k] = x
		}
		return do("create"+kind, values{"values": v})
	}
	id, refused := doc("Invoice", "AUTHORISED", "2026-03-02", nil)
	issued := mine("", id, refused)
	id, refused = doc("Invoice", "AUTHORISED", "2026-03-02", nil)
	paid := mine("", id, refused)
	id, refused = doc("Invoice", "DRAFT", "2026-03-02", nil)
	draft := mine("", id, refused)
	id, refused = doc("CreditNote", "AUTHORISED", "2026-03-02", nil)
	note := mine("", id, refused)
	r.quiet(30 * time.Second)
	pay := func(day string) (string, []string) {
		return do("createPayment", values{"values": values{"customer": customer, "amount": values{"amount": "50", "currency": "AUD"}, "date": day,
			"allocations": []values{{"invoice": paid, "amount": "50"}}}})
	}
	id, refused = pay("2026-03-03")
	payment := mine("", id, refused)
	r.quiet(30 * time.Second)
	if cs := r.openCases(); len(cs) > 0 {
		t.Fatalf("cases: %v", cs)
	}

	// The bookkeeper locks March. Nobody here knows yet.
	r.xero.SetLock(time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC))
	update := func(id string, v values) (string, []string) {
		return do("updateInvoice", values{"id": id, "values": v})
	}
	id, refused = update(issued, values{"issueDate": "2026-03-05"})
	mine("", id, refused)
	eventually(t, 20*time.Second, "accounting's refusal is a case", func() (bool, any) {
		cs := r.openCases()
		return len(cs) == 1 && strings.Contains(cs[0], "31 March 2026"), cs
	})
	ask := r.api()
	until := func() any {
		for _, s := range ask("", `{ systems { name lockedUntil } }`, nil)["systems"].([]any) {
			if m := s.(map[string]any); m["name"] == "accounting" {
				return m["lockedUntil"]
			}
		}
		return nil
	}
	// The refusal has the lock date looked at. From now on everybody is told at once.
	eventually(t, 20*time.Second, "the lock date is known", func() (bool, any) { got := until(); return got == "2026-03-31", got })
	eventually(t, 5*time.Second, "edits are refused here", func() (bool, any) {
		_, refused := update(issued, values{"reference": "far too late"})
		return len(refused) == 1, refused
	})
	before := r.xero.Stats().WriteCalls
	const words = "locked up to and including 2026-03-31"
	step := func(name, id string) (string, []string) { return do(name, values{"id": id}) }
	for what, try := range map[string]func() (string, []string){
		"an edit":                        func() (string, []string) { return update(issued, values{"reference": "x"}) },
		"an edit of what is partly paid": func() (string, []string) { return update(paid, values{"dueDate": "2026-06-01"}) },
		"a later date":                   func() (string, []string) { return update(issued, values{"issueDate": "2026-04-02"}) },
		"a void":                         func() (string, []string) { return step("voidInvoice", issued) },
		"an authorisation of a draft":    func() (string, []string) { return step("authoriseInvoice", draft) },
		"a void of a credit note":        func() (string, []string) { return step("voidCreditNote", note) },
		"a new invoice":                  func() (string, []string) { return doc("Invoice", "AUTHORISED", "2026-03-31", nil) },
		"a new credit note":              func() (string, []string) { return doc("CreditNote", "AUTHORISED", "2026-03-31", nil) },
		"a payment":                      func() (string, []string) { return pay("2026-03-31") },
		"a void of a payment":            func() (string, []string) { return step("voidPayment", payment) },
		"a credit note set off in March": func() (string, []string) {
			return do("allocateCreditNote", values{"id": note, "allocations": []values{{"invoice": paid, "amount": "10", "date": "2026-03-30"}}})
		},
		"a change of a payment's allocations": func() (string, []string) {
			return do("allocatePayment", values{"id": payment, "allocations": []values{{"invoice": issued, "amount": "50"}}})
		},
	} {
		if _, refused := try(); len(refused) != 1 || !strings.HasPrefix(refused[0], "FORBIDDEN") || !strings.Contains(refused[0], words) {
			t.Errorf("%s: refused: %q", what, refused)
		}
	}
	if after := r.xero.Stats().WriteCalls; fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("accounting was written to: %v, before %v", after, before)
	}
	// What lies later, and drafts, go on.
	id, refused = doc("Invoice", "AUTHORISED", "2026-04-01", nil)
	mine("", id, refused)
	id, refused = update(draft, values{"reference": "still a draft"})
	mine("", id, refused)
	id, refused = do("allocateCreditNote", values{"id": note, "allocations": []values{{"invoice": paid, "amount": "10", "date": "2026-04-02"}}})
	mine("", id, refused)
	r.quiet(30 * time.Second)
	if cs := r.openCases(); len(cs) != 1 {
		t.Errorf("cases: %v", cs)
	}

	// The period is opened, and the case tried again.
	r.xero.SetLock(time.Time{})
	must(t, store.HurryLockReading(t.Context(), r.pool, "accounting", 0))
	eventually(t, 20*time.Second, "the books are open", func() (bool, any) { got := until(); return got == nil, got })
	cs, err := store.ListCases(t.Context(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
	must(t, err)
	ask("", `mutation($id: ID!) { resolveCase(input: {id: $id, choice: "retry"}) { userErrors { message } } }`, values{"id": cs[0].ID})
	eventually(t, 5*time.Second, "edits are taken", func() (bool, any) {
		_, refused := update(paid, values{"reference": "in time"})
		return len(refused) == 0, refused
	})
	r.quiet(30 * time.Second)
	if cs := r.openCases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}
	objects, err := r.xero.Objects("invoices")
	must(t, err)
	if s := text(objects); !strings.Contains(s, `"2026-03-05`) || !strings.Contains(s, `"in time"`) {
		t.Errorf("accounting has %s", s)
	}
}

package change_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// owned is the default policy with another rule for e-mail.
func owned(rule string) string {
	lines := strings.Split(ownership.DefaultSource(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "    email:") {
			lines[i] = "    email: " + rule
			return strings.Join(lines, "\n")
		}
	}
	panic("the default policy has no rule for e-mail")
}

// reject lets a person reject what a mass change of the system made of the object.
func (w *world) reject(system, id string, values domain.Values) change.Result {
	w.tb.Helper()
	w.clock++
	v := w.stored(system, id).Values.Clone()
	for f, x := range values {
		v[f] = x
	}
	res, err := w.a.Record(ctx, change.Incoming{System: system, Record: w.record(id, w.clock, v), Brake: change.Reject, Cause: w.cause("Jo", change.FromPoll)})
	w.ok(err)
	return res
}

// What is rejected of a mass change is written back where it came from, and from then on all is as before: nothing stays pinned,
// and the next edit there is what the policy makes of it.
func TestRejectedMassChange(t *testing.T) {
	t.Parallel()
	const was, mass, next = "a@emu.example.com", "b@emu.example.com", "c@emu.example.com"
	for _, others := range []string{"restore", "propose", "keep"} {
		for _, c := range []struct{ name, owner, fallback, books string }{
			{"crm owns it", crm, accounting, was},
			{"accounting owns it and has none", accounting, crm, ""},
			{"accounting owns it and is not there", accounting, crm, "absent"},
			{"ops owns it and has said nothing of it", ops, crm, was},
		} {
			t.Run(others+", "+c.name, func(t *testing.T) {
				t.Parallel()
				src := owned(fmt.Sprintf("{owner: %s, fallback: [%s], others: %s}", c.owner, c.fallback, others))
				if c.books == "absent" {
					src = strings.Replace(src, "replicate: {crm: always, accounting: always} # so that an invoice", "replicate: {crm: always, accounting: never} # so that an invoice", 1)
				}
				w := newWorld(t, src)
				id := w.see(crm, "h1", values("abn", abn(1), "legalName", "Emu Pty Ltd", "email", was)).EntityID
				if c.books != "absent" {
					w.see(accounting, "x1", values("abn", abn(1), "legalName", "Emu Pty Ltd", "email", c.books))
				}
				w.edit(ops, id, domain.Values{"creditLimit": domain.ValueOf(map[string]string{"amount": "100.00", "currency": "AUD"})})
				w.work(w.faithful)
				w.isGolden(id, "email", text(was))

				w.reject(crm, "h1", values("email", mass))
				w.isGolden(id, "email", text(was))
				w.work(w.faithful)
				w.isGolden(id, "email", text(was))
				w.isAt(id, crm, store.Confirmed)
				if v := w.stored(crm, "h1").Values["email"]; v != text(was) {
					t.Errorf("crm has %s: what was rejected is not written back", v)
				}
				if p := w.pins(id); len(p) > 0 {
					t.Errorf("%v stays pinned", p)
				}
				w.none("")
				if c.books == "" && !w.stored(accounting, "x1").Values["email"].Empty() {
					t.Errorf("accounting is told %s, which it was not before", w.stored(accounting, "x1").Values["email"])
				}
				w.quietly("reading it again", func() { w.change(crm, "h1", nil) })

				w.change(crm, "h1", values("email", next))
				w.isGolden(id, "email", text(next))
				if cs := w.open(""); len(cs) > 0 && c.books != was {
					t.Errorf("what is as before is asked about: %+v", cs[0])
				}
			})
		}
	}
}

package change

import (
	"fmt"
	"maps"
	"slices"

	"datum/domain"
	"datum/domain/ownership"
)

// booked are the kinds that stand in books, with the field whose day decides whether they lie in a locked period.
var booked = map[domain.Kind]domain.Field{domain.KindInvoice: "issueDate", domain.KindCreditNote: "issueDate", domain.KindPayment: "date"}

// locked refuses an edit by which a system would have to write into the locked part of its books; nil if none would. Drafts do
// not stand in the books. Only what people and apps ask for is refused here: what flows write is refused by the system itself,
// and goes on by itself when the period is unlocked. golden is nil for a new document.
func (r *run) locked(pol *ownership.Policy, e Edit, golden domain.Values, has func(system string) bool) (*domain.Error, error) {
	dated, ok := booked[e.Kind]
	if !ok || e.Source != FromMutation && e.Source != FromImport {
		return nil, nil
	}
	changed := domain.Values{}
	for f, v := range e.Fields {
		if !equal(v, golden[f]) {
			changed[f] = v
		}
	}
	now := domain.Values{}
	maps.Copy(now, golden)
	maps.Copy(now, changed)
	drafts := []string{"", "DRAFT", "SUBMITTED"}
	was, is := golden["stage"].Text(), now["stage"].Text()
	for _, sys := range pol.Systems {
		known, err := r.system(pol, sys.Name)
		if err != nil {
			return nil, err
		}
		until := r.lockedUntil(sys.Name)
		if until == "" || !has(sys.Name) && !pol.Kind(e.Kind).Replicates(sys.Name, now, false) {
			continue
		}
		in := func(day string) bool { return day != "" && day <= until }
		writable, _ := r.carrier.Writable(known, e.Kind)
		day := ""
		for _, f := range changed.Fields() {
			switch {
			case !slices.Contains(writable, f):
			case f == "allocations" && e.Kind == domain.KindCreditNote: // has days of its own
				old := domain.AllocationsOf(golden[f])
				for _, a := range domain.AllocationsOf(changed[f]) {
					if in(a.Date) && !slices.Contains(old, a) {
						day = a.Date
					}
				}
			case !slices.Contains(drafts, was) && in(golden[dated].Text()):
				day = golden[dated].Text()
			case !slices.Contains(drafts, is) && !(slices.Contains(drafts, was) && is == "VOIDED") && in(now[dated].Text()):
				day = now[dated].Text()
			}
		}
		if day != "" {
			return &domain.Error{Code: domain.Forbidden, System: sys.Name, Stage: is, Message: fmt.Sprintf(
				"the books in %s are locked up to and including %s, and this is dated %s: nothing can be changed there. Date it later, or unlock the period in %s first",
				sys.Name, until, day, sys.Name)}, nil
		}
	}
	return nil, nil
}

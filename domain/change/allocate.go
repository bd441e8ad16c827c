package change

import (
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/store"
)

// payer is the customer of a payment, or of its order if it names none.
func (r *run) payer(payment domain.Values) (domain.Value, error) {
	if !payment["customer"].Empty() {
		return payment["customer"], nil
	}
	es, err := store.Goldens(r.ctx, r.tx, []string{payment["order"].Text()})
	if err != nil || len(es) == 0 {
		return domain.Null, err
	}
	return es[0].Golden["customer"], nil
}

// allocate sets what of a payment is on the customer's account against the invoice that a person names, as far as it is open.
func (r *run) allocate(c store.Case, d Decision) error {
	if domain.KindOfID(d.TargetID) != domain.KindInvoice {
		return domain.Errorf(domain.Invalid, "there is no invoice %s", d.TargetID)
	}
	st, _, err := r.lock(d.TargetID) // so that two payments do not pay the same cent
	if err != nil {
		return err
	}
	inv := st.Entity
	allocated, err := store.AllocatedTo(r.ctx, r.tx, inv.ID)
	if err != nil {
		return err
	}
	open := domain.Amount(inv.Golden["total"]).Sub(allocated)
	if inv.Stage != "AUTHORISED" || !open.IsPositive() {
		return domain.Errorf(domain.Conflict, "%s is %s and %s of it is open: name an issued invoice that is not paid", NameOf(inv.Golden), inv.Stage, decimal.Max(open, decimal.Zero).StringFixed(2))
	}
	_, err = r.resettle(c.EntityID, func(s *settlement) error {
		golden := s.st.Entity.Golden
		payer, err := r.payer(golden)
		if err != nil {
			return err
		}
		if payer != inv.Golden["customer"] {
			return domain.Errorf(domain.Conflict, "%s is of another customer; the credit is of the one who paid", NameOf(inv.Golden))
		}
		var as []domain.Allocation
		for _, a := range domain.AllocationsOf(golden["allocations"]) {
			amount, err := decimal.NewFromString(a.Amount)
			if err != nil {
				return err
			}
			if take := decimal.Min(amount, open); a.OnAccount() && take.IsPositive() {
				open = open.Sub(take)
				as = append(as, domain.Allocation{Invoice: inv.ID, Amount: take.String()})
				if a.Amount = amount.Sub(take).String(); amount.Equal(take) {
					continue
				}
			}
			as = append(as, a)
		}
		ki, _ := domain.KindPayment.Info()
		fi, _ := ki.Field("allocations")
		v, _ := domain.Normalize(fi, domain.ValueOf(as))
		return r.decideField(s, "allocations", v, d.Actor, "set against "+NameOf(inv.Golden)+", case "+c.ID)
	})
	return err
}

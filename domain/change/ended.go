package change

import (
	"fmt"
	"slices"

	"datum/domain"
	"datum/domain/ownership"
)

// ended returns the field that says of an entity that it is no longer in use, and the value that says so, once its owner's record
// with these values has been deleted; "" if the kind has none, or if it had come to its end before: an order that was sent is
// tidied away and not called off.
func ended(kp *ownership.KindPolicy, last domain.Values) (domain.Field, string) {
	ki, _ := kp.Kind.Info()
	open := func(stages ...string) bool { return slices.Contains(stages, last[ki.StageField].Text()) }
	switch kp.Kind {
	case domain.KindCustomer, domain.KindProduct, domain.KindLocation:
		return "status", "ARCHIVED"
	case domain.KindInvoice, domain.KindCreditNote, domain.KindPayment:
		return ki.StageField, "VOIDED"
	case domain.KindOrder:
		if open("", "DRAFT", "CONFIRMED") {
			return ki.StageField, "CANCELLED"
		}
	case domain.KindQuote:
		if open("", "DRAFT", "SENT") {
			return ki.StageField, "DECLINED"
		}
	}
	return "", ""
}

// halfway refuses a step in an entity's life that would be taken here and not in the system that keeps the object, because Datum
// does not write it there; nil if there is none.
func (s *settlement) halfway(e Edit) (*domain.Error, error) {
	for _, f := range []domain.Field{"stage", "status"} {
		v, asked := e.Fields[f]
		if !asked || e.Through != nil || equal(v, s.golden[f]) {
			continue
		}
		rule := s.kp.Rule(f, s.res.Stage)
		if rule.Owner != e.System && !s.speaksFor(e.System, rule) {
			continue // refused or asked about because of that
		}
		if err := s.know(); err != nil {
			return nil, err
		}
		for _, sys := range s.pol.Systems {
			rec, _ := s.primary(sys.Name)
			if sys.Adapter == ownership.Native || rec == nil || rec.Values[f].Empty() {
				continue // it has no place for it
			}
			c := s.kp.Replicate[sys.Name]
			told := c != "" && c != ownership.Never
			if told && s.writable(sys.Name)[f] || sys.Name != rule.Owner && (!told || rule.Others == ownership.Keep) {
				continue
			}
			return &domain.Error{Code: domain.Unsupported, System: sys.Name, Field: f, Owner: rule.Owner, Stage: s.res.Stage,
				Message: fmt.Sprintf("it is kept in %s, and Datum does not write its %s there: do it in %s", sys.Name, f, sys.Name)}, nil
		}
	}
	return nil, nil
}

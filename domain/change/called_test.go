package change_test

import (
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
)

// A case is never about an unnamed record if there is a name that people know it by.
func TestCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	known := func(kind domain.Kind, v domain.Values) domain.Value {
		res, err := w.a.Edit(ctx, change.Edit{System: ops, Kind: kind, Fields: v, Cause: w.cause(ops, change.FromMutation)})
		w.ok(err)
		return domain.TextValue(res.EntityID)
	}
	kettle := known(domain.KindProduct, values("sku", "KTL", "name", "Kettle"))
	who := known(customer, values("legalName", "Hartley Pty Ltd"))
	for _, x := range []struct {
		kind domain.Kind
		v    domain.Values
		want string
	}{
		{domain.KindStockLevel, domain.Values{"product": kettle, "available": domain.TextValue("0")}, "Kettle"},
		{domain.KindStockLevel, domain.Values{"product": kettle, "location": who}, "Kettle at Hartley Pty Ltd"},
		{domain.KindPayment, domain.Values{"customer": who}, "payment of Hartley Pty Ltd"},
		{domain.KindPayment, domain.Values{"customer": who, "reference": domain.TextValue("EFT 12")}, "EFT 12"},
		{domain.KindPayment, domain.Values{"customer": domain.TextValue("ext:12")}, "an unnamed record"},
	} {
		if got, err := change.Called(ctx, w.pool, x.kind, x.v); err != nil || got != x.want {
			t.Errorf("%s %v is called %q, not %q: %v", x.kind, x.v, got, x.want, err)
		}
	}
}

package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"datum/adapters"
	"datum/domain"
)

func creditNoteMapping(d defaults) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCreditNote, Object: "CreditNotes", IDField: "Reference",
		Rows: []adapters.Row{
			numberRow("CreditNoteNumber", "unique; Xero gives the next one to a credit note that is created without"),
			refRow("customer", "Contact", "ContactID", "only the ContactID is sent"),
			dateRow("issueDate", "Date", ""),
			currencyRow(), taxModeRow(false), linesRow(d, false),
			totalRow("subtotal", "SubTotal"), totalRow("taxTotal", "TotalTax"), totalRow("total", "Total"), totalRow("remainingCredit", "RemainingCredit"),
			referenceRow(domain.KindCreditNote, 220),
			stageRow(map[string]string{"PAID": "AUTHORISED"}, "those of sales (ACCRECCREDIT) only; PAID is set by Xero when nothing is left; VOIDED is refused while it is allocated"),
			{Field: "allocations", Paths: []string{"Allocations"}, Get: getAllocations, Set: setAllocations, Fit: fitAllocations,
				Note: "to invoices, in calls of their own after the credit note's, which must be authorised"},
		},
		Known: append([]string{"CreditNoteID", "ID", "DueDate", "AppliedAmount", "Payments"}, docKnown...),
	}
}

func getAllocations(o object) domain.Value {
	list, ok := o["Allocations"].([]any)
	if !ok {
		return ""
	}
	as := []domain.Allocation{}
	for _, x := range list {
		e, _ := x.(object)
		if id := adapters.String(inner(e, "Invoice"), "InvoiceID"); id != "" && e["IsDeleted"] != true {
			as = append(as, domain.Allocation{Invoice: domain.Ext(id), Amount: adapters.String(e, "Amount"), Date: dateValue(e, "Date").Text()})
		}
	}
	return domain.ValueOf(as)
}

// fitAllocations leaves out those that are not of invoices.
func fitAllocations(v domain.Value) domain.Value {
	var fit []domain.Allocation
	for _, a := range domain.AllocationsOf(v) {
		if a.Invoice != "" {
			fit = append(fit, a)
		}
	}
	return domain.ValueOf(fit)
}

func setAllocations(o object, v domain.Value) error {
	list := []any{}
	for _, a := range domain.AllocationsOf(fitAllocations(v)) {
		id, ok := domain.ExtID(a.Invoice)
		if !ok {
			return fmt.Errorf("the invoice that credit is allocated to is not at xero yet")
		}
		e := object{"Invoice": object{"InvoiceID": id}, "Amount": json.Number(a.Amount)}
		if a.Date != "" {
			e["Date"] = a.Date
		}
		list = append(list, e)
	}
	o["Allocations"] = list
	return nil
}

// allocate brings the allocations of a credit note or overpayment to those wanted: what is not wanted is taken back, then what is
// missing is made, on the day if they say none. The answer is the object as it is then.
func (a *adapter) allocate(ctx context.Context, k *kind, it item, o object, day domain.Value) (domain.Record, error) {
	id := adapters.String(o, k.id)
	path := api + "/" + k.path + "/" + url.PathEscape(id) + "/Allocations"
	same := func(x, y object) bool {
		day := dateValue(y, "Date")
		return adapters.String(inner(x, "Invoice"), "InvoiceID") == adapters.String(inner(y, "Invoice"), "InvoiceID") &&
			num(adapters.String(x, "Amount")).Equal(num(adapters.String(y, "Amount"))) && (day.Empty() || dateValue(x, "Date") == day)
	}
	have, _ := o["Allocations"].([]any)
	var missing []object
	kept := make([]bool, len(have))
	for _, x := range it.allocations {
		want, _ := x.(object)
		found := false
		for i, y := range have {
			h, _ := y.(object)
			if !kept[i] && same(h, want) {
				kept[i], found = true, true
				break
			}
		}
		if !found {
			if want["Date"] == nil && !day.Empty() {
				want["Date"] = day.Text()
			}
			missing = append(missing, want)
		}
	}
	for i, y := range have {
		h, _ := y.(object)
		if kept[i] || h["IsDeleted"] == true {
			continue
		}
		if _, err := a.do(ctx, adapters.Call{Method: http.MethodDelete, Path: path + "/" + url.PathEscape(adapters.String(h, "AllocationID")), Write: true}); err != nil && domain.CodeOf(err) != domain.NotFound {
			return domain.Record{}, err
		}
	}
	if len(missing) > 0 {
		body, err := json.Marshal(map[string]any{"Allocations": missing})
		if err != nil {
			return domain.Record{}, a.err(domain.Internal, "the allocations cannot be written as JSON")
		}
		if _, err := a.do(ctx, adapters.Call{Method: http.MethodPut, Path: path + "?summarizeErrors=true", Body: body, Write: true,
			Header: http.Header{"Idempotency-Key": {idempotencyKey([]item{it}, body)}}}); err != nil {
			return domain.Record{}, err
		}
	}
	return a.Fetch(ctx, k.mapping.Kind, k.prefix+id)
}

package cin7coresim

// getPart answers with one document of a sale by itself.
func (s *Sim) getPart(name string) handler {
	return func(r *request) (any, *refused) {
		o, e := s.sale(r.query["saleid"])
		if e != nil {
			return nil, e
		}
		a := copyOf(part(o, name))
		a["SaleID"] = o["ID"]
		return a, nil
	}
}

// getParts answers with the documents of one sort that a sale has.
func (s *Sim) getParts(name string) handler {
	return func(r *request) (any, *refused) {
		o, e := s.sale(r.query["saleid"])
		if e != nil {
			return nil, e
		}
		return object{"SaleID": o["ID"], name: entries(o[name])}, nil
	}
}

// getPayments lists the payments of a sale, each with the invoice that it pays.
func (s *Sim) getPayments(r *request) (any, *refused) {
	o, e := s.sale(r.query["saleid"])
	if e != nil {
		return nil, e
	}
	list := []object{}
	for _, inv := range entries(o["Invoices"]) {
		for _, p := range entries(inv["Payments"]) {
			p = copyOf(p)
			p["SaleID"], p["SaleOrderNumber"], p["TaskID"], p["InvoiceNumber"] = o["ID"], part(o, "Order")["SaleOrderNumber"], inv["TaskID"], inv["InvoiceNumber"]
			p["CreditID"], p["CreditNoteNumber"], p["Type"] = nil, nil, "Payment"
			list = append(list, p)
		}
	}
	return list, nil
}

// getCreditNoteList lists the sales that have credit notes; simple sales of this account have none.
func (s *Sim) getCreditNoteList(r *request) (any, *refused) {
	for _, name := range []string{"updatedsince", "createdsince"} {
		if _, ok := since(r.query[name]); !ok {
			return nil, bad("Date is not valid")
		}
	}
	return page(r, "SaleList", nil)
}

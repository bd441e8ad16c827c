package myobsim

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// layouts are the paths of the layouts of invoices that the file has. A layout is fixed when an invoice is made.
var layouts = []string{"Sale/Invoice/Item", "Sale/Invoice/Service"}

// sale are the members that invoices of both layouts have, apart from their lines.
func sale() []member {
	return []member{
		{name: "Number", kind: text, max: 13}, {name: "Date", kind: stamp}, {name: "CustomerPurchaseOrderNumber", kind: text, max: 255},
		{name: "Customer", kind: link, to: "Contact/Customer", required: true}, {name: "PromisedDate", kind: stamp},
		{name: "ShipToAddress", kind: text, max: 255}, {name: "IsTaxInclusive", kind: flag},
		{name: "Terms", kind: group, members: []member{
			{name: "PaymentIsDue", kind: text, values: []string{"CashOnDelivery", "Prepaid", "InAGivenNumberOfDays", "OnADayOfTheMonth", "NumberOfDaysAfterEOM", "DayOfMonthAfterEOM"}},
			{name: "DiscountDate", kind: number}, {name: "BalanceDueDate", kind: number}, {name: "DiscountForEarlyPayment", kind: number},
			{name: "MonthlyChargeForLatePayment", kind: number}, {name: "DueDate", kind: stamp, readOnly: true},
		}},
		{name: "Subtotal", kind: number, readOnly: true}, {name: "Freight", kind: number},
		{name: "FreightTaxCode", kind: link, to: "GeneralLedger/TaxCode"},
		{name: "TotalTax", kind: number, readOnly: true}, {name: "TotalAmount", kind: number, readOnly: true},
		{name: "BalanceDueAmount", kind: number, readOnly: true}, {name: "Status", kind: text, readOnly: true},
		{name: "Comment", kind: text, max: 255}, {name: "ShippingMethod", kind: text, max: 255}, {name: "JournalMemo", kind: text, max: 255},
		{name: "ReferralSource", kind: text, max: 255}, {name: "LastPaymentDate", kind: stamp, readOnly: true},
		{name: "InvoiceDeliveryStatus", kind: text, values: []string{"Nothing", "Print", "Email", "PrintAndEmail"}},
		{name: "ForeignCurrency", kind: text, readOnly: true, hidden: true},
	}
}

func line(more ...member) member {
	return member{name: "Lines", kind: list, members: append([]member{
		{name: "RowID", kind: number}, {name: "Type", kind: text, values: []string{"Transaction", "Header", "SubTotal"}},
		{name: "Description", kind: text, max: 255}, {name: "Total", kind: number},
		{name: "TaxCode", kind: link, to: "GeneralLedger/TaxCode"}, {name: "Account", kind: link, to: "GeneralLedger/Account"},
		{name: "RowVersion", kind: text},
	}, more...)}
}

// invoices is the resource Sale/Invoice: every layout's invoices without their lines, to be read only.
func invoices() *resource {
	return &resource{path: "Sale/Invoice", typ: "allinvoices", name: "invoice", labels: []string{"Number"}, readOnly: true, over: layouts,
		schema: append(sale(), member{name: "InvoiceType", kind: text})}
}

func itemInvoices() *resource {
	return invoicesOf("Item", "invoices", "creditnotes", line(
		member{name: "ShipQuantity", kind: number}, member{name: "UnitPrice", kind: number}, member{name: "DiscountPercent", kind: number},
		member{name: "Item", kind: link, to: "Inventory/Item"}, member{name: "CostOfGoodsSold", kind: number, readOnly: true},
	))
}

func serviceInvoices() *resource {
	return invoicesOf("Service", "serviceinvoices", "servicecreditnotes", line(member{name: "Date", kind: stamp}))
}

func invoicesOf(layout, typ, credits string, lines member) *resource {
	return &resource{
		path: "Sale/Invoice/" + layout, typ: typ, credits: credits, name: "invoice", labels: []string{"Number"},
		schema: append(sale(), lines), assumed: object{"IsTaxInclusive": true},
		enter: func(s *Sim, o object) { // the form suggests a tax code
			for _, l := range elements(o, "Lines") {
				if t, _ := l["TaxCode"].(object); t != nil && t["UID"] == "" {
					l["TaxCode"] = s.taxCode("GST")
				}
			}
		},
		settle:    func(s *Sim, o, old object) { settleInvoice(s, layout, o, old) },
		check:     func(s *Sim, o, old object) []problem { return checkInvoice(s, layout, o, old) },
		removable: removableInvoice, changed: changedInvoice,
	}
}

// lines are the lines of an invoice.
func lines(o object) []object { return elements(o, "Lines") }

// worth is a transaction line's amount in cents: half a cent goes up.
func worth(l object) *big.Rat {
	r := new(big.Rat).Mul(rat(l["ShipQuantity"]), rat(l["UnitPrice"]))
	return cents(r.Mul(r, new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Quo(rat(l["DiscountPercent"]), big.NewRat(100, 1)))))
}

func cents(r *big.Rat) *big.Rat { return rat(r.FloatString(2)) } // half away from zero

func amount(r *big.Rat) json.Number { return json.Number(r.FloatString(2)) }

func checkInvoice(s *Sim, layout string, o, old object) []problem {
	ps := s.locked(o["Date"], old["Date"])
	wrong := func(at, format string, args ...any) {
		ps = append(ps, problem{Name: "ValidationError", Message: fmt.Sprintf(format, args...), AdditionalDetails: at})
	}
	known := map[string]object{}
	for _, l := range lines(old) {
		known[fmt.Sprint(l["RowID"])] = l
	}
	goods := 0
	for i, l := range lines(o) {
		at := fmt.Sprintf("Lines[%d].", i)
		if id := rat(l["RowID"]); id.Sign() != 0 {
			before := known[fmt.Sprint(l["RowID"])]
			delete(known, fmt.Sprint(l["RowID"]))
			if before == nil || before["RowVersion"] != l["RowVersion"] {
				ps = append(ps, lockLost)
			}
		}
		if l["Type"] != nil && l["Type"] != "Transaction" {
			continue
		}
		goods++
		if l["TaxCode"] == nil {
			ps = append(ps, required(at+"TaxCode"))
		}
		if layout == "Service" {
			if l["Account"] == nil {
				ps = append(ps, required(at+"Account"))
			}
			continue
		}
		if l["Item"] == nil {
			ps = append(ps, required(at+"Item"))
		}
		for _, name := range []string{"ShipQuantity", "UnitPrice"} {
			if _, places, _ := strings.Cut(fmt.Sprint(l[name]), "."); len(places) > 6 {
				wrong(at+name, "%s has more than 6 decimal places", at+name)
			}
		}
		if sent := rat(l["Total"]); sent.Sign() != 0 && sent.Cmp(worth(l)) != 0 {
			wrong(at+"Total", "%sTotal is not quantity by price less discount", at)
		}
	}
	if goods == 0 {
		ps = append(ps, required("Lines"))
	}
	if rat(o["Freight"]).Sign() != 0 && o["FreightTaxCode"] == nil {
		ps = append(ps, required("FreightTaxCode"))
	}
	if o["Number"] != nil {
		for _, path := range layouts {
			for _, x := range s.tables[path].rows {
				if x.object["Number"] == o["Number"] && x.object["UID"] != old["UID"] {
					wrong("Number", "The invoice number %s is in use", o["Number"])
				}
			}
		}
	}
	return ps
}

// locked refuses dates in a locked period. What MYOB says then is not documented; the wording is ours.
func (s *Sim) locked(dates ...any) []problem {
	for _, d := range dates {
		if at, ok := d.(time.Time); ok && at.Before(s.file.lockedBefore) {
			return []problem{{Name: "PeriodLocked", AdditionalDetails: "Date",
				Message: "The date is in a locked period: entries dated before " + s.file.lockedBefore.Format("2/01/2006") + " are not allowed"}}
		}
	}
	return nil
}

// settleInvoice works the invoice out: line totals in cents, then the tax of all lines together, rounded once.
func settleInvoice(s *Sim, layout string, o, old object) {
	o["InvoiceType"] = layout
	if o["Number"] == nil {
		for o["Number"] == nil || s.numberTaken(o["Number"]) {
			o["Number"] = s.next("invoice", "%08d")
		}
	}
	if o["Date"] == nil {
		o["Date"] = s.today()
	}
	customer := s.find("Contact/Customer", fmt.Sprint(o["Customer"].(object)["UID"])).object
	if o["JournalMemo"] == nil {
		o["JournalMemo"] = "Sale; " + cardName(customer)
	}
	if o["InvoiceDeliveryStatus"] == nil {
		o["InvoiceDeliveryStatus"] = "Print"
	}
	settleTerms(o, customer)

	inclusive := o["IsTaxInclusive"] == true
	sum, tax, last := new(big.Rat), new(big.Rat), int64(0) // lines and freight as shown, their tax unrounded, the last RowID
	for _, l := range lines(old) {
		n := rat(l["RowID"])
		last = max(last, n.Num().Int64())
	}
	add := func(total *big.Rat, code any) {
		sum.Add(sum, total)
		link, _ := code.(object)
		rate := new(big.Rat)
		if x := s.find("GeneralLedger/TaxCode", fmt.Sprint(link["UID"])); x != nil {
			rate = rat(x.object["Rate"])
		}
		whole := big.NewRat(100, 1)
		if inclusive {
			whole.Add(whole, rate)
		}
		t := new(big.Rat).Mul(total, rate)
		tax.Add(tax, t.Quo(t, whole))
	}
	part := new(big.Rat) // since the last subtotal
	for _, l := range lines(o) {
		if rat(l["RowID"]).Sign() == 0 {
			last++
			l["RowID"] = json.Number(fmt.Sprint(last))
		}
		l["RowVersion"] = s.nextVersion()
		if l["Type"] == nil {
			l["Type"] = "Transaction"
		}
		total := new(big.Rat)
		switch {
		case l["Type"] == "SubTotal":
			total, part = part, new(big.Rat)
		case l["Type"] == "Transaction":
			if total = cents(rat(l["Total"])); layout == "Item" {
				total = worth(l)
			}
			part = new(big.Rat).Add(part, total)
			add(total, l["TaxCode"])
		}
		l["Total"] = amount(total)
	}
	net := new(big.Rat).Set(sum)
	if inclusive {
		net.Sub(net, tax)
	}
	freight := cents(rat(o["Freight"]))
	add(freight, o["FreightTaxCode"])
	tax = cents(tax)
	o["Subtotal"], o["Freight"], o["TotalTax"] = amount(net), amount(freight), amount(tax)
	total := sum
	if !inclusive {
		total.Add(total, tax)
	}
	o["TotalAmount"] = amount(total)
	uid, _ := old["UID"].(string)
	s.balance(o, uid)
}

// balance sets what is due and the status that follows from it.
func (s *Sim) balance(o object, uid string) {
	due := rat(o["TotalAmount"])
	if a := s.applied[uid]; a != nil {
		due.Sub(due, a)
	}
	o["BalanceDueAmount"] = amount(due)
	o["Status"] = map[int]string{-1: "Credit", 0: "Closed", 1: "Open"}[due.Sign()]
}

func (s *Sim) numberTaken(n any) bool {
	for _, path := range layouts {
		for _, x := range s.tables[path].rows {
			if x.object["Number"] == n {
				return true
			}
		}
	}
	return false
}

func (s *Sim) today() time.Time { return s.Now().UTC().Truncate(24 * time.Hour) }

func cardName(o object) string {
	if name, _ := o["CompanyName"].(string); name != "" {
		return name
	}
	return strings.Trim(fmt.Sprint(o["LastName"], ", ", o["FirstName"]), ", ")
}

// settleTerms gives an invoice the customer's terms if it has none, and the day it is due by them.
func settleTerms(o, customer object) {
	t, _ := o["Terms"].(object)
	if t == nil || t["PaymentIsDue"] == nil {
		sd, _ := customer["SellingDetails"].(object)
		own, _ := sd["Terms"].(object)
		t = object{}
		for _, name := range []string{"PaymentIsDue", "DiscountDate", "BalanceDueDate", "DiscountForEarlyPayment", "MonthlyChargeForLatePayment"} {
			t[name] = own[name]
		}
		o["Terms"] = t
	}
	at := o["Date"].(time.Time)
	n := int(rat(t["BalanceDueDate"]).Num().Int64())
	month := func(add, day int) time.Time {
		first := time.Date(at.Year(), at.Month()+time.Month(add), 1, 0, 0, 0, 0, time.UTC)
		return first.AddDate(0, 0, min(day, first.AddDate(0, 1, -1).Day())-1)
	}
	switch t["PaymentIsDue"] {
	case "InAGivenNumberOfDays":
		at = at.AddDate(0, 0, n)
	case "OnADayOfTheMonth":
		if at = month(0, n); at.Before(o["Date"].(time.Time)) {
			at = month(1, n)
		}
	case "NumberOfDaysAfterEOM":
		at = month(0, 31).AddDate(0, 0, n)
	case "DayOfMonthAfterEOM":
		at = month(1, n)
	}
	t["DueDate"] = at
}

func removableInvoice(s *Sim, o object) *problem {
	if s.opts.MustReverse {
		return &mustReverse
	}
	if a := s.applied[fmt.Sprint(o["UID"])]; a != nil && a.Sign() != 0 {
		return &problem{Name: "CannotDelete", Message: "The invoice has payments or credits applied to it and cannot be deleted", AdditionalDetails: "BalanceDueAmount"}
	}
	if ps := s.locked(o["Date"]); ps != nil {
		return &ps[0]
	}
	return nil
}

// changedInvoice moves the customers' balances by what is due.
func changedInvoice(s *Sim, was, is object) {
	for sign, o := range map[int64]object{-1: was, 1: is} {
		if o != nil {
			due := rat(o["BalanceDueAmount"])
			s.owe(o["Customer"].(object)["UID"], due.Mul(due, big.NewRat(sign, 1)))
		}
	}
}

// owe adds to a customer's balance, which moves the card's RowVersion and not LastModified.
func (s *Sim) owe(uid any, by *big.Rat) {
	t := s.tables["Contact/Customer"]
	x := t.rows[fmt.Sprint(uid)]
	if x == nil || by.Sign() == 0 {
		return
	}
	o := lay(object{}, x.object)
	o["CurrentBalance"] = amount(by.Add(by, rat(o["CurrentBalance"])))
	settleCustomer(s, o, x.object)
	s.store(t, fmt.Sprint(uid), o, false)
}

// apply adds to what was applied to an invoice: its RowVersion moves and LastModified does not.
func (s *Sim) apply(uid string, by *big.Rat, at any) {
	uid = strings.ToLower(uid)
	if s.applied[uid] == nil {
		s.applied[uid] = new(big.Rat)
	}
	s.applied[uid].Add(s.applied[uid], by)
	for _, path := range layouts {
		if x := s.tables[path].rows[uid]; x != nil {
			o := lay(object{}, x.object)
			s.balance(o, uid)
			if at != nil {
				o["LastPaymentDate"] = at
			}
			s.keep(s.tables[path], uid, o, false)
		}
	}
}

// named reports whether a transaction has a link to the object.
func (s *Sim) named(member string, uid any) bool {
	for path, t := range s.tables {
		if !strings.HasPrefix(path, "Sale/") {
			continue
		}
		for _, x := range t.rows {
			if l, _ := x.object[member].(object); l != nil && l["UID"] == uid {
				return true
			}
		}
	}
	return false
}

// rename makes the transactions of one card those of another.
func (s *Sim) rename(member string, from, to any) {
	for path, t := range s.tables {
		if !strings.HasPrefix(path, "Sale/") {
			continue
		}
		for uid, x := range t.rows {
			if l, _ := x.object[member].(object); l != nil && l["UID"] == from {
				o := lay(object{}, x.object)
				o[member] = lay(l, object{"UID": to})
				s.store(t, uid, o, true)
			}
		}
	}
}

package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/store"
)

// Sum is a number of documents and what they come to, by one system's own books.
type Sum struct {
	Count  int             `json:"count"`
	Amount decimal.Decimal `json:"amount"`
}

func (s *Sum) add(d decimal.Decimal) { s.Count++; s.Amount = s.Amount.Add(d) }

// Tie is one row of the comparison: what must be the same in every system that has it.
type Tie struct {
	What string         `json:"what"`
	By   map[string]Sum `json:"by"` // by system
}

// bought is one order of the shop, with what became of it elsewhere.
type bought struct {
	name               string
	received, refunded decimal.Decimal
}

// path reads a member of nested objects as text.
func path(m map[string]any, names ...string) string {
	for i, n := range names {
		if i == len(names)-1 {
			if m[n] == nil {
				return ""
			}
			return fmt.Sprint(m[n])
		}
		next, ok := m[n].(map[string]any)
		if !ok {
			return ""
		}
		m = next
	}
	return ""
}

func cents(s string) decimal.Decimal {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Zero
	}
	return d
}

func listOf(v Simulator, typ string) ([]map[string]any, error) {
	objects, err := v.Objects(typ)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(objects))
	for i, o := range objects {
		list[i] = plain(o)
	}
	return list, nil
}

// tie compares every paid order of the shop with both sets of books, the warehouse and Datum's stock movements, order by order
// and in sum. What does not agree to the cent is broken.
func (r *Result) tie(ctx context.Context, s *Sims, d Datum) error {
	broken := func(format string, args ...any) {
		if len(r.Broken) < 40 {
			r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
		}
	}
	orders, err := s.shopOrders()
	if err != nil {
		return err
	}
	ids, err := orderIDs(ctx, d) // Datum's, by number
	if err != nil {
		return err
	}
	invoices, err := listOf(s.Accounting, "invoices")
	if err != nil {
		return err
	}
	payments, err := listOf(s.Accounting, "payments")
	if err != nil {
		return err
	}
	sales, err := listOf(s.Warehouse, "sales")
	if err != nil {
		return err
	}
	copies, err := listOf(s.Branch, "invoices")
	if err != nil {
		return err
	}
	receipts, err := listOf(s.Branch, "payments")
	if err != nil {
		return err
	}
	made, received, refunded, stock := map[string]*Sum{}, map[string]*Sum{}, map[string]*Sum{}, 0
	for _, m := range []map[string]*Sum{made, received, refunded} {
		for _, system := range []string{"shop", "accounting", "branch", "warehouse"} {
			m[system] = &Sum{}
		}
	}
	for _, o := range orders {
		if !o.received.IsPositive() {
			continue
		}
		made["shop"].add(o.received)
		received["shop"].add(o.received)
		var invoice, number string
		found, paid, copied, banked, sold := 0, decimal.Zero, 0, decimal.Zero, 0
		for _, x := range invoices {
			if path(x, "Reference") != o.name || path(x, "Status") == "VOIDED" || path(x, "Status") == "DELETED" {
				continue
			}
			found++
			invoice, number = path(x, "InvoiceID"), path(x, "InvoiceNumber")
			made["accounting"].add(cents(path(x, "Total")))
			if total := cents(path(x, "Total")); !total.Equal(o.received) {
				broken("order %s came to %s in the shop and its invoice %s to %s in Xero", o.name, o.received.StringFixed(2), number, total.StringFixed(2))
			}
		}
		for _, p := range payments {
			if path(p, "Invoice", "InvoiceID") == invoice && invoice != "" && path(p, "Status") == "AUTHORISED" {
				paid = paid.Add(cents(path(p, "Amount")))
			}
		}
		received["accounting"].add(paid)
		for _, x := range copies {
			if number != "" && path(x, "Number") == number {
				copied++
				made["branch"].add(cents(path(x, "TotalAmount")))
			}
		}
		for _, p := range receipts {
			lines, _ := p["Invoices"].([]any)
			for _, l := range lines {
				if line := plain(l); number != "" && path(line, "Number") == number {
					banked = banked.Add(cents(path(line, "AmountApplied")))
				}
			}
		}
		received["branch"].add(banked)
		for _, x := range sales {
			if path(x, "ExternalID") == ids[o.name] && ids[o.name] != "" && path(x, "Status") != "VOIDED" {
				sold++
				made["warehouse"].add(cents(path(x, "Order", "Total")))
			}
		}
		moved, err := store.MovedBy(ctx, d.Pool, ids[o.name])
		if err != nil {
			return err
		}
		if moved > 0 {
			stock++
		}
		if found != 1 || copied != 1 || sold != 1 || moved == 0 {
			broken("order %s (%s): %d invoices in Xero, %d in MYOB, %d sales in Cin7 Core, %d stock movements; one of each is right", o.name, ids[o.name], found, copied, sold, moved)
		}
		if !paid.Equal(o.received) || !banked.Equal(o.received) {
			broken("order %s: %s was received in the shop, %s is booked in Xero and %s in MYOB", o.name, o.received.StringFixed(2), paid.StringFixed(2), banked.StringFixed(2))
		}
	}
	for _, o := range orders {
		if o.refunded.IsPositive() {
			refunded["shop"].add(o.refunded)
		}
	}
	for _, p := range payments {
		if path(p, "CreditNote", "CreditNoteID") != "" && path(p, "Status") == "AUTHORISED" {
			refunded["accounting"].add(cents(path(p, "Amount")))
		}
	}
	back, err := listOf(s.Branch, "refunds")
	if err != nil {
		return err
	}
	for _, p := range back {
		refunded["branch"].add(cents(path(p, "Amount")))
	}
	row := func(what string, by map[string]*Sum, systems ...string) {
		t := Tie{What: what, By: map[string]Sum{}}
		for _, system := range systems {
			t.By[system] = *by[system]
			if !by[system].Amount.Equal(by["shop"].Amount) {
				broken("%s: %s in the shop and %s in %s", what, by["shop"].Amount.StringFixed(2), by[system].Amount.StringFixed(2), system)
			}
		}
		r.Ties = append(r.Ties, t)
	}
	row("orders and their invoices", made, "shop", "accounting", "branch", "warehouse")
	row("received", received, "shop", "accounting", "branch")
	row("given back", refunded, "shop", "accounting", "branch")
	wrong, err := store.WrongLevels(ctx, d.Pool)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		broken("stock level %s is not the sum of its movements", w)
	}
	r.Movements = stock
	return nil
}

// shopOrders are the orders in the shop's own books.
func (s *Sims) shopOrders() ([]*bought, error) {
	orders, err := listOf(s.Shop, "order")
	if err != nil {
		return nil, err
	}
	var all []*bought
	byID := map[string]*bought{}
	for _, o := range orders {
		b := &bought{name: path(o, "name")}
		all = append(all, b)
		byID[path(o, "id")] = b
	}
	transactions, err := listOf(s.Shop, "transaction")
	if err != nil {
		return nil, err
	}
	for _, t := range transactions {
		b := byID[path(t, "orderId")]
		if b == nil || strings.ToUpper(path(t, "status")) != "SUCCESS" {
			continue
		}
		amount := cents(path(t, "amountSet", "shopMoney", "amount"))
		switch strings.ToUpper(path(t, "kind")) {
		case "SALE", "CAPTURE":
			b.received = b.received.Add(amount)
		case "REFUND":
			b.refunded = b.refunded.Add(amount)
		}
	}
	return all, nil
}

func orderIDs(ctx context.Context, d Datum) (map[string]string, error) {
	ids, err := store.EntityIDs(ctx, d.Pool, domain.KindOrder, "", 100000)
	if err != nil {
		return nil, err
	}
	es, err := store.Entities(ctx, d.Pool, ids)
	if err != nil {
		return nil, err
	}
	by := map[string]string{}
	for _, e := range es {
		by[e.Golden["number"].Text()] = e.ID
	}
	return by, nil
}

func (r *Result) printTies(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tied out\tShopify\tXero\tMYOB\tCin7 Core\t")
	for _, tie := range r.Ties {
		fmt.Fprintf(t, "%s\t", tie.What)
		for _, system := range []string{"shop", "accounting", "branch", "warehouse"} {
			if s, ok := tie.By[system]; ok {
				fmt.Fprintf(t, "%d × %s\t", s.Count, s.Amount.StringFixed(2))
			} else {
				fmt.Fprint(t, "\t")
			}
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
	fmt.Fprintf(out, "%d orders moved stock, and every stock level is the sum of its movements\n", r.Movements)
}

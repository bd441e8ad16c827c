package hubspot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// Properties of ours on line items.
const (
	lineKey      = "datum_line_key"   // unique: makes creating a document's line safe to repeat
	lineKind     = "datum_line_kind"  // what is not an item
	lineTaxCode  = "datum_tax_code"   // our tax code; HubSpot's own rate is read where it is empty
	lineAccount  = "datum_account"    // code of the revenue account
	lineName     = "datum_line_name"  // the name that stands in for a description that is not there
	linePrice    = "datum_unit_price" // a price below zero, which HubSpot's own does not take
	linePosition = "hs_position_on_quote"
	nameless     = "Item"
)

func lineProperties() []property {
	return []property{
		unique(textProperty(lineKey, "Datum line key", "Written by Datum; do not edit")),
		choiceProperty(lineKind, "Kind of line", domain.LineShipping, domain.LineDiscount, domain.LineRounding, domain.LineText),
		choiceProperty(lineTaxCode, "GST", codes(money.Sale)...),
		textProperty(lineAccount, "Sales account", "Code of the revenue account"),
		textProperty(lineName, "Datum line name", "Written by Datum; do not edit"),
		numberProperty(linePrice, "Unit price below zero", "Written by Datum; do not edit"),
	}
}

// lineKeys are the properties of a line item that are read.
var lineKeys = []string{"name", "description", "quantity", "price", "discount", "hs_discount_percentage", "hs_product_id", "hs_sku",
	"hs_tax_rate_group_id", linePosition, lineKey, lineKind, lineTaxCode, lineAccount, lineName, linePrice}

// linesRow maps the lines. Total is the property that HubSpot shows as the document's worth and only its own screen keeps
// equal to the lines, "" if there is none.
func linesRow(total string) adapters.Row {
	return adapters.Row{Field: "lines", Paths: []string{keyLines}, Note: "line items in the order of hs_position_on_quote: hs_product_id, hs_sku, name with description below it, quantity, price, " +
		"hs_discount_percentage, discount (of one unit), datum_tax_code (custom) or else the rate of hs_tax_rate_group_id: 10% is GST and 0% GST_FREE; kind and account are custom",
		Get: func(o adapters.Object) domain.Value {
			list, _ := o[keyLines].([]domain.Line)
			return domain.ValueOf(list)
		},
		Set: func(o adapters.Object, v domain.Value) error {
			list := domain.LinesOf(v)
			if len(list) == 0 && !v.Empty() {
				return fmt.Errorf("it is not a list of lines")
			}
			for i, l := range list {
				p, err := writtenLine(l, i)
				if err != nil {
					return fmt.Errorf("line %d: %w", i+1, err)
				}
				list[i].Amount = amountOf(p)
			}
			o[keyLines] = list
			if total != "" {
				o[total] = ""
				if len(list) > 0 {
					o[total] = sum(list).String()
				}
			}
			return nil
		},
		Fit: fitLines}
}

// fitLines is what reads back: HubSpot works out the amount of a line itself and knows no tax of one. A line that is only an
// amount becomes one unit at that price.
func fitLines(v domain.Value) domain.Value {
	list := domain.LinesOf(v)
	if len(list) == 0 {
		return v
	}
	for i, l := range list {
		product := l.Product // a reference, of ours or of HubSpot's
		l.Product = ""
		if p, err := writtenLine(l, i); err == nil {
			list[i] = readLine(object{Properties: p})
			list[i].Product = product
		}
	}
	return domain.ValueOf(list)
}

// number reads a property, 0 if it is empty.
func number(v string) decimal.Decimal {
	d, _ := decimal.NewFromString(v)
	return d
}

func orderedLines(o object) []object {
	return slices.SortedStableFunc(slices.Values(o.Lines), func(x, y object) int {
		return cmp.Or(number(x.Properties[linePosition]).Cmp(number(y.Properties[linePosition])), byNumber(x.ID, y.ID))
	})
}

// linesOf reads the lines of a document.
func linesOf(o object) []domain.Line {
	var list []domain.Line
	for _, l := range orderedLines(o) {
		list = append(list, readLine(l))
	}
	return list
}

func readLine(o object) domain.Line {
	p := o.Properties
	l := domain.Line{Kind: p[lineKind], SKU: p["hs_sku"], Quantity: p["quantity"], UnitPrice: p["price"], DiscountRate: p["hs_discount_percentage"],
		TaxCode: cmp.Or(p[lineTaxCode], o.Class), Account: p[lineAccount]}
	if p["hs_product_id"] != "" {
		l.Product = domain.Ext(externalID(products, p["hs_product_id"]))
	}
	if p["name"] != p[lineName] || p[lineName] == "" {
		l.Description = strings.TrimSpace(p["name"] + "\n" + p["description"])
	}
	if p[linePrice] != "" && number(p["price"]).IsZero() {
		l.UnitPrice = p[linePrice]
	}
	if p["hs_discount_percentage"] == "" && !number(p["discount"]).IsZero() {
		l.DiscountAmount = lessOf(p).String()
	}
	l.Amount = amountOf(p)
	return l
}

// lessOf is the discount of the whole line that HubSpot keeps for one unit.
func lessOf(p map[string]string) decimal.Decimal {
	return number(p["discount"]).Mul(number(p["quantity"]).Abs()).Round(2)
}

// amountOf is the amount of a line after discount, in cents; "" without quantity or price. HubSpot shows its own only to those
// who read the line and not to those who write it, and where a discount does not divide evenly it is a cent off.
func amountOf(p map[string]string) string {
	if p["quantity"] == "" || p["price"] == "" {
		return ""
	}
	price := number(p["price"])
	if p[linePrice] != "" && price.IsZero() {
		price = number(p[linePrice])
	}
	full := number(p["quantity"]).Mul(price)
	less := lessOf(p)
	if full.IsNegative() {
		less = less.Neg()
	}
	if p["hs_discount_percentage"] != "" {
		less = full.Mul(number(p["hs_discount_percentage"])).Shift(-2)
	}
	return full.Sub(less).Round(2).String()
}

// writtenLine is the line item for a line, all properties of it: those left empty keep HubSpot from filling them in from the
// product.
func writtenLine(l domain.Line, i int) (map[string]string, error) {
	if l.Amount != "" && (l.Quantity == "" || l.UnitPrice == "") {
		l.Quantity, l.UnitPrice, l.DiscountRate, l.DiscountAmount = "1", l.Amount, "", "" // the amount is after discount
	}
	p := map[string]string{"hs_sku": l.SKU, "quantity": l.Quantity, "price": l.UnitPrice, "hs_discount_percentage": l.DiscountRate, "discount": "", "hs_product_id": "",
		lineKind: l.Kind, lineTaxCode: l.TaxCode, "hs_tax_rate_group_id": "", lineAccount: l.Account, lineName: "", linePrice: "", linePosition: strconv.Itoa(i)}
	if l.Product != "" {
		id, ok := domain.ExtID(l.Product)
		if id, of := strings.CutPrefix(id, products+"/"); ok && of {
			p["hs_product_id"] = id
		} else {
			return nil, fmt.Errorf("%q is not a product in HubSpot", l.Product)
		}
	}
	p["name"], p["description"], _ = strings.Cut(l.Description, "\n")
	if l.Description == "" {
		p["name"] = cmp.Or(l.SKU, nameless)
		p[lineName] = p["name"]
	}
	if strings.HasPrefix(l.UnitPrice, "-") {
		p["price"], p[linePrice] = "0", l.UnitPrice
	}
	if l.DiscountAmount != "" {
		whole, quantity := number(l.DiscountAmount), number(l.Quantity)
		switch {
		case l.DiscountRate != "":
			return nil, fmt.Errorf("it has a discount of %s%% and one of %s, and HubSpot takes one of the two", l.DiscountRate, l.DiscountAmount)
		case quantity.IsZero():
			return nil, fmt.Errorf("it has a discount of %s without a quantity, and HubSpot discounts each unit", l.DiscountAmount)
		}
		p["discount"] = whole.DivRound(quantity.Abs(), money.UnitDecimals).String()
		if !lessOf(p).Equal(whole) {
			return nil, fmt.Errorf("a discount of %s on %s units cannot be said for one unit, as HubSpot does", l.DiscountAmount, l.Quantity)
		}
	}
	return p, nil
}

// taxRates returns the portal's tax rates: id to percentage. Without permission to read them there are none.
func (a *Adapter) taxRates(ctx context.Context) (map[string]string, error) {
	return a.rates.get(a.s.Now, false, func() (map[string]string, error) {
		var out struct {
			Results []struct {
				ID             string
				PercentageRate json.Number
			}
		}
		_, err := a.read(ctx, http.MethodGet, taxRatesPath, nil, &out)
		if err != nil && domain.CodeOf(err) != domain.Forbidden {
			return nil, err
		}
		rates := map[string]string{}
		for _, r := range out.Results {
			rates[r.ID] = r.PercentageRate.String()
		}
		return rates, nil
	})
}

// taxed tells the tax codes of line items that have only a rate of HubSpot's. A rate that is neither GST's nor none becomes a
// code that nobody knows, which is a problem of the lines.
func (a *Adapter) taxed(ctx context.Context, list []object) error {
	for i := range list {
		id := list[i].Properties["hs_tax_rate_group_id"]
		if id == "" || list[i].Properties[lineTaxCode] != "" {
			continue
		}
		rates, err := a.taxRates(ctx)
		if err != nil {
			return err
		}
		switch rate, err := decimal.NewFromString(rates[id]); {
		case err == nil && rate.Equal(decimal.NewFromInt(10)):
			list[i].Class = string(money.TaxGST)
		case err == nil && rate.IsZero():
			list[i].Class = string(money.TaxFree)
		case err == nil:
			list[i].Class = "HUBSPOT TAX RATE " + rate.String() + "%"
		default:
			list[i].Class = "HUBSPOT TAX RATE " + id
		}
	}
	return nil
}

// item is one line on its way: what is wanted, and the line item that is or becomes it.
type item struct {
	j   *job
	set map[string]string
	o   object // without an ID until it is created
}

// writeLines makes the line items of documents equal to the lists wanted: the same ones where they can be, others updated,
// the rest created and associated, and what is left over archived, which is what becomes of a line taken off on HubSpot's own
// screen. A failure between two steps is repaired by repeating all.
func (a *Adapter) writeLines(ctx context.Context, jobs []*job) {
	items := map[*job][]*item{}
	var updates, creates []input
	var updated, created []*item
	var leave []input
	var leaving []*job
	for _, j := range jobs {
		list, left := matchLines(j)
		items[j] = list
		taken := map[string]bool{}
		for _, o := range j.after.Lines {
			taken[o.Properties[lineKey]] = true
		}
		for _, it := range list {
			if it.o.ID == "" {
				creates, created = append(creates, input{ID: keyForLine(j, it.set, taken), IDProperty: lineKey, Properties: it.set}), append(created, it)
				continue
			}
			diff := maps.Clone(it.set)
			maps.DeleteFunc(diff, func(k, v string) bool { return it.o.Properties[k] == v })
			if len(diff) > 0 {
				updates, updated = append(updates, input{ID: it.o.ID, Properties: diff}), append(updated, it)
			}
		}
		for _, o := range left {
			leave, leaving = append(leave, input{ID: o.ID}), append(leaving, j)
		}
	}
	take := func(list []*item, results []result) {
		for i, res := range results {
			it := list[i]
			if res.err != nil {
				it.j.fail(res.err, "lines")
				continue
			}
			p := maps.Clone(it.o.Properties)
			if p == nil {
				p = map[string]string{}
			}
			maps.Copy(p, res.o.Properties)
			it.o = object{Type: lineItems, ID: res.o.ID, Properties: p, CreatedAt: res.o.CreatedAt, UpdatedAt: res.o.UpdatedAt}
			it.j.at(res.sent)
		}
	}
	take(updated, a.batch(ctx, lineItems, "update", updates))
	take(created, a.batch(ctx, lineItems, "upsert", creates))

	var pairs []pair
	var owners []*job
	for _, it := range created {
		if it.j.err == nil {
			pairs, owners = append(pairs, pair{From: ref{it.j.after.ID}, To: ref{it.o.ID}}), append(owners, it.j)
		}
	}
	if len(pairs) > 0 {
		a.associate(ctx, owners[0].typ, lineItems, pairs, owners, "lines")
	}
	a.archiveLines(ctx, leave, leaving)
	for _, j := range jobs {
		if j.err != nil {
			continue
		}
		j.after.Lines = nil
		for _, it := range items[j] {
			j.after.Lines = append(j.after.Lines, it.o)
		}
	}
}

// matchLines pairs the wanted lines with those that are there: the same in every way, else of the same product, SKU or name,
// else whichever is left.
func matchLines(j *job) (list []*item, left []object) {
	left = orderedLines(j.after)
	for i, l := range j.lines {
		set, err := writtenLine(l, i)
		if err != nil {
			j.fail(domain.Errorf(domain.Invalid, "line %d: %w", i+1, err), "lines")
		}
		list = append(list, &item{j: j, set: set})
	}
	alike := func(keys ...string) func(want, have map[string]string) bool {
		return func(w, h map[string]string) bool {
			return !slices.ContainsFunc(keys, func(k string) bool { return w[k] != h[k] })
		}
	}
	for _, same := range []func(want, have map[string]string) bool{
		func(w, h map[string]string) bool {
			for k, v := range w {
				if k != linePosition && h[k] != v {
					return false
				}
			}
			return true
		},
		alike("hs_product_id", "hs_sku", "name"), alike("hs_product_id", "hs_sku"), alike(),
	} {
		for _, it := range list {
			if it.o.ID != "" {
				continue
			}
			if i := slices.IndexFunc(left, func(o object) bool { return same(it.set, o.Properties) }); i >= 0 {
				it.o = left[i]
				left = slices.Delete(left, i, i+1)
			}
		}
	}
	return list, left
}

// keyForLine is the unique key of a new line: the same whenever the same creation is tried again, and not that of another
// line of the document.
func keyForLine(j *job, set map[string]string, taken map[string]bool) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if k != linePosition {
			fmt.Fprintf(&b, "%s=%q;", k, set[k])
		}
	}
	h := sha256.Sum256([]byte(b.String()))
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s/%s/%s/%d", j.typ, j.after.ID, hex.EncodeToString(h[:8]), n)
		if !taken[key] {
			taken[key] = true
			return key
		}
	}
}

func (a *Adapter) archiveLines(ctx context.Context, leave []input, jobs []*job) {
	for n, part := range chunks(leave, maxBatch) {
		inputs := make([]ref, len(part))
		for i, in := range part {
			inputs[i] = ref{in.ID}
		}
		resp, err := a.write(ctx, objectsPath+lineItems+"/batch/archive", map[string]any{"inputs": inputs}, nil)
		for i := range part {
			j := jobs[n*maxBatch+i]
			j.fail(err, "lines")
			if err == nil {
				j.at(resp.SentAt)
			}
		}
	}
}

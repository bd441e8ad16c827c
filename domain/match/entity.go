package match

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"datum/domain"
)

// While data streams in there is no table to learn from: two records of a kind are compared with fixed weights, which are what
// Scan learns from such data, rounded. They are log2 of how much more often records of one thing agree like this than chance ones.

// Verdict is how alike two records of a kind are.
type Verdict struct {
	Score   float64  // probability that they are one
	Against string   // why they are never linked by themselves, however alike; "" if nothing stands against it
	Reasons []string // what speaks for it, in words, the strongest first
}

// Fuzzy reports whether records of the kind can be compared by more than their strong keys.
func Fuzzy(kind domain.Kind) bool {
	switch kind {
	case domain.KindCustomer, domain.KindProduct, domain.KindInvoice, domain.KindCreditNote:
		return true
	default:
		return false
	}
}

// Evidence are the fields that Compare looks at.
func Evidence(kind domain.Kind) []domain.Field {
	switch kind {
	case domain.KindCustomer:
		return []domain.Field{"kind", "legalName", "tradingName", "abn", "acn", "email", "phone", "mobile", "website", "contacts", "billingAddress", "shippingAddress"}
	case domain.KindProduct:
		return []domain.Field{"sku", "barcode", "name", "salePrice"}
	case domain.KindInvoice, domain.KindCreditNote:
		return []domain.Field{"number", "customer", "issueDate", "total"}
	default:
		return nil
	}
}

// Compare compares two records of a kind by their normalised values. It is symmetric. What the kind's own number decides is
// decided by it: two ABNs, SKUs, barcodes or document numbers that differ are two things, and the score is 0.
func Compare(kind domain.Kind, a, b domain.Values) Verdict {
	w := &weighing{}
	switch kind {
	case domain.KindCustomer:
		w.customer(partyOf(a), partyOf(b))
	case domain.KindProduct:
		w.odds = -11
		w.decides("SKU", strings.ToLower(a["sku"].Text()), strings.ToLower(b["sku"].Text()))
		w.decides("barcode", Identifier(a["barcode"].Text()), Identifier(b["barcode"].Text()))
		w.text("name", Text(a["name"].Text()), Text(b["name"].Text()), [levels]float64{10, 8, 5, 1, -6})
		w.text("price", string(a["salePrice"]), string(b["salePrice"]), [levels]float64{4, -1, -1, -1, -1})
	case domain.KindInvoice, domain.KindCreditNote:
		w.odds = -16
		w.decides("number", Identifier(a["number"].Text()), Identifier(b["number"].Text()))
		w.text("customer", a["customer"].Text(), b["customer"].Text(), [levels]float64{7, -8, -8, -8, -8})
		w.text("date", Date(a["issueDate"].Text()), Date(b["issueDate"].Text()), [levels]float64{6, 0, -2, -4, -4})
		w.text("total", string(a["total"]), string(b["total"]), [levels]float64{8, -6, -6, -6, -6})
	default:
		return Verdict{}
	}
	v := Verdict{Score: probability(w.odds), Against: w.against, Reasons: w.reasons()}
	if w.never {
		v.Score = 0
	}
	return v
}

// weighing adds up evidence.
type weighing struct {
	odds    float64 // log2; begins with how seldom two records that are compared at all are one
	never   bool
	against string
	found   []finding
}

type finding struct {
	weight float64
	text   string
}

func (w *weighing) add(weight float64, format string, args ...any) {
	w.odds += weight
	w.found = append(w.found, finding{weight, fmt.Sprintf(format, args...)})
}

func (w *weighing) reasons() []string {
	slices.SortStableFunc(w.found, func(x, y finding) int {
		switch {
		case x.weight > y.weight:
			return -1
		case x.weight < y.weight:
			return 1
		}
		return strings.Compare(x.text, y.text)
	})
	var out []string
	if w.against != "" {
		out = append(out, w.against)
	}
	for _, f := range w.found {
		if f.weight >= 1 || f.weight <= -1 {
			out = append(out, f.text)
		}
	}
	return out
}

// decides lets a number that both have decide.
func (w *weighing) decides(what, a, b string) {
	switch {
	case a == "" || b == "":
	case a == b:
		w.add(20, "same %s", what)
	default:
		w.never, w.against = true, "different "+what+"s"
	}
}

// text weighs how far two texts agree.
func (w *weighing) text(what, a, b string, weights [levels]float64) level {
	if a == "" || b == "" || a == string(domain.Null) || b == string(domain.Null) {
		return missing
	}
	l := levelOf(a, b)
	w.add(weights[l], "%s%s", map[level]string{same: "same ", near: "almost the same ", close_: "similar ", related: "related ", differ: "different "}[l], what)
	return l
}

func levelOf(a, b string) level {
	if a == b {
		return same
	}
	x, y := newValue(a), newValue(b)
	if string(x.flat) == string(y.flat) {
		return same // but for spaces
	}
	if !x.words && !y.words {
		if x.edits(&y, 1) == 1 {
			return near
		}
		return differ
	}
	return compareWords(&x, &y)
}

// party is what a customer can be known by, normalised.
type party struct {
	names, emails, phones, people []string
	spelled                       []string // the names with the words for a company's form
	abn, acn, web, kind           string
	places                        []place
}

type place struct{ street, suburb, postcode, state string }

func partyOf(v domain.Values) party {
	p := party{abn: Identifier(v["abn"].Text()), acn: Identifier(v["acn"].Text()), kind: v["kind"].Text()}
	put := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, f := range []domain.Field{"legalName", "tradingName"} {
		put(&p.names, Company(v[f].Text()))
		put(&p.spelled, Text(v[f].Text()))
		_, trading := TradingAs(v[f].Text())
		put(&p.names, Company(trading))
	}
	put(&p.emails, Email(v["email"].Text()))
	put(&p.phones, Phone(v["phone"].Text()))
	put(&p.phones, Phone(v["mobile"].Text()))
	if u, err := url.Parse(v["website"].Text()); err == nil {
		p.web = strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
	}
	c, err := domain.CustomerOf(domain.Values{"contacts": orNull(v["contacts"]), "billingAddress": orNull(v["billingAddress"]), "shippingAddress": orNull(v["shippingAddress"])})
	if err != nil {
		return p // of another shape than the kind's: nothing to compare
	}
	for _, x := range c.Contacts {
		put(&p.people, Text(x.FirstName+" "+x.LastName))
		put(&p.emails, Email(x.Email))
		put(&p.phones, Phone(x.Phone))
	}
	for _, x := range []*domain.Address{c.BillingAddress, c.ShippingAddress} {
		if x != nil {
			p.places = append(p.places, place{Street(strings.Join(x.Lines, " ")), Suburb(x.Suburb), Postcode(x.Postcode), State(x.State)})
		}
	}
	return p
}

func orNull(v domain.Value) domain.Value {
	if v == "" {
		return domain.Null
	}
	return v
}

// customer weighs two customers.
func (w *weighing) customer(a, b party) {
	w.odds = -18
	w.decides("ABN", a.abn, b.abn)
	w.text("ACN", a.acn, b.acn, [levels]float64{20, -4, -8, -8, -8})
	name := best(a.names, b.names)
	switch name {
	case same, near, close_, related, differ:
		w.add([levels]float64{12, 10, 7, 2, -7}[name], "%s", [levels]string{"same name", "almost the same name", "similar name", "name with a word in common", "different names"}[name])
	}
	if l := best(a.emails, b.emails); l == same {
		w.add(11, "same e-mail")
	} else if l == near {
		w.add(6, "almost the same e-mail")
	}
	if shared(a.phones, b.phones) {
		w.add(11, "same telephone number")
	}
	if shared(a.people, b.people) {
		w.add(6, "same contact person")
	}
	if a.web != "" && a.web == b.web {
		w.add(9, "same website")
	}
	away := w.places(a.places, b.places)
	switch {
	case a.kind != "" && b.kind != "" && a.kind != b.kind && (a.abn == "" || a.abn != b.abn) && !shared(a.spelled, b.spelled):
		w.against = "a person and a company"
	case away && a.abn != "" && a.abn == b.abn:
		w.against = "one ABN at different addresses: two branches?"
	case away && name <= near && len(a.names) > 1 && len(b.names) > 1 && !alike(a.names, b.names):
		w.against = "one trading name and different legal names: a franchise?"
	}
	if w.against != "" && !w.never {
		w.odds = min(w.odds, 10) // nearly sure is as sure as it gets
	}
}

// places weighs addresses, the nearest two, and reports whether nothing of any two agrees.
func (w *weighing) places(as, bs []place) (away bool) {
	top, note := -100.0, ""
	for _, a := range as {
		for _, b := range bs {
			odds, text := a.weigh(b)
			if odds > top || odds == top && text < note {
				top, note = odds, text
			}
		}
	}
	if note != "" {
		w.add(top, "%s", note)
	}
	return note == "different addresses"
}

func (a place) weigh(b place) (float64, string) {
	street, area := missing, missing
	if a.street != "" && b.street != "" {
		street = levelOf(a.street, b.street)
	}
	for _, x := range [][2]string{{a.suburb, b.suburb}, {a.postcode, b.postcode}} {
		if x[0] != "" && x[1] != "" {
			area = min(area, levelOf(x[0], x[1]))
		}
	}
	switch {
	case street == missing && area == missing:
		return 0, ""
	case street <= close_ && area <= close_:
		return 13 - 2*float64(street), "same address"
	case street <= near && area == missing:
		return 7, "same street and number"
	case area <= near && street == related:
		return 4, "same suburb, and streets with something in common"
	case area <= near:
		return 2, "same suburb"
	case street <= near:
		return 2, "same street, another suburb"
	}
	return -3, "different addresses"
}

// best is the closest agreement of any two.
func best(as, bs []string) level {
	l := missing
	for _, a := range as {
		for _, b := range bs {
			l = min(l, levelOf(a, b))
		}
	}
	return l
}

func shared(as, bs []string) bool {
	return slices.ContainsFunc(as, func(a string) bool { return slices.Contains(bs, a) })
}

// alike reports whether both names of two businesses agree.
func alike(as, bs []string) bool {
	for _, a := range as {
		if !slices.ContainsFunc(bs, func(b string) bool { return levelOf(a, b) <= close_ }) {
			return false
		}
	}
	return true
}

// Blocks are what records of the kind that may be one share at least one of, sorted and distinct, in a space of their own: no
// strong key is ever equal to one. They are hashes.
func Blocks(kind domain.Kind, v domain.Values) []Key {
	var keys []Key
	add := func(sort string, parts ...string) {
		if !slices.Contains(parts, "") {
			keys = append(keys, Key(fmt.Sprintf("~%s:%016x", sort, hashText(7, strings.Join(parts, "\x00")))))
		}
	}
	switch kind {
	case domain.KindCustomer:
		p := partyOf(v)
		for _, n := range p.names {
			x := newValue(n)
			add("name", n)
			if x.sound != 0 {
				for _, l := range p.places {
					add("area", fmt.Sprint(x.sound), l.postcode)
				}
			}
		}
		for _, s := range p.emails {
			add("email", s)
		}
		for _, s := range p.phones {
			add("phone", s)
		}
		for _, l := range p.places {
			add("street", l.street, l.postcode)
		}
		add("web", p.web)
	case domain.KindProduct:
		if n := newValue(Text(v["name"].Text())); n.words {
			words := strings.Fields(n.text)
			add("name", n.text)
			slices.Sort(words)
			add("words", strings.Join(words, ""))
			add("sound", fmt.Sprint(n.sound), string(v["salePrice"]))
		}
	case domain.KindInvoice, domain.KindCreditNote:
		add("total", v["customer"].Text(), string(v["total"]))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

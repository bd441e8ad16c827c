package match_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/match"
)

func customerOf(name, trading, abn, email, phone, street, suburb, postcode string) domain.Values {
	v := domain.Values{"billingAddress": domain.ValueOf(domain.Address{Lines: []string{street}, Suburb: suburb, Postcode: postcode, Country: "AU"})}
	for f, s := range map[domain.Field]string{"legalName": name, "tradingName": trading, "abn": abn, "email": email, "phone": phone} {
		if s != "" {
			v[f] = domain.TextValue(s)
		}
	}
	if street == "" {
		delete(v, "billingAddress")
	}
	return v
}

func product(sku, name, barcode, price string) domain.Values {
	v := domain.Values{"name": domain.TextValue(name), "salePrice": domain.Value(`{"amount":"` + price + `","currency":"AUD"}`)}
	if sku != "" {
		v["sku"] = domain.TextValue(sku)
	}
	if barcode != "" {
		v["barcode"] = domain.TextValue(barcode)
	}
	return v
}

// TestCompare: what two records of an Australian business are to each other, either way round. ask is a score from 0.8, the default
// policy's.
func TestCompare(t *testing.T) {
	t.Parallel()
	c, p := domain.KindCustomer, domain.KindProduct
	harbour := customerOf("Harbour Freight Pty Ltd", "Quick Ship", "51824753556", "info@harbour.example", "+61295550101", "9 Quay Street", "Pyrmont", "2009")
	person := with(customerOf("Jo Bloggs", "", "", "jo@bloggs.example", "+61412345678", "9 Quay Street", "Pyrmont", "2009"), "kind", "PERSON")
	company := with(customerOf("Bloggs Pty Ltd", "", "", "jo@bloggs.example", "+61412345678", "9 Quay Street", "Pyrmont", "2009"), "kind", "BUSINESS")
	invoice := domain.Values{"customer": `"cus_1"`, "issueDate": `"2026-03-01"`, "total": `{"amount":"110.00","currency":"AUD"}`}
	for _, x := range []struct {
		name    string
		kind    domain.Kind
		a, b    domain.Values
		ask     bool
		against string
		reason  string
	}{
		{"a slip in the name, same telephone", c, harbour, customerOf("Harbor Freight P/L", "", "", "", "+61295550101", "", "", ""), true, "", "same telephone number"},
		{"the same name only", c, harbour, customerOf("Harbour Freight", "", "", "", "", "", "", ""), false, "", "same name"},
		{"the same telephone only", c, harbour, customerOf("Pyrmont Storage", "", "", "", "+61295550101", "", "", ""), false, "", ""},
		{"the same name and address", c, harbour, customerOf("Harbour Freight", "", "", "", "", "9 Quay St", "Pyrmont", "2009"), true, "", "same address"},
		{"two ABNs", c, harbour, with(harbour, "abn", "53004085616"), false, "different ABNs", ""},
		{"one ABN, one place", c, harbour, harbour, true, "", "same ABN"},
		{"one ABN, two places", c, harbour, customerOf("Harbour Freight Pty Ltd", "Quick Ship", "51824753556", "", "", "77 Port Road", "Hindmarsh", "5007"), true, "branches", "same ABN"},
		{"a franchise", c, customerOf("Kowalski Pty Ltd", "Jim's Mowing", "", "", "", "9 Quay Street", "Pyrmont", "2009"),
			customerOf("Delgado Services Pty Ltd", "Jim's Mowing", "", "", "", "77 Port Road", "Hindmarsh", "5007"), false, "franchise", ""},
		{"a person and the own company", c, person, company, true, "a person and a company", ""},
		{"a sole trader, one ABN", c, with(person, "abn", "51824753556"), with(company, "abn", "51824753556"), true, "", "same ABN"},
		{"one name, and two opinions of what it is", c, person, with(person, "kind", "BUSINESS"), true, "", "same name"},
		{"neighbours", c, customerOf("Smith Plumbing 12", "", "", "", "", "12 High Street", "Yass", "2582"), customerOf("Smith Plumbing 14", "", "", "", "", "14 High Street", "Yass", "2582"), false, "", ""},
		{"two SKUs", p, product("A-1", "Hex bolt 8 mm", "", "1.20"), product("A-2", "Hex bolt 8 mm", "", "1.20"), false, "different SKUs", ""},
		{"two barcodes", p, product("", "Hex bolt 8 mm", "9300601111111", "1.20"), product("A-2", "Hex bolt 8 mm", "9300601111112", "1.20"), false, "different barcodes", ""},
		{"no SKU on one side", p, product("A-1", "Hex bolt 8 mm", "", "1.20"), product("", "hex bolt 8mm", "", "1.20"), true, "", "price"},
		{"sizes", p, product("A-1", "Hex bolt 8 mm", "", "1.20"), product("", "Hex bolt 10 mm", "", "1.20"), false, "", ""},
		{"two numbers", domain.KindInvoice, with(invoice, "number", "INV-1"), with(invoice, "number", "INV-2"), false, "different numbers", ""},
		{"a number on one side", domain.KindInvoice, with(invoice, "number", "INV-1"), invoice, true, "", "same total"},
	} {
		v, w := match.Compare(x.kind, x.a, x.b), match.Compare(x.kind, x.b, x.a)
		if v.Score != w.Score || v.Against != w.Against || !slices.Equal(v.Reasons, w.Reasons) {
			t.Errorf("%s: %v one way, %v the other", x.name, v, w)
		}
		if (v.Score >= 0.8) != x.ask || !strings.Contains(v.Against, x.against) || x.against == "" && v.Against != "" || !strings.Contains(strings.Join(v.Reasons, "; "), x.reason) {
			t.Errorf("%s: %+v", x.name, v)
		}
		shared := slices.ContainsFunc(match.Blocks(x.kind, x.a), func(k match.Key) bool { return slices.Contains(match.Blocks(x.kind, x.b), k) })
		if x.ask && !shared {
			t.Errorf("%s: they share no block", x.name)
		}
	}
}

func with(v domain.Values, f domain.Field, s string) domain.Values {
	v = v.Clone()
	v[f] = domain.TextValue(s)
	return v
}

func TestCompareIsSymmetric(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) domain.Values {
		pick := func(label string, s ...string) string { return rapid.SampledFrom(s).Draw(t, label) }
		return customerOf(pick("legal", "", "Acme Pty Ltd", "Acme", "Acmee Holdings", "Jo Bloggs"), pick("trading", "", "Acme", "Bolt", "Jim's Mowing"),
			pick("abn", "", "51824753556", "53004085616"), pick("email", "", "a@b.example", "A@b.example", "c@d.example"), pick("phone", "", "+61412345678", "+61295550101"),
			pick("street", "", "9 Quay St", "9 Quay Street", "77 Port Rd"), pick("suburb", "", "Pyrmont", "Hindmarsh"), pick("postcode", "", "2009", "5007"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		v, w := match.Compare(domain.KindCustomer, a, b), match.Compare(domain.KindCustomer, b, a)
		if v.Score != w.Score || v.Against != w.Against || !slices.Equal(v.Reasons, w.Reasons) {
			t.Fatalf("%+v one way, %+v the other", v, w)
		}
		if self := match.Compare(domain.KindCustomer, a, a); self.Score < v.Score {
			t.Fatalf("more like another (%v) than like itself (%v)", v, self)
		}
	})
}

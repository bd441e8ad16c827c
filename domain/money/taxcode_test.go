package money

import (
	"slices"
	"testing"
)

func TestTaxCodes(t *testing.T) {
	t.Parallel()
	// Written out, so that a slip in the table is noticed: code, Xero, where that is archived, MYOB, labels of amount and GST.
	want := map[TaxCode][6]string{
		TaxGST:        {"OUTPUT", "", "GST", "G1", "", "1A"},
		TaxFree:       {"EXEMPTOUTPUT", "", "FRE", "G1", "G3", ""},
		TaxExport:     {"EXEMPTEXPORT", "EXEMPTOUTPUT", "EXP", "G1", "G2", ""},
		TaxInputTaxed: {"INPUTTAXED", "", "ITS", "G1", "G4", ""},
		PurchaseGST:   {"INPUT", "", "GST", "G11", "", "1B"},
		CapitalGST:    {"CAPEXINPUT", "INPUT", "CAP", "G10", "", "1B"},
		PurchaseFree:  {"EXEMPTEXPENSES", "", "FRE", "G11", "G14", ""},
		CapitalFree:   {"EXEMPTCAPITAL", "EXEMPTEXPENSES", "FRE", "G10", "G14", ""},
		PurchaseInput: {"INPUTTAXED", "", "INP", "G11", "G13", ""},
		ImportGST:     {"GSTONIMPORTS", "", "", "", "", "1B"},
		CapitalImport: {"GSTONCAPIMPORTS", "GSTONIMPORTS", "", "", "", "1B"},
		Unregistered:  {"EXEMPTEXPENSES", "", "GNR", "G11", "G14", ""},
		OutOfScope:    {"BASEXCLUDED", "", "N-T", "", "", ""},
		NoABNWithheld: {"BASEXCLUDED", "", "ABN", "", "", ""},
	}
	all := TaxCodes()
	if len(all) != len(want) {
		t.Errorf("%d codes, want %d", len(all), len(want))
	}
	for _, c := range all {
		w := want[c.Code]
		labels := append(slices.Clone(c.Labels), "", "")
		if got := [6]string{c.Xero, c.XeroElse, c.MYOB, string(labels[0]), string(labels[1]), string(c.TaxLabel)}; got != w {
			t.Errorf("%s: %v, want %v", c.Code, got, w)
		}
		if c.Taxed != (c.Code == TaxGST || c.Code == PurchaseGST || c.Code == CapitalGST) || c.Meaning == "" {
			t.Errorf("%s: taxed %v, meaning %q", c.Code, c.Taxed, c.Meaning)
		}
		info, ok := c.Code.Info()
		if !ok || info.Code != c.Code {
			t.Errorf("%s: %+v, %v", c.Code, info, ok)
		}
		for _, l := range append(c.Labels, c.TaxLabel) {
			if l != "" && !slices.Contains(form, l) {
				t.Errorf("%s is under %s, which is not on the form", c.Code, l)
			}
		}
	}
	if info, ok := TaxCode("OUTPUT").Info(); ok {
		t.Errorf("OUTPUT is a code: %+v", info)
	}
	all[0].Labels[0] = "X"
	if info, _ := all[0].Code.Info(); info.Labels[0] != G1 {
		t.Error("the caller can change the table")
	}
}

// TestVendorCodes: what is written to a vendor is read back as the same code, but for the codes that the vendor cannot tell
// apart.
func TestVendorCodes(t *testing.T) {
	t.Parallel()
	xero := map[TaxCode]TaxCode{Unregistered: PurchaseFree, NoABNWithheld: OutOfScope}
	myob := map[TaxCode]TaxCode{CapitalFree: PurchaseFree, ImportGST: "", CapitalImport: ""}
	for _, c := range TaxCodes() {
		sides := []Side{c.Side}
		if c.Side == "" {
			sides = []Side{Sale, Purchase}
		}
		for _, side := range sides {
			want := func(exceptions map[TaxCode]TaxCode) TaxCode {
				if other, ok := exceptions[c.Code]; ok {
					return other
				}
				return c.Code
			}
			taxType, err := c.Code.XeroTaxType(nil)
			if back, ok := FromXero(taxType, side); err != nil || !ok || back != want(xero) {
				t.Errorf("%s is %s in Xero, which is %s, want %s (%v)", c.Code, taxType, back, want(xero), err)
			}
			code, err := c.Code.MYOBCode()
			back, ok := FromMYOB(code, side)
			if back != want(myob) || ok != (err == nil) {
				t.Errorf("%s is %q in MYOB, which is %s, want %s (%v)", c.Code, code, back, want(myob), err)
			}
		}
	}
}

func TestXeroBasicRates(t *testing.T) {
	t.Parallel()
	archived := []string{"CAPEXINPUT", "EXEMPTCAPITAL", "INPUTTAXED", "EXEMPTEXPORT", "GSTONCAPIMPORTS"}
	basic := func(taxType string) bool { return !slices.Contains(archived, taxType) }
	for code, want := range map[TaxCode]string{
		TaxGST: "OUTPUT", TaxExport: "EXEMPTOUTPUT", CapitalGST: "INPUT", CapitalFree: "EXEMPTEXPENSES", CapitalImport: "GSTONIMPORTS",
		OutOfScope: "BASEXCLUDED", TaxInputTaxed: "", PurchaseInput: "", "": "", "OUTPUT": "",
	} {
		got, err := code.XeroTaxType(basic)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", code, got, err, want)
		}
	}
}

func TestReadVendorCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from func(string, Side) (TaxCode, bool)
		code string
		side Side
		want TaxCode
	}{
		{FromXero, "NONE", Sale, OutOfScope}, {FromXero, "NONE", Purchase, ""}, // by the account: GST-free if it is an expense
		{FromXero, "EXEMPTINPUT", Sale, OutOfScope}, {FromXero, "EXEMPTINPUT", Purchase, OutOfScope},
		{FromXero, "INPUTTAXED", Sale, TaxInputTaxed}, {FromXero, "INPUTTAXED", Purchase, PurchaseInput},
		{FromXero, "OUTPUT", Purchase, ""}, {FromXero, "TAX001", Sale, ""}, {FromXero, "", Sale, ""}, {FromXero, "output", Sale, ""},
		{FromMYOB, "GST", Sale, TaxGST}, {FromMYOB, "GST", Purchase, PurchaseGST}, {FromMYOB, "FRE", Sale, TaxFree},
		{FromMYOB, "FRE", Purchase, PurchaseFree}, {FromMYOB, "CAP", Sale, ""}, {FromMYOB, "WET", Sale, ""}, {FromMYOB, "GW", Sale, ""},
		{FromMYOB, "N-T", Sale, OutOfScope}, {FromMYOB, "", Purchase, ""},
	} {
		if got, ok := c.from(c.code, c.side); got != c.want || ok != (c.want != "") {
			t.Errorf("%q on the side %s is %q, %v; want %q", c.code, c.side, got, ok, c.want)
		}
	}
	if _, err := TaxCode("GW").MYOBCode(); err == nil {
		t.Error("GW is a code")
	}
}

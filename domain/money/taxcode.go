package money

import (
	"fmt"
	"slices"
)

// TaxCode is the GST treatment of a line, in Datum's own words.
type TaxCode string

// Tax codes. Those of purchases are their own: the systems that have one code for both sides get it from the document.
const (
	TaxGST        TaxCode = "GST"
	TaxFree       TaxCode = "GST_FREE"
	TaxExport     TaxCode = "EXPORT"
	TaxInputTaxed TaxCode = "INPUT_TAXED"
	OutOfScope    TaxCode = "OUT_OF_SCOPE"
	PurchaseGST   TaxCode = "GST_PURCHASE"
	CapitalGST    TaxCode = "GST_CAPITAL"
	PurchaseFree  TaxCode = "GST_FREE_PURCHASE"
	CapitalFree   TaxCode = "GST_FREE_CAPITAL"
	PurchaseInput TaxCode = "INPUT_TAXED_PURCHASE"
	ImportGST     TaxCode = "GST_ON_IMPORTS"
	CapitalImport TaxCode = "GST_ON_CAPITAL_IMPORTS"
	Unregistered  TaxCode = "UNREGISTERED_SUPPLIER"
	NoABNWithheld TaxCode = "NO_ABN_WITHHELD"
)

// Types that Xero retired in 2013 and still accepts: "No GST" and "GST Exempt".
const (
	xeroNone        = "NONE"
	xeroExemptInput = "EXEMPTINPUT"
)

// Side tells a sales document from a purchase document.
type Side string

// Sides.
const (
	Sale     Side = "SALE"
	Purchase Side = "PURCHASE"
)

// TaxInfo is what there is to know about a tax code.
type TaxInfo struct {
	Code        TaxCode
	Meaning     string
	Side        Side    // where it is used; "" for both
	Taxed       bool    // GST at 10%
	Xero        string  // TaxType
	XeroElse    string  // TaxType that Xero itself falls back on where Xero is archived; "" if there is none
	MYOB        string  // code of the company file; "" if MYOB has none
	Labels      []Label // BAS labels that get the amount with GST
	TaxLabel    Label   // BAS label that gets the GST
	Withholding Label   // label of the statement's withholding part; not a matter of GST, so Summarise leaves it out
}

// taxCodes is the one table of codes. If two rows share a vendor's code on one side, the first is what it is read as.
// Sources: the labels of the ATO's activity statement, Xero's tax types for Australia, the tax code list of an AccountRight file.
var taxCodes = []TaxInfo{
	{Code: TaxGST, Meaning: "taxable sale", Side: Sale, Taxed: true, Xero: "OUTPUT", MYOB: "GST", Labels: []Label{G1}, TaxLabel: Label1A},
	{Code: TaxFree, Meaning: "GST-free sale", Side: Sale, Xero: "EXEMPTOUTPUT", MYOB: "FRE", Labels: []Label{G1, G3}},
	{Code: TaxExport, Meaning: "export", Side: Sale, Xero: "EXEMPTEXPORT", XeroElse: "EXEMPTOUTPUT", MYOB: "EXP", Labels: []Label{G1, G2}},
	{Code: TaxInputTaxed, Meaning: "input-taxed sale", Side: Sale, Xero: "INPUTTAXED", MYOB: "ITS", Labels: []Label{G1, G4}},
	{Code: PurchaseGST, Meaning: "taxable purchase", Side: Purchase, Taxed: true, Xero: "INPUT", MYOB: "GST", Labels: []Label{G11}, TaxLabel: Label1B},
	{Code: CapitalGST, Meaning: "taxable capital purchase", Side: Purchase, Taxed: true, Xero: "CAPEXINPUT", XeroElse: "INPUT", MYOB: "CAP", Labels: []Label{G10}, TaxLabel: Label1B},
	{Code: PurchaseFree, Meaning: "GST-free purchase", Side: Purchase, Xero: "EXEMPTEXPENSES", MYOB: "FRE", Labels: []Label{G11, G14}},
	{Code: CapitalFree, Meaning: "GST-free capital purchase", Side: Purchase, Xero: "EXEMPTCAPITAL", XeroElse: "EXEMPTEXPENSES", MYOB: "FRE", Labels: []Label{G10, G14}},
	{Code: PurchaseInput, Meaning: "purchase for input-taxed sales", Side: Purchase, Xero: "INPUTTAXED", MYOB: "INP", Labels: []Label{G11, G13}},
	{Code: ImportGST, Meaning: "GST on imports, as customs assessed it", Side: Purchase, Xero: "GSTONIMPORTS", TaxLabel: Label1B},
	{Code: CapitalImport, Meaning: "GST on capital imports, as customs assessed it", Side: Purchase, Xero: "GSTONCAPIMPORTS", XeroElse: "GSTONIMPORTS", TaxLabel: Label1B},
	{Code: Unregistered, Meaning: "purchase from a supplier not registered for GST", Side: Purchase, Xero: "EXEMPTEXPENSES", MYOB: "GNR", Labels: []Label{G11, G14}},
	{Code: OutOfScope, Meaning: "outside the statement: wages, super, transfers", Xero: "BASEXCLUDED", MYOB: "N-T"},
	{Code: NoABNWithheld, Meaning: "withheld because the supplier quotes no ABN", Side: Purchase, Xero: "BASEXCLUDED", MYOB: "ABN", Withholding: LabelW4},
}

// TaxCodes returns every tax code, sales first.
func TaxCodes() []TaxInfo {
	all := slices.Clone(taxCodes)
	for i := range all {
		all[i].Labels = slices.Clone(all[i].Labels)
	}
	return all
}

// Info returns what there is to know about the code and whether it exists.
func (c TaxCode) Info() (TaxInfo, bool) {
	t := c.row()
	if t == nil {
		return TaxInfo{}, false
	}
	info := *t
	info.Labels = slices.Clone(t.Labels)
	return info, true
}

func (c TaxCode) row() *TaxInfo {
	i := slices.IndexFunc(taxCodes, func(t TaxInfo) bool { return t.Code == c })
	if i < 0 {
		return nil
	}
	return &taxCodes[i]
}

// taxed reports whether lines of the code carry GST at 10%.
func taxed(c TaxCode) bool {
	t := c.row()
	return t != nil && t.Taxed
}

// assessed reports whether the GST of the code is set by customs (GST Act 1999 s 13-20: on the value of the importation) and
// so bears no fixed relation to the line.
func (c TaxCode) assessed() bool { return c == ImportGST || c == CapitalImport }

// XeroTaxType returns the TaxType to write to Xero. active tells which types the organisation's tax rates have that are not
// archived; nil means all. Where Xero's basic rates have archived a type, the one that Xero itself falls back on is returned:
// the expense rate for a capital rate, GST-free income for exports. Reading that back gives the other code, so compare what
// a record holds with what would be written, not with the code. It fails if the organisation has neither.
func (c TaxCode) XeroTaxType(active func(taxType string) bool) (string, error) {
	t := c.row()
	if t == nil {
		return "", fmt.Errorf("money: %q is not a tax code", c)
	}
	for _, taxType := range []string{t.Xero, t.XeroElse} {
		if taxType != "" && (active == nil || active(taxType)) {
			return taxType, nil
		}
	}
	return "", fmt.Errorf("money: the organisation has no active tax rate %s for %s (%s): activate it in Xero", t.Xero, c, t.Meaning)
}

// FromXero returns the tax code of a line with the TaxType on that side, and false if there is none: a type of the wrong
// side, one that the organisation made itself, or one that Xero resolves by the account. Of the two types that Xero retired,
// EXEMPTINPUT is BASEXCLUDED, and NONE is too except on expense accounts.
// Source: Xero, "Changes to tax codes in Australia" (25 March 2013).
func FromXero(taxType string, side Side) (TaxCode, bool) {
	if taxType == xeroExemptInput || taxType == xeroNone && side == Sale {
		return OutOfScope, true
	}
	return lookUp(side, func(t TaxInfo) bool { return t.Xero == taxType })
}

// MYOBCode returns the tax code of an AccountRight company file. It fails for GST on imports, which MYOB books through a
// customs line instead.
func (c TaxCode) MYOBCode() (string, error) {
	t := c.row()
	if t == nil {
		return "", fmt.Errorf("money: %q is not a tax code", c)
	}
	if t.MYOB == "" {
		return "", fmt.Errorf("money: MYOB has no tax code for %s (%s): book it through a customs line with the code GST", c, t.Meaning)
	}
	return t.MYOB, nil
}

// FromMYOB returns the tax code of a line with that code on that side (MYOB has one GST and one FRE for both), and false if
// there is none, such as for WET or a consolidated code.
func FromMYOB(code string, side Side) (TaxCode, bool) {
	return lookUp(side, func(t TaxInfo) bool { return code != "" && t.MYOB == code })
}

func lookUp(side Side, match func(TaxInfo) bool) (TaxCode, bool) {
	for _, t := range taxCodes {
		if (t.Side == side || t.Side == "") && match(t) {
			return t.Code, true
		}
	}
	return "", false
}

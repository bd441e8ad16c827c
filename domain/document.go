package domain

import (
	"encoding/json"
	"slices"
	"strings"
)

// Line is one line of a document. Decimals are text without trailing zeros. Empty members are left out.
type Line struct {
	Kind           string `json:"kind,omitempty"`           // "" is an item; SHIPPING, DISCOUNT, ROUNDING, TEXT
	Product        string `json:"product,omitempty"`        // reference to a Product
	SKU            string `json:"sku,omitempty"`            // as the document says it
	Description    string `json:"description,omitempty"`    // lines kept
	Quantity       string `json:"quantity,omitempty"`       // at most 6 decimals
	UnitPrice      string `json:"unitPrice,omitempty"`      // at most 6 decimals; with GST if the document is INCLUSIVE
	DiscountRate   string `json:"discountRate,omitempty"`   // per cent
	DiscountAmount string `json:"discountAmount,omitempty"` // off the whole line
	TaxCode        string `json:"taxCode,omitempty"`        // money.TaxCode
	Amount         string `json:"amount,omitempty"`         // after discount, in the document's tax mode, cents
	Tax            string `json:"tax,omitempty"`            // GST of the line, as issued
	Account        string `json:"account,omitempty"`        // code of the revenue account
}

// Kinds of lines that are not an item.
const (
	LineShipping = "SHIPPING"
	LineDiscount = "DISCOUNT"
	LineRounding = "ROUNDING"
	LineText     = "TEXT"
)

// Allocation is a part of a payment or credit note that pays a document: Invoice or CreditNote is set. With neither, that part is
// on the customer's account: received beyond what was open, and not yet set against anything.
type Allocation struct {
	Invoice    string `json:"invoice,omitempty"`    // reference to an Invoice
	CreditNote string `json:"creditNote,omitempty"` // reference to a CreditNote
	Amount     string `json:"amount"`
	Date       string `json:"date,omitempty"`
}

// OnAccount reports whether the part pays no document.
func (a Allocation) OnAccount() bool { return a.Invoice == "" && a.CreditNote == "" }

// LinesOf decodes a value of TypeLines; a value of another shape has none.
func LinesOf(v Value) []Line {
	var ls []Line
	if v.Decode(&ls) != nil {
		return nil
	}
	return ls
}

// AllocationsOf decodes a value of TypeAllocations; a value of another shape has none.
func AllocationsOf(v Value) []Allocation {
	var as []Allocation
	if v.Decode(&as) != nil {
		return nil
	}
	return as
}

// extPrefix marks a reference by a vendor's id; ids of ours never hold a colon.
const extPrefix = "ext:"

// Ext is how an adapter refers to the record of its own system with that id. Datum turns it into our id and back.
func Ext(externalID string) string {
	if externalID == "" {
		return ""
	}
	return extPrefix + externalID
}

// ExtID returns the vendor's id of a reference by Ext, and whether it is one.
func ExtID(ref string) (externalID string, ok bool) { return strings.CutPrefix(ref, extPrefix) }

// Ref is one reference inside the values of a record or entity.
type Ref struct {
	Kind Kind
	ID   string // our id, or one made by Ext
}

// Refs returns every reference in the values, once each, in the order of the kind's fields.
func Refs(kind Kind, v Values) []Ref {
	var refs []Ref
	_ = MapRefs(kind, v, func(r Ref) string {
		if !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
		return r.ID
	})
	return refs
}

// MapRefs returns the values with every reference replaced by what f says; "" leaves it out: a field of TypeRef becomes
// absent, since nothing is known of it, a line keeps its other members, and an allocation goes.
func MapRefs(kind Kind, v Values, f func(Ref) string) Values {
	ki, _ := kind.Info()
	out := v.Clone()
	for _, fi := range ki.Fields {
		x := v[fi.Name]
		if x.Empty() {
			continue
		}
		switch fi.Type {
		case TypeRef:
			if id := f(Ref{fi.Ref, x.Text()}); id == "" {
				delete(out, fi.Name)
			} else {
				out[fi.Name] = TextValue(id)
			}
		case TypeLines:
			ls := LinesOf(x)
			for i := range ls {
				if ls[i].Product != "" {
					ls[i].Product = f(Ref{KindProduct, ls[i].Product})
				}
			}
			out[fi.Name] = ValueOf(ls)
		case TypeAllocations:
			var as []Allocation
			for _, a := range AllocationsOf(x) {
				free := a.OnAccount()
				if a.Invoice != "" {
					a.Invoice = f(Ref{KindInvoice, a.Invoice})
				}
				if a.CreditNote != "" {
					a.CreditNote = f(Ref{KindCreditNote, a.CreditNote})
				}
				if free || !a.OnAccount() {
					as = append(as, a)
				}
			}
			if as == nil {
				as = []Allocation{}
			}
			sortAllocations(as) // by the references as they are now
			out[fi.Name] = ValueOf(as)
		}
	}
	return out
}

// sortAllocations gives allocations one order: vendors list them in any.
func sortAllocations(as []Allocation) {
	slices.SortFunc(as, func(a, b Allocation) int {
		return strings.Compare(a.Invoice+a.CreditNote+a.Date+a.Amount, b.Invoice+b.CreditNote+b.Date+b.Amount)
	})
}

// Essence is what makes two values of a field the same to a business: of lines, what was agreed and not the figures that each
// issuer works out from it. Other values are themselves.
func Essence(v Value) Value {
	if !strings.HasPrefix(string(v), "[{") || !strings.Contains(string(v), `"quantity"`) && !strings.Contains(string(v), `"description"`) {
		return v
	}
	d := json.NewDecoder(strings.NewReader(string(v)))
	d.DisallowUnknownFields()
	var ls []Line
	if d.Decode(&ls) != nil {
		return v // not lines
	}
	for i := range ls {
		ls[i].Tax = ""
		if ls[i].Quantity != "" {
			ls[i].Amount = ""
		}
		if ls[i].Product != "" {
			ls[i].SKU = ""
		}
	}
	return ValueOf(ls)
}

// Same reports whether two values of a field mean the same to a business: their essence is the same, or they are allocations that
// differ only in dates that one of them leaves open, as whoever books them chooses the day then.
func Same(a, b Value) bool {
	return Essence(a) == Essence(b) || sameAllocations(a, b)
}

func sameAllocations(a, b Value) bool {
	if !strings.HasPrefix(string(a), "[{") || !strings.HasPrefix(string(b), "[{") {
		return false
	}
	var lists [2][]Allocation
	for i, v := range []Value{a, b} {
		d := json.NewDecoder(strings.NewReader(string(v)))
		d.DisallowUnknownFields()
		if d.Decode(&lists[i]) != nil {
			return false
		}
	}
	left := lists[1]
	for _, x := range lists[0] {
		i := slices.IndexFunc(left, func(y Allocation) bool {
			return x.Invoice == y.Invoice && x.CreditNote == y.CreditNote && x.Amount == y.Amount && (x.Date == y.Date || x.Date == "" || y.Date == "")
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return len(left) == 0
}

// Begun reports whether allocations are a part of those that are wanted: whatever they pay is to be paid as much, and the rest is
// still on the customer's account.
func Begun(wanted, theirs Value) bool {
	want := AllocationsOf(wanted)
	for _, a := range AllocationsOf(theirs) {
		if a.Invoice+a.CreditNote != "" && !slices.ContainsFunc(want, func(w Allocation) bool {
			return w.Invoice == a.Invoice && w.CreditNote == a.CreditNote && number(w.Amount).Equal(number(a.Amount))
		}) {
			return false
		}
	}
	return len(want) > 0
}

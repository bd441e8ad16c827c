package domain

import "slices"

// Kind names a canonical object: "Customer".
type Kind string

// Field names a canonical field as the GraphQL schema, the policy and the mappings do: "legalName".
type Field string

// Kinds.
const (
	KindCustomer   Kind = "Customer"
	KindProduct    Kind = "Product"
	KindLocation   Kind = "Location"
	KindStockLevel Kind = "StockLevel"
	KindQuote      Kind = "Quote"
	KindOrder      Kind = "Order"
	KindInvoice    Kind = "Invoice"
	KindCreditNote Kind = "CreditNote"
	KindPayment    Kind = "Payment"
)

// Type is the shape of a field's value and decides how it is normalised.
type Type string

// Types of fields.
const (
	TypeText         Type = "text"     // one line, space collapsed
	TypeLongText     Type = "longtext" // lines kept
	TypeEnum         Type = "enum"     // one of FieldInfo.Enum
	TypeBool         Type = "bool"
	TypeEmail        Type = "email"
	TypePhone        Type = "phone" // E.164, or digits for 13/1300/1800, or the text as it stands
	TypeURL          Type = "url"
	TypeABN          Type = "abn"          // 11 digits
	TypeACN          Type = "acn"          // 9 digits
	TypeAddress      Type = "address"      // Address
	TypeContacts     Type = "contacts"     // []Contact
	TypeTags         Type = "tags"         // sorted set of text
	TypeMoney        Type = "money"        // Money
	TypeCurrency     Type = "currency"     // ISO 4217
	TypePaymentTerms Type = "paymentTerms" // PaymentTerms
	TypeCustomFields Type = "customFields" // object of text
	TypeDecimal      Type = "decimal"      // decimal as text, at most money.UnitDecimals places, no trailing zeros
	TypeDate         Type = "date"         // local date, "2026-03-31": never an instant
	TypeTime         Type = "time"         // instant, RFC 3339 in UTC
	TypeRef          Type = "ref"          // our id of an entity of FieldInfo.Ref; see Ext
	TypeLines        Type = "lines"        // []Line
	TypeAllocations  Type = "allocations"  // []Allocation
)

// FieldInfo describes one field of a kind.
type FieldInfo struct {
	Name Field
	Type Type
	Enum []string
	Ref  Kind // of TypeRef: the kind it leads to
}

// KindInfo describes a kind: its id prefix, its fields and the field that holds its lifecycle stage.
type KindInfo struct {
	Kind       Kind
	Prefix     string // of ids: "cus"
	Fields     []FieldInfo
	StageField Field    // ownership may differ by this field's value
	Stages     []string // its values, in order
}

// Lifecycle stages of a customer, in order. FormerCustomer is reachable from any.
var customerStages = []string{"LEAD", "PROSPECT", "OPPORTUNITY", "CUSTOMER", "FORMER_CUSTOMER"}

// kinds are in the order in which they depend on one another.
var kinds = []KindInfo{customerKind, productKind, locationKind, stockLevelKind, quoteKind, orderKind, invoiceKind, creditNoteKind, paymentKind}

var customerKind = KindInfo{
	Kind: KindCustomer, Prefix: "cus", StageField: "lifecycleStage", Stages: customerStages,
	Fields: []FieldInfo{
		{Name: "kind", Type: TypeEnum, Enum: []string{"BUSINESS", "PERSON"}},
		{Name: "legalName", Type: TypeText},
		{Name: "tradingName", Type: TypeText},
		{Name: "abn", Type: TypeABN},
		{Name: "acn", Type: TypeACN},
		{Name: "gstRegistered", Type: TypeBool},
		{Name: "email", Type: TypeEmail},
		{Name: "phone", Type: TypePhone},
		{Name: "mobile", Type: TypePhone},
		{Name: "website", Type: TypeURL},
		{Name: "contacts", Type: TypeContacts},
		{Name: "billingAddress", Type: TypeAddress},
		{Name: "shippingAddress", Type: TypeAddress},
		{Name: "lifecycleStage", Type: TypeEnum, Enum: customerStages},
		{Name: "salesOwner", Type: TypeText},
		{Name: "paymentTerms", Type: TypePaymentTerms},
		{Name: "creditLimit", Type: TypeMoney},
		{Name: "currency", Type: TypeCurrency},
		{Name: "tags", Type: TypeTags},
		{Name: "notes", Type: TypeLongText},
		{Name: "customFields", Type: TypeCustomFields},
		{Name: "status", Type: TypeEnum, Enum: statuses},
	},
}

// KindsAll returns every kind, in the order in which they depend on one another.
func KindsAll() []KindInfo { return kinds }

// Info returns the description of a kind and whether it exists.
func (k Kind) Info() (KindInfo, bool) {
	i := slices.IndexFunc(kinds, func(ki KindInfo) bool { return ki.Kind == k })
	if i < 0 {
		return KindInfo{}, false
	}
	return kinds[i], true
}

// KindOfID returns the kind whose prefix the id carries, "" if none.
func KindOfID(id string) Kind {
	p := Prefix(id)
	for _, ki := range kinds {
		if ki.Prefix == p {
			return ki.Kind
		}
	}
	return ""
}

// Field returns the description of the field and whether the kind has it.
func (ki KindInfo) Field(f Field) (FieldInfo, bool) {
	i := slices.IndexFunc(ki.Fields, func(fi FieldInfo) bool { return fi.Name == f })
	if i < 0 {
		return FieldInfo{}, false
	}
	return ki.Fields[i], true
}

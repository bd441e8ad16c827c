package domain

import "datum/domain/money"

// Values that several kinds share.
var (
	statuses        = []string{"ACTIVE", "ARCHIVED"}
	paymentStatuses = []string{"UNPAID", "PARTIALLY_PAID", "PAID", "PARTIALLY_REFUNDED", "REFUNDED"}
	taxModes        = []string{string(money.Inclusive), string(money.Exclusive), string(money.NoTax)}
)

// taxCodes are the codes of one side, with those of both.
func taxCodes(side money.Side) []string {
	var codes []string
	for _, t := range money.TaxCodes() {
		if t.Side == side || t.Side == "" {
			codes = append(codes, string(t.Code))
		}
	}
	return codes
}

// productKind is what is bought and sold: what has a stock-keeping unit of its own, so a variant and not a family of them.
var productKind = KindInfo{Kind: KindProduct, Prefix: "prd", Fields: []FieldInfo{
	{Name: "sku", Type: TypeText},
	{Name: "name", Type: TypeText},
	{Name: "description", Type: TypeLongText},
	{Name: "barcode", Type: TypeText},
	{Name: "unit", Type: TypeText},
	{Name: "category", Type: TypeText},
	{Name: "brand", Type: TypeText},
	{Name: "salePrice", Type: TypeMoney},
	{Name: "priceIncludesTax", Type: TypeBool},
	{Name: "purchasePrice", Type: TypeMoney},
	{Name: "salesTaxCode", Type: TypeEnum, Enum: taxCodes(money.Sale)},
	{Name: "purchaseTaxCode", Type: TypeEnum, Enum: taxCodes(money.Purchase)},
	{Name: "trackStock", Type: TypeBool},
	{Name: "weight", Type: TypeDecimal},
	{Name: "salesAccount", Type: TypeText},
	{Name: "purchaseAccount", Type: TypeText},
	{Name: "tags", Type: TypeTags},
	{Name: "customFields", Type: TypeCustomFields},
	{Name: "status", Type: TypeEnum, Enum: statuses},
}}

var locationKind = KindInfo{Kind: KindLocation, Prefix: "loc", Fields: []FieldInfo{
	{Name: "name", Type: TypeText},
	{Name: "code", Type: TypeText},
	{Name: "address", Type: TypeAddress},
	{Name: "customFields", Type: TypeCustomFields},
	{Name: "status", Type: TypeEnum, Enum: statuses},
}}

// stockLevelKind is how much of one product there is at one location.
var stockLevelKind = KindInfo{Kind: KindStockLevel, Prefix: "stk", Fields: []FieldInfo{
	{Name: "product", Type: TypeRef, Ref: KindProduct},
	{Name: "location", Type: TypeRef, Ref: KindLocation},
	{Name: "onHand", Type: TypeDecimal},
	{Name: "committed", Type: TypeDecimal},
	{Name: "available", Type: TypeDecimal},
	{Name: "incoming", Type: TypeDecimal},
	{Name: "customFields", Type: TypeCustomFields},
}}

var quoteStages = []string{"DRAFT", "SENT", "ACCEPTED", "DECLINED", "EXPIRED", "INVOICED"}

var quoteKind = KindInfo{Kind: KindQuote, Prefix: "quo", StageField: "stage", Stages: quoteStages, Fields: []FieldInfo{
	{Name: "number", Type: TypeText},
	{Name: "title", Type: TypeText},
	{Name: "customer", Type: TypeRef, Ref: KindCustomer},
	{Name: "stage", Type: TypeEnum, Enum: quoteStages},
	{Name: "issueDate", Type: TypeDate},
	{Name: "expiryDate", Type: TypeDate},
	{Name: "currency", Type: TypeCurrency},
	{Name: "taxMode", Type: TypeEnum, Enum: taxModes},
	{Name: "lines", Type: TypeLines},
	{Name: "subtotal", Type: TypeMoney},
	{Name: "taxTotal", Type: TypeMoney},
	{Name: "rounding", Type: TypeMoney},
	{Name: "total", Type: TypeMoney},
	{Name: "reference", Type: TypeText},
	{Name: "notes", Type: TypeLongText},
	{Name: "salesOwner", Type: TypeText},
	{Name: "paymentStatus", Type: TypeEnum, Enum: paymentStatuses},
	{Name: "tags", Type: TypeTags},
	{Name: "origin", Type: TypeText},
	{Name: "customFields", Type: TypeCustomFields},
}}

var orderStages = []string{"DRAFT", "CONFIRMED", "CANCELLED", "CLOSED"}

var orderKind = KindInfo{Kind: KindOrder, Prefix: "ord", StageField: "stage", Stages: orderStages, Fields: []FieldInfo{
	{Name: "number", Type: TypeText},
	{Name: "customer", Type: TypeRef, Ref: KindCustomer},
	{Name: "stage", Type: TypeEnum, Enum: orderStages},
	{Name: "paymentStatus", Type: TypeEnum, Enum: paymentStatuses},
	{Name: "fulfilmentStatus", Type: TypeEnum, Enum: []string{"UNFULFILLED", "PARTIAL", "FULFILLED"}},
	{Name: "orderDate", Type: TypeDate},
	{Name: "location", Type: TypeRef, Ref: KindLocation},
	{Name: "currency", Type: TypeCurrency},
	{Name: "taxMode", Type: TypeEnum, Enum: taxModes},
	{Name: "lines", Type: TypeLines},
	{Name: "subtotal", Type: TypeMoney},
	{Name: "taxTotal", Type: TypeMoney},
	{Name: "rounding", Type: TypeMoney},
	{Name: "total", Type: TypeMoney},
	{Name: "amountPaid", Type: TypeMoney},
	{Name: "amountRefunded", Type: TypeMoney},
	{Name: "reference", Type: TypeText},
	{Name: "email", Type: TypeEmail},
	{Name: "billingAddress", Type: TypeAddress},
	{Name: "shippingAddress", Type: TypeAddress},
	{Name: "channel", Type: TypeText},
	{Name: "notes", Type: TypeLongText},
	{Name: "tags", Type: TypeTags},
	{Name: "origin", Type: TypeText},
	{Name: "customFields", Type: TypeCustomFields},
}}

var invoiceStages = []string{"DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED"}

var invoiceKind = KindInfo{Kind: KindInvoice, Prefix: "inv", StageField: "stage", Stages: invoiceStages, Fields: []FieldInfo{
	{Name: "number", Type: TypeText},
	{Name: "customer", Type: TypeRef, Ref: KindCustomer},
	{Name: "stage", Type: TypeEnum, Enum: invoiceStages},
	{Name: "issueDate", Type: TypeDate},
	{Name: "dueDate", Type: TypeDate},
	{Name: "currency", Type: TypeCurrency},
	{Name: "taxMode", Type: TypeEnum, Enum: taxModes},
	{Name: "lines", Type: TypeLines},
	{Name: "subtotal", Type: TypeMoney},
	{Name: "taxTotal", Type: TypeMoney},
	{Name: "rounding", Type: TypeMoney},
	{Name: "total", Type: TypeMoney},
	{Name: "amountPaid", Type: TypeMoney},
	{Name: "amountCredited", Type: TypeMoney},
	{Name: "amountDue", Type: TypeMoney},
	{Name: "reference", Type: TypeText},
	{Name: "notes", Type: TypeLongText},
	{Name: "origin", Type: TypeText},
	{Name: "customFields", Type: TypeCustomFields},
}}

var creditNoteStages = []string{"DRAFT", "AUTHORISED", "PAID", "VOIDED"}

// creditNoteKind has positive lines and totals, as the vendors show them; it takes away from what is owed.
var creditNoteKind = KindInfo{Kind: KindCreditNote, Prefix: "crn", StageField: "stage", Stages: creditNoteStages, Fields: []FieldInfo{
	{Name: "number", Type: TypeText},
	{Name: "customer", Type: TypeRef, Ref: KindCustomer},
	{Name: "stage", Type: TypeEnum, Enum: creditNoteStages},
	{Name: "issueDate", Type: TypeDate},
	{Name: "currency", Type: TypeCurrency},
	{Name: "taxMode", Type: TypeEnum, Enum: taxModes},
	{Name: "lines", Type: TypeLines},
	{Name: "subtotal", Type: TypeMoney},
	{Name: "taxTotal", Type: TypeMoney},
	{Name: "rounding", Type: TypeMoney},
	{Name: "total", Type: TypeMoney},
	{Name: "remainingCredit", Type: TypeMoney},
	{Name: "reference", Type: TypeText},
	{Name: "reason", Type: TypeText},
	{Name: "invoice", Type: TypeRef, Ref: KindInvoice},
	{Name: "order", Type: TypeRef, Ref: KindOrder},
	{Name: "allocations", Type: TypeAllocations},
	{Name: "notes", Type: TypeLongText},
	{Name: "origin", Type: TypeText},
	{Name: "customFields", Type: TypeCustomFields},
}}

var paymentStages = []string{"AUTHORISED", "VOIDED"}

// paymentKind is money received from a customer, or given back.
var paymentKind = KindInfo{Kind: KindPayment, Prefix: "pay", StageField: "stage", Stages: paymentStages, Fields: []FieldInfo{
	{Name: "customer", Type: TypeRef, Ref: KindCustomer},
	{Name: "stage", Type: TypeEnum, Enum: paymentStages},
	{Name: "direction", Type: TypeEnum, Enum: []string{"RECEIVED", "REFUNDED"}},
	{Name: "date", Type: TypeDate},
	{Name: "amount", Type: TypeMoney},
	{Name: "method", Type: TypeText},
	{Name: "reference", Type: TypeText},
	{Name: "account", Type: TypeText},
	{Name: "order", Type: TypeRef, Ref: KindOrder},
	{Name: "allocations", Type: TypeAllocations},
	{Name: "origin", Type: TypeText},
	{Name: "customFields", Type: TypeCustomFields},
}}

// MappingSetting is the account setting in which a system's mapping document in force stands.
const MappingSetting = "mappingDocument"

package model

import (
	"encoding/json"
	"slices"

	"datum/domain"
)

// Keyed is an entity of any kind.
type Keyed interface {
	Entity
	// Key returns the global id.
	Key() string
}

// Key implements Keyed, as those below do.
func (e *Customer) Key() string { return e.ID }

func (e *Product) Key() string    { return e.ID }
func (e *Location) Key() string   { return e.ID }
func (e *StockLevel) Key() string { return e.ID }
func (e *Quote) Key() string      { return e.ID }
func (e *Order) Key() string      { return e.ID }
func (e *Invoice) Key() string    { return e.ID }
func (e *CreditNote) Key() string { return e.ID }
func (e *Payment) Key() string    { return e.ID }

// KindOf returns the kind of an entity, which may be a nil pointer; "" if it is none.
func KindOf(e Entity) domain.Kind {
	switch e.(type) {
	case *Customer:
		return domain.KindCustomer
	case *Product:
		return domain.KindProduct
	case *Location:
		return domain.KindLocation
	case *StockLevel:
		return domain.KindStockLevel
	case *Quote:
		return domain.KindQuote
	case *Order:
		return domain.KindOrder
	case *Invoice:
		return domain.KindInvoice
	case *CreditNote:
		return domain.KindCreditNote
	case *Payment:
		return domain.KindPayment
	}
	return ""
}

// EntityOf reads a golden entity as package store gives it to apps.
func EntityOf(kind domain.Kind, b []byte) (Keyed, error) {
	var e Keyed
	switch kind {
	case domain.KindCustomer:
		e = &Customer{}
	case domain.KindProduct:
		e = &Product{}
	case domain.KindLocation:
		e = &Location{}
	case domain.KindStockLevel:
		e = &StockLevel{}
	case domain.KindQuote:
		e = &Quote{}
	case domain.KindOrder:
		e = &Order{}
	case domain.KindInvoice:
		e = &Invoice{}
	case domain.KindCreditNote:
		e = &CreditNote{}
	case domain.KindPayment:
		e = &Payment{}
	default:
		return nil, domain.Errorf(domain.Internal, "model.EntityOf: there is no kind %q", kind)
	}
	if err := json.Unmarshal(b, e); err != nil {
		return nil, &domain.Error{Code: domain.Internal, Op: "model.EntityOf", Message: "stored values do not fit the schema's " + string(kind), Err: err}
	}
	return e, nil
}

// Refs returns the ids that a field of an entity refers to, those of the products for lines; none for a field that does not
// refer to anything.
func Refs(e Keyed, field string) []string {
	var lines []*Line
	var customer, product, location, order, invoice string
	switch e := e.(type) {
	case *StockLevel:
		product, location = e.ProductID, e.LocationID
	case *Quote:
		lines, customer = e.Lines, e.CustomerID
	case *Order:
		lines, customer, location = e.Lines, e.CustomerID, e.LocationID
	case *Invoice:
		lines, customer = e.Lines, e.CustomerID
	case *CreditNote:
		lines, customer, order, invoice = e.Lines, e.CustomerID, e.OrderID, e.InvoiceID
	case *Payment:
		customer, order = e.CustomerID, e.OrderID
	}
	var ids []string
	switch field {
	case "lines":
		for _, l := range lines {
			if l.ProductID != "" {
				ids = append(ids, l.ProductID)
			}
		}
		return ids
	case "customer":
		ids = append(ids, customer)
	case "product":
		ids = append(ids, product)
	case "location":
		ids = append(ids, location)
	case "order":
		ids = append(ids, order)
	case "invoice":
		ids = append(ids, invoice)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// UnmarshalJSON reads a line as it is kept: an item does not say that it is one.
func (l *Line) UnmarshalJSON(b []byte) error {
	type plain Line
	l.Kind = LineKindItem
	return json.Unmarshal(b, (*plain)(l))
}

package hubspot

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// table says where one kind lives in HubSpot.
type table struct {
	kind    domain.Kind
	objects []string       // the objects that are records of the kind
	parts   string         // the object whose changes are changes of the record they belong to, "" if there is none
	keys    []domain.Field // strong keys, for Find
}

// tables are the kinds that HubSpot carries.
var tables = []table{
	{kind: domain.KindCustomer, objects: []string{companies, contacts}, keys: []domain.Field{"abn", "email", "legalName"}},
	{kind: domain.KindProduct, objects: []string{products}, keys: []domain.Field{"sku"}},
	{kind: domain.KindQuote, objects: []string{deals}, parts: lineItems, keys: []domain.Field{"number"}},
	{kind: domain.KindOrder, objects: []string{orders}, parts: lineItems, keys: []domain.Field{"number"}},
	{kind: domain.KindInvoice, objects: []string{invoices}, keys: []domain.Field{"number"}},
}

// objectTypes are all the objects that Datum reads and writes.
var objectTypes = []string{companies, contacts, products, deals, lineItems, orders, invoices}

// mappings are the tables of all kinds, of an account with the settings.
func mappings(settings map[string]string) []adapters.Mapping {
	ms := []adapters.Mapping{Mapping(), productMapping(), quoteMapping(), orderMapping(), invoiceMapping()}
	currency, taxMode := settings["currency"], settings["taxMode"]
	if currency == "" {
		currency = defaultCurrency
	}
	if taxMode == "" {
		taxMode = string(money.Exclusive)
	}
	for i := range ms {
		ms[i].Flat = stored(strings.ToUpper(currency), strings.ToUpper(taxMode))
	}
	return ms
}

// scopes are what the app asks for. The properties of products are under HubSpot's older scope "e-commerce".
func scopes() []string {
	all := []string{"oauth", "crm.objects.owners.read", "tax_rates.read", "e-commerce"}
	for _, typ := range objectTypes {
		all = append(all, "crm.objects."+typ+".read", "crm.objects."+typ+".write")
		if typ != products {
			all = append(all, "crm.schemas."+typ+".read", "crm.schemas."+typ+".write")
		}
	}
	return all
}

// tableOf refuses kinds that HubSpot does not carry.
func tableOf(kind domain.Kind) (table, error) {
	i := slices.IndexFunc(tables, func(t table) bool { return t.kind == kind })
	if i < 0 {
		return table{}, domain.Errorf(domain.Unsupported, "HubSpot does not carry %s", kind)
	}
	return tables[i], nil
}

// kindOf returns the kind whose records are objects of the type, "" if there is none.
func kindOf(typ string) domain.Kind {
	for _, t := range tables {
		if slices.Contains(t.objects, typ) {
			return t.kind
		}
	}
	return ""
}

// isDocument reports whether objects of the type have a customer of their own.
func isDocument(typ string) bool { return typ == deals || typ == orders || typ == invoices }

// hasLines reports whether line items of objects of the type are carried.
func hasLines(typ string) bool { return typ == deals || typ == orders }

// streams are the objects whose changes concern the kind, in the order in which they are polled.
func (t table) streams() []string {
	if t.parts == "" {
		return t.objects
	}
	return append(slices.Clone(t.objects), t.parts)
}

// splitID returns the object type and HubSpot's id of an external id of the kind, or of one of its parts.
func (t table) splitID(external string) (typ, id string, err error) {
	typ, id, ok := strings.Cut(external, "/")
	if _, bad := strconv.ParseInt(id, 10, 64); !ok || !slices.Contains(t.streams(), typ) || bad != nil {
		var like []string
		for _, o := range t.objects {
			like = append(like, o+"/123")
		}
		return "", "", domain.Errorf(domain.Invalid, "%q is not an id of a HubSpot %s; it should look like %s", external, strings.ToLower(string(t.kind)), strings.Join(like, " or "))
	}
	return typ, id, nil
}

// memory holds something of the portal's set-up that is read once in a while.
type memory[T any] struct {
	mu    sync.Mutex
	value T
	at    time.Time
}

// get returns what is remembered, or reads it; anew reads it even if it is remembered, at most once a minute.
func (m *memory[T]) get(now func() time.Time, anew bool, read func() (T, error)) (T, error) {
	m.mu.Lock()
	value, at := m.value, m.at
	m.mu.Unlock()
	if age := now().Sub(at); !at.IsZero() && age < remembered && (!anew || age < time.Minute) {
		return value, nil
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.at = value, now()
	return value, nil
}

func (m *memory[T]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = time.Time{}
}

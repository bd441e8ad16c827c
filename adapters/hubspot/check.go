package hubspot

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"datum/adapters"
	"datum/domain"
)

const groupName = "datum"

// property is a property's definition.
type property struct {
	Name           string   `json:"name"`
	Label          string   `json:"label"`
	Description    string   `json:"description,omitempty"`
	Type           string   `json:"type"`
	FieldType      string   `json:"fieldType"`
	GroupName      string   `json:"groupName"`
	HasUniqueValue bool     `json:"hasUniqueValue,omitempty"`
	Options        []option `json:"options,omitempty"`
	HubSpotDefined bool     `json:"hubspotDefined,omitempty"`
}

type option struct {
	Label string `json:"label"`
	Value string `json:"value"`
	Order int    `json:"displayOrder"`
}

func options(values ...string) []option {
	list := make([]option, len(values))
	for i, v := range values {
		list[i] = option{Label: strings.ReplaceAll(strings.ToLower(v), "_", " "), Value: v, Order: i}
	}
	return list
}

func textProperty(name, label, description string) property {
	return property{Name: name, Label: label, Description: description, Type: "string", FieldType: "text", GroupName: groupName}
}

func longProperty(name, label, description string) property {
	p := textProperty(name, label, description)
	p.FieldType = "textarea"
	return p
}

func numberProperty(name, label, description string) property {
	p := textProperty(name, label, description)
	p.Type, p.FieldType = "number", "number"
	return p
}

func dateProperty(name, label string) property {
	p := textProperty(name, label, "")
	p.Type, p.FieldType = "date", "date"
	return p
}

func boolProperty(name, label string) property {
	p := textProperty(name, label, "")
	p.Type, p.FieldType, p.Options = "bool", "booleancheckbox", options("true", "false")
	return p
}

func choiceProperty(name, label string, values ...string) property {
	p := textProperty(name, label, "")
	p.Type, p.FieldType, p.Options = "enumeration", "select", options(values...)
	return p
}

func unique(p property) property {
	p.HasUniqueValue = true
	return p
}

// custom are the properties that Datum needs and HubSpot does not have, by object.
func custom(typ string) []property {
	id := unique(textProperty(idProperty, "Datum id", "Written by Datum; do not edit"))
	switch typ {
	case products:
		return append(productProperties(), id)
	case deals:
		return append(quoteProperties(), id)
	case orders:
		return append(orderProperties(), id)
	case invoices:
		return append(invoiceProperties(), id)
	case lineItems:
		return lineProperties()
	default:
		return append(customerProperties(typ), id)
	}
}

func customerProperties(typ string) []property {
	text, long, number, choice := textProperty, longProperty, numberProperty, choiceProperty
	list := []property{
		text("trading_name", "Trading name", ""),
		text("abn", "ABN", "Australian Business Number, 11 digits"),
		text("acn", "ACN", "Australian Company Number, 9 digits"),
		boolProperty("gst_registered", "GST registered"),
		text("billing_line3", "Billing address line 3", ""), text("billing_line4", "Billing address line 4", ""),
		text("shipping_address", "Shipping address", ""), text("shipping_address2", "Shipping address line 2", ""),
		text("shipping_line3", "Shipping address line 3", ""), text("shipping_line4", "Shipping address line 4", ""),
		text("shipping_city", "Shipping suburb", ""), text("shipping_state", "Shipping state", ""), text("shipping_zip", "Shipping postcode", ""), text("shipping_country", "Shipping country", ""),
		choice("payment_terms_basis", "Payment terms", domain.DaysAfterInvoice, domain.DaysAfterMonthEnd, domain.DayOfCurrentMonth, domain.DayOfFollowingMonth),
		number("payment_terms_days", "Payment terms, days", "Days, or the day of the month"),
		number("credit_limit", "Credit limit", ""), text("credit_limit_currency", "Credit limit, currency", "ISO 4217"),
		text("currency", "Currency", "ISO 4217"),
		text("customer_tags", "Tags", "Separated by semicolons"),
		long("custom_fields", "Custom fields", "A JSON object of text, written by Datum"),
		choice("customer_status", "Customer status", "ACTIVE", "ARCHIVED"),
	}
	if typ == companies {
		return append(list, text("customer_email", "Customer e-mail", ""), text("mobilephone", "Mobile", ""),
			text(contactOrder, "Contact order", "Written by Datum; do not edit"))
	}
	return append(list, text("address2", "Street address line 2", ""), long("description", "Notes", ""),
		long(otherContacts, "Other contacts", "A JSON list of people, written by Datum"),
		unique(text(contactKey, "Datum contact key", "Written by Datum; do not edit")),
		text(formerCompany, "Former company", "Id of the company whose contacts this person was taken off; clear it to make the person a customer"))
}

// properties reads the definitions of an object's properties by name.
func (a *Adapter) properties(ctx context.Context, typ string) (map[string]property, error) {
	var out struct{ Results []property }
	if _, err := a.read(ctx, http.MethodGet, propertiesPath+typ, nil, &out); err != nil {
		return nil, err
	}
	m := map[string]property{}
	for _, p := range out.Results {
		m[p.Name] = p
	}
	return m, nil
}

// misfit says what is wrong with a property that exists, "" if nothing.
func misfit(have, want property) string {
	switch {
	case want.HasUniqueValue && !have.HasUniqueValue:
		return "must hold unique values, which HubSpot only sets at creation; delete it there and provision again"
	case have.Type != want.Type && want.Type != "string" && have.Type != "string":
		return fmt.Sprintf("is of type %s and must be %s", have.Type, want.Type)
	}
	for _, o := range want.Options {
		if have.Type == "enumeration" && !slices.ContainsFunc(have.Options, func(h option) bool { return h.Value == o.Value }) {
			return "lacks the option " + o.Value
		}
	}
	return ""
}

// Check reads the account's details and looks for missing scopes and properties.
func (a *Adapter) Check(ctx context.Context) (_ adapters.Health, err error) {
	defer domain.Wrap(&err, "hubspot.Check")
	var d struct {
		PortalID        int64
		AccountType     string
		TimeZone        string
		CompanyCurrency string
		UIDomain        string
		DataHosting     string `json:"dataHostingLocation"`
	}
	if _, err := a.read(ctx, http.MethodGet, "/account-info/v3/details", nil, &d); err != nil {
		return adapters.Health{}, err
	}
	portal := strconv.FormatInt(d.PortalID, 10)
	h := adapters.Health{Account: "HubSpot account " + portal, Details: map[string]string{"portalId": portal, "accountType": d.AccountType,
		"timeZone": d.TimeZone, "currency": d.CompanyCurrency, "domain": d.UIDomain, "hosting": d.DataHosting}}
	if want := a.s.Settings["portalId"]; want != "" && want != portal {
		h.Problems = append(h.Problems, fmt.Sprintf("the credentials are for account %s and the settings say %s; connect the right account or correct portalId", portal, want))
	}
	if d.CompanyCurrency != "" && a.currency != d.CompanyCurrency {
		h.Problems = append(h.Problems, fmt.Sprintf("the account's currency is %s and prices of products are read as %s; correct the setting currency", d.CompanyCurrency, a.currency))
	}
	probe := func(what string, err error) error {
		switch domain.CodeOf(err) {
		case "":
		case domain.Forbidden:
			h.Problems = append(h.Problems, what+" cannot be read: "+domain.AsError(err).Message)
		default:
			return err
		}
		return nil
	}
	for _, typ := range objectTypes {
		have, err := a.properties(ctx, typ)
		if err == nil {
			h.Problems = append(h.Problems, propertyProblems(typ, have)...)
		} else if err := probe("the properties of "+typ, err); err != nil {
			return h, err
		}
		_, err = a.read(ctx, http.MethodGet, objectsPath+typ+"?limit=1", nil, nil)
		if err := probe(typ, err); err != nil {
			return h, err
		}
	}
	for what, path := range map[string]string{"the users": ownersPath + "?limit=1", "the pipelines of deals": pipelinesPath + deals, "the tax rates": taxRatesPath} {
		_, err = a.read(ctx, http.MethodGet, path, nil, nil)
		if err := probe(what, err); err != nil {
			return h, err
		}
	}
	return h, nil
}

// propertyProblems says which of our properties are missing or of the wrong kind.
func propertyProblems(typ string, have map[string]property) []string {
	var missing, problems []string
	for _, want := range custom(typ) {
		if p, ok := have[want.Name]; !ok {
			missing = append(missing, want.Name)
		} else if m := misfit(p, want); m != "" {
			problems = append(problems, fmt.Sprintf("the property %s of %s %s", want.Name, typ, m))
		}
	}
	if len(missing) > 0 {
		problems = append(problems, fmt.Sprintf("%s lack the properties %s; provision the system to create them", typ, strings.Join(missing, ", ")))
	}
	return problems
}

// Provision creates the missing properties and their group. What exists is left as it is; a misfit is Conflict.
func (a *Adapter) Provision(ctx context.Context) (err error) {
	defer domain.Wrap(&err, "hubspot.Provision")
	for _, typ := range objectTypes {
		have, err := a.properties(ctx, typ)
		if err != nil {
			return err
		}
		missing := map[string]property{}
		for _, want := range custom(typ) {
			p, ok := have[want.Name]
			if !ok {
				missing[want.Name] = want
			} else if m := misfit(p, want); m != "" {
				return &domain.Error{Code: domain.Conflict, System: a.s.System, Message: fmt.Sprintf("the property %s of %s %s", want.Name, typ, m)}
			}
		}
		if len(missing) == 0 {
			continue
		}
		_, err = a.write(ctx, propertiesPath+typ+"/groups", map[string]any{"name": groupName, "label": "Datum", "displayOrder": -1}, nil)
		if err != nil && domain.CodeOf(err) != domain.Conflict {
			return err
		}
		var inputs []property
		for _, name := range slices.Sorted(maps.Keys(missing)) {
			inputs = append(inputs, missing[name])
		}
		var out struct{ Errors []vendorError }
		if _, err := a.write(ctx, propertiesPath+typ+"/batch/create", map[string]any{"inputs": inputs}, &out); err != nil {
			return err
		}
		for _, v := range out.Errors {
			if e := a.classify(typ, v, 0); e.Code != domain.Conflict { // Conflict: another process made it meanwhile
				return e
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.extra {
		m.forget()
	}
	return nil
}

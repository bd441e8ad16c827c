package hubspot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Members of the object that the mapping sees beside the properties; see flat.
const (
	keyObject   = "object"       // "companies", "deals" ...
	keyOwner    = "owner"        // the owner's e-mail
	keyContacts = "contacts"     // the company's contacts
	keyCustomer = "associations" // the document's customer, by its external id
	keyLines    = "line_items"   // the document's lines
	keyClass    = "stage"        // what stage of a quote the deal's stage means
	keyCurrency = "companyCurrency"
	keyTaxMode  = "taxMode"
	keyMoney    = "amounts" // when writing: the currency of each amount, by field
)

var notProperties = []string{keyObject, keyOwner, keyContacts, keyCustomer, keyLines, keyClass, keyCurrency, keyTaxMode, keyMoney, "id"}

const maxText = 65_536

// idProperty holds our id, unique on each object.
const idProperty = "datum_id"

// Properties of ours that no field maps to.
const (
	contactKey    = "datum_contact_key"    // unique: makes creating a company's contact safe to repeat
	contactOrder  = "datum_contact_order"  // the company's contact ids in the order of Customer.contacts
	formerCompany = "datum_former_company" // a contact taken off a company's list: not a customer of its own
	otherContacts = "other_contacts"       // a person's contacts, as JSON
)

// stageOf and stageTo map the lifecycle. Written is the first stage of each in HubSpot's order.
var stageOf = map[string]string{
	"subscriber": "LEAD", "lead": "LEAD", "marketingqualifiedlead": "PROSPECT", "salesqualifiedlead": "PROSPECT",
	"opportunity": "OPPORTUNITY", "customer": "CUSTOMER", "evangelist": "CUSTOMER", "other": "FORMER_CUSTOMER",
}

var stageTo = map[string]string{
	"LEAD": "lead", "PROSPECT": "marketingqualifiedlead", "OPPORTUNITY": "opportunity", "CUSTOMER": "customer", "FORMER_CUSTOMER": "other",
}

// stageOrder is HubSpot's: a later stage is never overwritten by an earlier one unless it is cleared first.
var stageOrder = []string{"subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist", "other"}

// Mapping is the table of Customer. Where company and contact differ, both paths are named.
func Mapping() adapters.Mapping {
	text := adapters.TextRow
	return adapters.Mapping{
		Kind:    domain.KindCustomer,
		Object:  "Companies and contacts",
		IDField: idProperty,
		Rows: []adapters.Row{
			{Field: "kind", Paths: []string{keyObject}, Note: "a company is a BUSINESS, a contact without a company a PERSON; fixed at creation",
				Get: func(o adapters.Object) domain.Value {
					if isPerson(o) {
						return domain.TextValue("PERSON")
					}
					return domain.TextValue("BUSINESS")
				}},
			{Field: "legalName", Paths: []string{"name", "firstname", "lastname"}, Max: maxText, Note: "company: name; contact: firstname and lastname, split at the last space",
				Get: func(o adapters.Object) domain.Value {
					if isPerson(o) {
						return domain.TextValue(strings.TrimSpace(adapters.String(o, "firstname") + " " + adapters.String(o, "lastname")))
					}
					return domain.TextValue(adapters.String(o, "name"))
				},
				Set: func(o adapters.Object, v domain.Value) error {
					if !isPerson(o) {
						o["name"] = v.Text()
						return nil
					}
					first, last := v.Text(), ""
					if i := strings.LastIndexByte(first, ' '); i >= 0 {
						first, last = first[:i], first[i+1:]
					}
					o["firstname"], o["lastname"] = first, last
					return nil
				}},
			text("tradingName", "trading_name", maxText, "custom"),
			text("abn", "abn", maxText, "custom; 11 digits"),
			text("acn", "acn", maxText, "custom; 9 digits"),
			text("gstRegistered", "gst_registered", 0, "custom; true or false"),
			{Field: "email", Paths: []string{"customer_email", "email"}, Max: maxText, Note: "company: customer_email (custom); contact: email, unique; in lower case, as HubSpot keeps it",
				Get: func(o adapters.Object) domain.Value {
					return domain.TextValue(strings.ToLower(adapters.String(o, emailKey(o))))
				},
				Set: func(o adapters.Object, v domain.Value) error { o[emailKey(o)] = strings.ToLower(v.Text()); return nil },
				Fit: func(v domain.Value) domain.Value { return domain.TextValue(strings.ToLower(v.Text())) }},
			text("phone", "phone", maxText, ""),
			text("mobile", "mobilephone", maxText, "custom on companies"),
			text("website", "website", maxText, "HubSpot fills it from a company's domain when it is created"),
			{Field: "contacts", Paths: []string{keyContacts, otherContacts}, Note: "company: its associated contacts (firstname, lastname, email, phone, jobtitle), in the order of datum_contact_order; " +
				"taken off the list they are unlinked, not deleted; contact: other_contacts (custom), as JSON",
				Get: getContacts, Set: setContacts, Fit: fitContacts},
			addressRow("billingAddress", "address", "address2", "billing_line3", "billing_line4", "city", "state", "zip", "country"),
			addressRow("shippingAddress", "shipping_address", "shipping_address2", "shipping_line3", "shipping_line4", "shipping_city", "shipping_state", "shipping_zip", "shipping_country"),
			{Field: "lifecycleStage", Paths: []string{"lifecyclestage"}, Note: "lead, marketingqualifiedlead, opportunity, customer, other = former customer; to go back the stage is cleared first",
				Get: func(o adapters.Object) domain.Value {
					st := adapters.String(o, "lifecyclestage")
					if to := stageOf[st]; to != "" {
						st = to
					}
					return domain.TextValue(st)
				},
				Set: func(o adapters.Object, v domain.Value) error {
					if v.Empty() {
						o["lifecyclestage"] = ""
						return nil
					}
					st := stageTo[v.Text()]
					if st == "" {
						return fmt.Errorf("HubSpot has no stage for %s", v.Text())
					}
					o["lifecyclestage"] = st
					return nil
				}},
			ownerRow(),
			{Field: "paymentTerms", Paths: []string{"payment_terms_basis", "payment_terms_days"}, Note: "custom",
				Get: func(o adapters.Object) domain.Value {
					basis, days := adapters.String(o, "payment_terms_basis"), adapters.String(o, "payment_terms_days")
					if basis == "" && days == "" {
						return domain.Null
					}
					return domain.ValueOf(map[string]string{"basis": basis, "days": days})
				},
				Set: func(o adapters.Object, v domain.Value) error {
					o["payment_terms_basis"], o["payment_terms_days"] = "", ""
					var t *domain.PaymentTerms
					if err := v.Decode(&t); err != nil || t == nil {
						return err
					}
					o["payment_terms_basis"], o["payment_terms_days"] = t.Basis, fmt.Sprint(t.Days)
					return nil
				}},
			{Field: "creditLimit", Paths: []string{"credit_limit", "credit_limit_currency"}, Note: "custom; without a currency of its own it is in the customer's currency",
				Get: func(o adapters.Object) domain.Value {
					amount, currency := adapters.String(o, "credit_limit"), adapters.String(o, "credit_limit_currency")
					if amount == "" {
						return domain.Null
					}
					if currency == "" {
						currency = adapters.String(o, "currency")
					}
					return domain.ValueOf(map[string]string{"amount": amount, "currency": currency})
				},
				Set: func(o adapters.Object, v domain.Value) error {
					o["credit_limit"], o["credit_limit_currency"] = "", ""
					var m struct{ Amount, Currency string }
					if err := v.Decode(&m); err != nil {
						return err
					}
					o["credit_limit"], o["credit_limit_currency"] = m.Amount, m.Currency
					return nil
				}},
			text("currency", "currency", maxText, "custom; ISO 4217"),
			tagsRow("customer_tags"),
			text("notes", "description", maxText, "custom on contacts"),
			customFieldsRow(),
			text("status", "customer_status", 0, "custom; ACTIVE or ARCHIVED. A record archived in HubSpot itself is gone"),
		},
		Known: []string{"id", "hs_object_id", "createdate", "hs_lastmodifieddate", "lastmodifieddate", "hs_merged_object_ids", "domain",
			"associatedcompanyid", contactKey, contactOrder, formerCompany},
	}
}

func isPerson(o adapters.Object) bool { return o[keyObject] == contacts }

func emailKey(o adapters.Object) string {
	if isPerson(o) {
		return "email"
	}
	return "customer_email"
}

// addressRow maps an address of four lines. Keys: line 1 to 4, suburb, state, postcode, country.
func addressRow(f domain.Field, keys ...string) adapters.Row {
	return adapters.Row{Field: f, Paths: keys, Max: 0, Note: "further lines are custom properties; the country is written by name",
		Get: func(o adapters.Object) domain.Value {
			a := domain.Address{Suburb: adapters.String(o, keys[4]), State: adapters.String(o, keys[5]), Postcode: adapters.String(o, keys[6]), Country: adapters.String(o, keys[7])}
			for _, k := range keys[:4] {
				if l := adapters.String(o, k); l != "" {
					a.Lines = append(a.Lines, l)
				}
			}
			return domain.ValueOf(a)
		},
		Set: func(o adapters.Object, v domain.Value) error {
			var a domain.Address
			if err := v.Decode(&a); err != nil {
				return err
			}
			if len(a.Lines) > 4 {
				return fmt.Errorf("the address has %d lines and HubSpot takes 4", len(a.Lines))
			}
			for i, k := range keys[:4] {
				o[k] = ""
				if i < len(a.Lines) {
					o[k] = a.Lines[i]
				}
			}
			o[keys[4]], o[keys[5]], o[keys[6]], o[keys[7]] = a.Suburb, a.State, a.Postcode, domain.CountryName(a.Country)
			return nil
		}}
}

// fitContacts puts e-mails in lower case, as HubSpot does.
func fitContacts(v domain.Value) domain.Value {
	var list []domain.Contact
	if v.Decode(&list) != nil || len(list) == 0 {
		return v
	}
	for i := range list {
		list[i].Email = strings.ToLower(list[i].Email)
	}
	return domain.ValueOf(list)
}

func getContacts(o adapters.Object) domain.Value {
	if isPerson(o) {
		s := adapters.String(o, otherContacts)
		if c, err := domain.Canonical([]byte(s)); err == nil {
			return c
		}
		return domain.TextValue(s)
	}
	list, _ := o[keyContacts].([]domain.Contact)
	return domain.ValueOf(list)
}

// setContacts leaves a company's contacts for write.go to bring about: they are objects of their own.
func setContacts(o adapters.Object, v domain.Value) error {
	v = fitContacts(v)
	if isPerson(o) {
		o[otherContacts] = ""
		if !v.Empty() {
			o[otherContacts] = string(v)
		}
		return nil
	}
	var list []domain.Contact
	if err := v.Decode(&list); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range list {
		if e := strings.ToLower(c.Email); e != "" && seen[e] {
			return fmt.Errorf("two contacts share the e-mail %s, and HubSpot takes an e-mail once", c.Email)
		} else if e != "" {
			seen[e] = true
		}
	}
	o[keyContacts] = list
	return nil
}

// person reads one contact of a company.
func person(o object) domain.Contact {
	p := o.Properties
	return domain.Contact{FirstName: p["firstname"], LastName: p["lastname"], Email: p["email"], Phone: p["phone"], Role: p["jobtitle"]}
}

// personProperties writes one contact of a company.
func personProperties(c domain.Contact) map[string]string {
	return map[string]string{"firstname": c.FirstName, "lastname": c.LastName, "email": c.Email, "phone": c.Phone, "jobtitle": c.Role}
}

var personKeys = []string{"firstname", "lastname", "email", "phone", "jobtitle", contactKey, formerCompany, idProperty, "associatedcompanyid"}

// flat is the object as the mapping sees it.
func (a *Adapter) flat(o object) adapters.Object {
	m := adapters.Object{keyObject: o.Type, "id": o.ID, keyCurrency: a.currency, keyTaxMode: a.taxMode}
	for k, v := range o.Properties {
		m[k] = plain(v)
	}
	m[keyOwner] = o.Owner
	switch {
	case o.Type == companies:
		var list []domain.Contact
		for _, c := range ordered(o) {
			list = append(list, person(c))
		}
		m[keyContacts] = list
	case isDocument(o.Type):
		m[keyCustomer], m[keyClass] = o.Customer, o.Class
		if hasLines(o.Type) {
			m[keyLines] = linesOf(o)
		}
	}
	return m
}

// record maps an object to a record.
func (a *Adapter) record(o object) domain.Record {
	o.TraceID, o.New = "", false
	m := a.mappings[kindOf(o.Type)]
	values, issues, unknown := m.Read(a.flat(o))
	raw, err := json.Marshal(o)
	if err != nil {
		panic("hubspot: an object that came as JSON does not marshal: " + err.Error())
	}
	r := domain.Record{Kind: m.Kind, ExternalID: externalID(o.Type, o.ID), CanonicalID: o.Properties[idProperty], Deleted: o.Archived,
		Version: o.Properties[modifiedKey(o.Type)], Values: values, Issues: issues, Raw: raw}
	for _, name := range unknown {
		if !slices.Contains(notProperties, name) {
			r.Unknown = append(r.Unknown, name)
		}
	}
	r.ModifiedAt, _ = moment(r.Version) // zero if HubSpot left it out: older than any other
	if o.Properties["hubspot_owner_id"] != "" && o.Owner == "" && m.Row("salesOwner") != nil {
		r.Issues = append(r.Issues, domain.Issue{Field: "salesOwner", Code: "unknown_owner", Severity: domain.Warning, Value: o.Properties["hubspot_owner_id"],
			Message: "the owner of " + r.ExternalID + " is a user that HubSpot does not show; give the app the scope crm.objects.owners.read"})
	}
	if o.Type == deals && o.Class == "" && !o.Archived {
		r.Issues = append(r.Issues, domain.Issue{Field: "stage", Code: "unknown_stage", Severity: domain.Problem, Value: o.Properties["dealstage"],
			Message: "the stage of " + r.ExternalID + " is in no pipeline that HubSpot shows; move the deal to another stage there"})
	}
	for id := range strings.SplitSeq(o.Properties["hs_merged_object_ids"], ";") {
		if id = strings.TrimSpace(id); id != "" && id != o.ID {
			r.Aliases = append(r.Aliases, externalID(o.Type, id))
		}
	}
	return r
}

// Remap maps a stored object anew.
func (a *Adapter) Remap(raw json.RawMessage) (domain.Record, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return domain.Record{}, domain.Errorf(domain.Invalid, "what is stored is no object of HubSpot")
	}
	if _, ok := a.mappings[kindOf(o.Type)]; !ok {
		return domain.Record{}, domain.Errorf(domain.Unsupported, "HubSpot's %q are not carried", o.Type)
	}
	return a.record(o), nil
}

// carriedProperties are the properties that reads ask for.
func (a *Adapter) carriedProperties(typ string) []string {
	if typ == lineItems {
		return append([]string{"hs_object_id", modifiedKey(typ)}, lineKeys...)
	}
	m := a.mappings[kindOf(typ)]
	all := append([]string{idProperty}, m.Known...)
	for _, r := range m.Rows {
		all = append(all, r.Paths...)
	}
	all = slices.DeleteFunc(all, func(p string) bool {
		return slices.Contains(notProperties, p) || typ == companies && p == "email" || typ == contacts && (p == "name" || p == "domain")
	})
	slices.Sort(all)
	return slices.Compact(all)
}

package hubspotsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// property is a property's definition as the properties API shows it.
type property struct {
	Name           string       `json:"name"`
	Label          string       `json:"label"`
	Description    string       `json:"description"`
	Type           string       `json:"type"` // string, number, enumeration, bool, date, datetime
	FieldType      string       `json:"fieldType"`
	GroupName      string       `json:"groupName"`
	Options        []option     `json:"options"`
	DisplayOrder   int          `json:"displayOrder"`
	HasUniqueValue bool         `json:"hasUniqueValue"`
	Hidden         bool         `json:"hidden"`
	FormField      bool         `json:"formField"`
	Calculated     bool         `json:"calculated"`
	External       bool         `json:"externalOptions"`
	HubSpotDefined bool         `json:"hubspotDefined"`
	Archived       bool         `json:"archived"`
	CreatedAt      string       `json:"createdAt,omitempty"`
	UpdatedAt      string       `json:"updatedAt,omitempty"`
	Modification   modification `json:"modificationMetadata"`
}

type option struct {
	Label        string `json:"label"`
	Value        string `json:"value"`
	Description  string `json:"description,omitempty"`
	DisplayOrder int    `json:"displayOrder"`
	Hidden       bool   `json:"hidden"`
}

type modification struct {
	Archivable         bool `json:"archivable"`
	ReadOnlyDefinition bool `json:"readOnlyDefinition"`
	ReadOnlyOptions    bool `json:"readOnlyOptions"`
	ReadOnlyValue      bool `json:"readOnlyValue"`
}

type group struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	DisplayOrder int    `json:"displayOrder"`
	Archived     bool   `json:"archived"`
}

// stages in order: writing an earlier one over a later one is ignored.
var stages = []string{"subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist", "other"}

// builtin lists names by type; a suffix gives the kind: # number, @ datetime, ^ date, ! read-only, $ multi-line.
var builtin = map[string]string{
	"*":          "hs_object_id#! hs_createdate@! hs_lastmodifieddate@! hubspot_owner_id hs_merged_object_ids! hs_external_id",
	"companies":  "name domain website phone address address2 city state zip country industry description$ lifecyclestage createdate@! numberofemployees# annualrevenue# timezone about_us$ hs_lead_status type num_associated_contacts#!",
	"contacts":   "email firstname lastname phone mobilephone company website jobtitle salutation address city state zip country fax lifecyclestage hs_lead_status createdate@! lastmodifieddate@! hs_additional_emails associatedcompanyid#! message$",
	"deals":      "dealname amount# deal_currency_code dealstage pipeline closedate@ createdate@! description$ dealtype hs_next_step hs_deal_stage_probability#!",
	"products":   "name description$ price# hs_sku hs_cost_of_goods_sold# hs_product_type hs_recurring_billing_period hs_url hs_folder tax# createdate@!",
	"line_items": "name quantity# price# amount#! discount# hs_discount_percentage# hs_product_id hs_sku hs_tax_rate_group_id hs_line_item_currency_code hs_position_on_quote# description$",
	"orders": "hs_order_name hs_currency_code hs_source_store hs_external_order_id hs_external_order_status hs_external_order_url hs_external_created_date@ hs_fulfillment_status hs_pipeline hs_pipeline_stage hs_total_price# hs_subtotal_price# hs_tax# hs_discount_codes " +
		"hs_billing_address_street hs_billing_address_city hs_billing_address_state hs_billing_address_postal_code hs_billing_address_country " +
		"hs_shipping_address_street hs_shipping_address_city hs_shipping_address_state hs_shipping_address_postal_code hs_shipping_address_country",
	"invoices": "hs_currency hs_invoice_date@ hs_due_date@ hs_invoice_status hs_number! hs_balance_due#! hs_amount_billed#! hs_purchase_order_number hs_comments$",
	"quotes":   "hs_title hs_expiration_date@ hs_status hs_currency hs_language",
	"tickets":  "subject content$ hs_pipeline hs_pipeline_stage hs_ticket_priority",
}

// choices are the values of properties that have a fixed list.
var choices = map[string][]string{
	"companies.lifecyclestage": stages, "contacts.lifecyclestage": stages,
	"deals.deal_currency_code": currencies, "orders.hs_currency_code": currencies, "invoices.hs_currency": currencies,
	"products.hs_product_type":   {"inventory", "non_inventory", "service"},
	"invoices.hs_invoice_status": {invoiceDraft, invoiceOpen, "paid", "voided"},
}

// currencies are those that the portal has set up.
var currencies = []string{"AUD", "NZD", "USD", "GBP"}

// strict reports whether the type refuses properties it does not know. A type that HubSpot does not have takes any.
func strict(typ string) bool { return builtin[typ] != "" }

func builtinProperties(now time.Time) map[string]map[string]*property {
	all := map[string]map[string]*property{}
	for typ := range builtin {
		if typ == "*" {
			continue
		}
		all[typ] = map[string]*property{}
		for word := range strings.FieldsSeq(builtin["*"] + " " + builtin[typ]) {
			name := strings.TrimRight(word, "#@^!$")
			if name == "hs_lastmodifieddate" && typ == "contacts" {
				continue
			}
			p := &property{Name: name, Label: name, Type: "string", FieldType: "text", GroupName: groupName(typ), Options: []option{},
				HubSpotDefined: true, CreatedAt: stamp(now), UpdatedAt: stamp(now), Modification: modification{ReadOnlyDefinition: true}}
			for _, mark := range word[len(name):] {
				switch mark {
				case '#':
					p.Type, p.FieldType = "number", "number"
				case '@':
					p.Type, p.FieldType = "datetime", "date"
				case '^':
					p.Type, p.FieldType = "date", "date"
				case '!':
					p.Modification.ReadOnlyValue = true
				case '$':
					p.FieldType = "textarea"
				}
			}
			for i, v := range choices[typ+"."+name] {
				p.Type, p.FieldType = "enumeration", "select"
				p.Options = append(p.Options, option{Label: v, Value: v, DisplayOrder: i})
			}
			switch name {
			case "email":
				p.HasUniqueValue = typ == "contacts"
			case "hs_external_order_id":
				p.HasUniqueValue = true
			case "hubspot_owner_id", "dealstage", "pipeline", "hs_pipeline", "hs_pipeline_stage":
				p.Type, p.FieldType, p.External = "enumeration", "select", true
			}
			all[typ][name] = p
		}
	}
	return all
}

func groupName(typ string) string { return strings.ReplaceAll(singular(typ), "_", "") + "information" }

func builtinGroups() map[string][]group {
	gs := map[string][]group{}
	for typ := range builtin {
		if typ != "*" {
			gs[typ] = []group{{Name: groupName(typ), Label: singular(typ) + " information"}}
		}
	}
	return gs
}

// owner is a user who can own records.
type owner struct {
	ID        string `json:"id"`
	Email     string `json:"email"`
	Type      string `json:"type"`
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	UserID    int    `json:"userId"`
	CreatedAt string `json:"createdAt"`
	UpdatedAt string `json:"updatedAt"`
	Archived  bool   `json:"archived"`
}

func builtinOwners() []owner {
	var os []owner
	for i, n := range []string{"Mel Tran", "Sam Okafor", "Priya Nair", "Jo Gone"} {
		first, last, _ := strings.Cut(n, " ")
		os = append(os, owner{ID: strconv.Itoa(710_000_001 + i), Email: strings.ToLower(first) + "@sales.example", Type: "PERSON", FirstName: first,
			LastName: last, UserID: 9_000_001 + i, CreatedAt: "2021-03-01T00:00:00.000Z", UpdatedAt: "2021-03-01T00:00:00.000Z", Archived: n == "Jo Gone"})
	}
	return os
}

const maxText = 65_536

// check validates values and brings them into stored form. O is the object to be changed, nil for a new one.
func (s *Sim) check(typ string, o *object, set map[string]string) (map[string]string, *apiError) {
	out := map[string]string{}
	var bad []badValue
	for _, name := range slices.Sorted(maps.Keys(set)) {
		v := set[name]
		p := s.props[typ][name]
		if p == nil {
			if strict(typ) {
				bad = append(bad, badValue{name, "PROPERTY_DOESNT_EXIST", fmt.Sprintf("Property %q does not exist", name)})
				continue
			}
			out[name] = v
			continue
		}
		if p.Modification.ReadOnlyValue {
			bad = append(bad, badValue{name, "READ_ONLY_VALUE", fmt.Sprintf("%q is a read only property; its value cannot be set.", name)})
			continue
		}
		if v == "" {
			out[name] = ""
			continue
		}
		v, code, msg := s.value(typ, p, v)
		if code == "" {
			code, msg = s.commerce(typ, o, p, v)
		}
		if code != "" {
			bad = append(bad, badValue{name, code, msg})
			continue
		}
		if name == "lifecyclestage" && o != nil && slices.Index(stages, v) < slices.Index(stages, o.props[name]) {
			continue // forward only; ignored without a word
		}
		if typ == "contacts" && name == "email" && s.purged[strings.ToLower(v)] {
			bad = append(bad, badValue{name, "EMAIL_PURGED", "the address is of a contact that was deleted for privacy"})
			continue
		}
		if p.HasUniqueValue {
			if other := s.unique[typ+"."+name][strings.ToLower(v)]; other != "" && (o == nil || other != o.id) {
				if name == "email" && typ == "contacts" {
					return nil, &apiError{http: http.StatusConflict, Category: "CONFLICT", Message: "Contact already exists. Existing ID: " + other}
				}
				bad = append(bad, badValue{name, "CONFLICTING_UNIQUE_VALUE", fmt.Sprintf("Cannot set %s to %q: %s already has that value.", name, v, other)})
				continue
			}
		}
		out[name] = v
	}
	if len(bad) > 0 {
		return nil, invalidValues(bad)
	}
	return out, nil
}

// value checks one value that is not empty and returns it as stored.
func (s *Sim) value(typ string, p *property, v string) (stored, code, message string) {
	if len([]rune(v)) > maxText {
		return "", "INVALID_STRING_LENGTH", fmt.Sprintf("%s is too long: at most %d characters", p.Name, maxText)
	}
	switch {
	case p.Name == "email" && typ == "contacts":
		if a, err := mail.ParseAddress(v); err != nil || a.Address != strings.TrimSpace(v) || !strings.Contains(v[strings.LastIndexByte(v, '@'):], ".") {
			return "", "INVALID_EMAIL", fmt.Sprintf("Email address %s is invalid", v)
		}
		return strings.ToLower(strings.TrimSpace(v)), "", ""
	case p.Name == "domain" && typ == "companies":
		v = strings.ToLower(strings.TrimSpace(v))
		for _, prefix := range []string{"https://", "http://", "www."} {
			v = strings.TrimPrefix(v, prefix)
		}
		v, _, _ = strings.Cut(v, "/")
		return v, "", ""
	case p.Name == "hubspot_owner_id":
		if !slices.ContainsFunc(s.owners, func(w owner) bool { return w.ID == v }) {
			return "", "INVALID_OWNER_ID", fmt.Sprintf("The owner id %q does not exist", v)
		}
		return v, "", ""
	}
	switch p.Type {
	case "number":
		if !numeric.MatchString(v) {
			return "", "INVALID_INTEGER", v + " was not a valid number."
		}
	case "bool":
		if v = strings.ToLower(v); v != "true" && v != "false" {
			return "", "INVALID_OPTION", v + " was not one of the allowed options: [true, false]"
		}
	case "date", "datetime":
		at, ok := moment(v)
		if !ok || p.Type == "date" && !at.Equal(at.Truncate(24*time.Hour)) {
			return "", "INVALID_DATE", v + " was not a valid date."
		}
		if p.Type == "date" {
			return at.Format(time.DateOnly), "", ""
		}
	case "enumeration":
		if p.External {
			break
		}
		var values []string
		for _, op := range p.Options {
			values = append(values, op.Value)
		}
		given := []string{v}
		if p.FieldType == "checkbox" {
			given = strings.Split(strings.Trim(v, ";"), ";")
		}
		for _, g := range given {
			if !slices.Contains(values, g) {
				return "", "INVALID_OPTION", fmt.Sprintf("%s was not one of the allowed options: %v", g, values)
			}
		}
	}
	return v, "", ""
}

var numeric = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// moment reads epoch milliseconds or ISO 8601.
func moment(v string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

var propertyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)

// define adds a custom property.
func (s *Sim) define(typ string, p property) (*property, *apiError) {
	types := map[string]bool{"string": true, "number": true, "enumeration": true, "bool": true, "date": true, "datetime": true, "phone_number": true}
	switch {
	case !propertyName.MatchString(p.Name):
		return nil, invalid(fmt.Sprintf("Property name %q must start with a letter and hold only lower case letters, digits and underscores", p.Name))
	case s.props[typ][p.Name] != nil:
		return nil, &apiError{http: http.StatusConflict, Category: "OBJECT_ALREADY_EXISTS", Message: fmt.Sprintf("A property named '%s' already exists.", p.Name)}
	case !types[p.Type]:
		return nil, invalid(fmt.Sprintf("Property type %q is not valid", p.Type))
	case p.FieldType == "" || p.Label == "":
		return nil, invalid("fieldType and label are required")
	case !slices.ContainsFunc(s.groups[typ], func(g group) bool { return g.Name == p.GroupName }):
		return nil, invalid(fmt.Sprintf("Property group %q does not exist", p.GroupName))
	case (p.Type == "enumeration" || p.Type == "bool") && len(p.Options) == 0:
		return nil, invalid("enumeration and bool properties need options")
	}
	if p.HasUniqueValue {
		n := 0
		for _, q := range s.props[typ] {
			if q.HasUniqueValue && !q.HubSpotDefined {
				n++
			}
		}
		if n >= 10 {
			return nil, &apiError{http: http.StatusBadRequest, Category: "VALIDATION_ERROR", Message: "An object can have at most 10 unique properties"}
		}
	}
	if p.Options == nil {
		p.Options = []option{}
	}
	p.CreatedAt = stamp(s.Now())
	p.UpdatedAt, p.Modification = p.CreatedAt, modification{Archivable: true}
	if s.props[typ] == nil {
		s.props[typ] = map[string]*property{}
	}
	s.props[typ][p.Name] = &p
	return &p, nil
}

func (s *Sim) listProperties(r *http.Request, typ string) (int, any, *apiError) {
	all := []*property{}
	for _, name := range slices.Sorted(maps.Keys(s.props[typ])) {
		all = append(all, s.props[typ][name])
	}
	if r.URL.Query().Get("archived") == "true" {
		all = []*property{}
	}
	return http.StatusOK, map[string]any{"results": all}, nil
}

func (s *Sim) getProperty(r *http.Request, typ string) (int, any, *apiError) {
	if p := s.props[typ][r.PathValue("name")]; p != nil {
		return http.StatusOK, p, nil
	}
	return 0, nil, &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: fmt.Sprintf("The property %q does not exist", r.PathValue("name"))}
}

func (s *Sim) createProperty(r *http.Request, typ string) (int, any, *apiError) {
	p, e := decode[property](r)
	if e != nil {
		return 0, nil, e
	}
	made, e := s.define(typ, p)
	return http.StatusCreated, made, e
}

func (s *Sim) createProperties(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[struct{ Inputs []property }](r)
	if e != nil {
		return 0, nil, e
	}
	b := newBatch(s.Now())
	for _, p := range in.Inputs {
		if made, e := s.define(typ, p); e != nil {
			b.fail(e, map[string][]string{"name": {p.Name}})
		} else {
			b.results = append(b.results, made)
		}
	}
	return b.answer(s.Now(), http.StatusCreated)
}

// names are the properties that a batch is about.
type names struct {
	Inputs []struct {
		Name string `json:"name"`
	} `json:"inputs"`
}

func (s *Sim) readProperties(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[names](r)
	if e != nil {
		return 0, nil, e
	}
	b := newBatch(s.Now())
	for _, x := range in.Inputs {
		if p := s.props[typ][x.Name]; p != nil {
			b.results = append(b.results, p)
		} else {
			b.fail(&apiError{Category: "OBJECT_NOT_FOUND", Message: fmt.Sprintf("The property %q does not exist", x.Name)}, map[string][]string{"name": {x.Name}})
		}
	}
	return b.answer(s.Now(), http.StatusOK)
}

func (s *Sim) archiveProperties(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[names](r)
	if e != nil {
		return 0, nil, e
	}
	for _, x := range in.Inputs {
		if e := s.archiveProperty(typ, x.Name); e != nil {
			return 0, nil, e
		}
	}
	return http.StatusNoContent, nil, nil
}

func (s *Sim) patchProperty(r *http.Request, typ string) (int, any, *apiError) {
	p := s.props[typ][r.PathValue("name")]
	if p == nil || p.HubSpotDefined {
		return s.getProperty(r, typ)
	}
	raw, e := decode[json.RawMessage](r)
	if e != nil {
		return 0, nil, e
	}
	c := *p
	if err := json.Unmarshal(raw, &c); err != nil {
		return 0, nil, invalid("Invalid input JSON: " + err.Error())
	}
	c.Name, c.HasUniqueValue, c.UpdatedAt = p.Name, p.HasUniqueValue, stamp(s.Now())
	s.props[typ][p.Name] = &c
	return http.StatusOK, &c, nil
}

func (s *Sim) deleteProperty(r *http.Request, typ string) (int, any, *apiError) {
	if e := s.archiveProperty(typ, r.PathValue("name")); e != nil {
		return 0, nil, e
	}
	return http.StatusNoContent, nil, nil
}

func (s *Sim) archiveProperty(typ, name string) *apiError {
	if p := s.props[typ][name]; p == nil || p.HubSpotDefined {
		return invalid("Property " + name + " cannot be archived")
	}
	delete(s.props[typ], name)
	delete(s.unique, typ+"."+name)
	return nil
}

func (s *Sim) listGroups(_ *http.Request, typ string) (int, any, *apiError) {
	return http.StatusOK, map[string]any{"results": append([]group{}, s.groups[typ]...)}, nil
}

func (s *Sim) createGroup(r *http.Request, typ string) (int, any, *apiError) {
	g, e := decode[group](r)
	switch {
	case e != nil:
		return 0, nil, e
	case g.Name == "" || g.Label == "":
		return 0, nil, invalid("name and label are required")
	case slices.ContainsFunc(s.groups[typ], func(h group) bool { return h.Name == g.Name }):
		return 0, nil, &apiError{http: http.StatusConflict, Category: "OBJECT_ALREADY_EXISTS", Message: fmt.Sprintf("A property group named '%s' already exists.", g.Name)}
	}
	s.groups[typ] = append(s.groups[typ], g)
	return http.StatusCreated, g, nil
}

func (s *Sim) listOwners(r *http.Request, _ string) (int, any, *apiError) {
	q := r.URL.Query()
	all := []owner{}
	for _, o := range s.owners {
		if o.Archived == (q.Get("archived") == "true") && (q.Get("email") == "" || strings.EqualFold(q.Get("email"), o.Email)) {
			all = append(all, o)
		}
	}
	return http.StatusOK, map[string]any{"results": all}, nil
}

func (s *Sim) getOwner(r *http.Request, _ string) (int, any, *apiError) {
	for _, o := range s.owners {
		if o.ID == r.PathValue("id") {
			return http.StatusOK, o, nil
		}
	}
	return 0, nil, &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: "Owner not found"}
}

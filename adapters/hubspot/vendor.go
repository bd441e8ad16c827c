// Package hubspot speaks HubSpot's CRM.
//
//	Customer  a company together with its associated contacts, or a contact that has no company (a private person)
//	Product   a product
//	Quote     a deal with its line items; its customer is the associated company (the primary one) or else contact
//	Order     an order with its line items
//	Invoice   an invoice that is left a draft, so that HubSpot never bills it: a mirror of number, dates, stage and amounts
//
// External ids are "companies/123", "deals/456" and so on. A signal for a contact of a company leads to the company, one for
// a line item to its deal.
//
// HubSpot has no fields for an ABN, payment terms, a line's tax code and the like: Provision creates custom properties for
// them, and the unique property datum_id, which holds our id and makes creating safe to repeat. What HubSpot keeps in other
// shapes is described row by row in the mapping tables. The package leaves authentication, budgets, logging and retries to
// the Session.
//
// An adapter remembers the portal's users, pipelines, tax rates and property names for ten minutes: keep one per account,
// not one per call.
package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

const (
	companies = "companies"
	contacts  = "contacts"
	products  = "products"
	deals     = "deals"
	lineItems = "line_items"
	orders    = "orders"
	invoices  = "invoices"

	objectsPath    = "/crm/v3/objects/"
	linksPath      = "/crm/v4/associations/"
	propertiesPath = "/crm/v3/properties/"
	ownersPath     = "/crm/v3/owners"
	pipelinesPath  = "/crm/v3/pipelines/"
	taxRatesPath   = "/tax-rates/v1/tax-rates"

	maxBatch      = 100
	maxSearch     = 200
	maxLinkReads  = 1000
	maxLinkWrites = 2000

	// overlap is how far a poll looks back before the last one: search trails behind writes by moments and clocks differ.
	overlap = 5 * time.Minute
	// remembered is how long the portal's users and properties are taken to be as they were.
	remembered = 10 * time.Minute
)

// Vendor describes HubSpot.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name:    "hubspot",
		Title:   "HubSpot",
		BaseURL: "https://api.hubapi.com",
		Mapping: mappings(nil),
		Hooks: adapters.Hooks{Kinds: []domain.Kind{domain.KindCustomer, domain.KindProduct, domain.KindQuote, domain.KindOrder, domain.KindInvoice},
			Help: "in HubSpot's developer account open the app, Webhooks: the target URL must be the one below and every subscription active"},
		Configure: func(settings map[string]string) ([]adapters.Mapping, error) { return mappings(settings), nil },
		Limits: []adapters.Limit{
			{Name: "burst", Calls: 110, Per: 10 * time.Second},
			{Name: "search", Calls: 5, Per: time.Second, Extra: true},
		},
		Auth: adapters.AuthOAuth2,
		OAuth: &adapters.OAuth{
			AuthorizeURL: "https://app.hubspot.com/oauth/authorize",
			TokenURL:     "https://api.hubapi.com/oauth/2026-03/token",
			Scopes:       scopes(),
		},
		Batch:      maxBatch,
		Rehearse:   rehearse,
		Partial:    true,
		Timeout:    20 * time.Second,
		ReadLimits: readLimits,
		Settings: []adapters.Setting{
			{Name: "portalId", Help: "the HubSpot account's number; webhooks of other accounts of the same app are ignored"},
			{Name: "pageSize", Help: "how many records a poll or listing asks for at once, at most 200", Default: strconv.Itoa(maxSearch)},
			{Name: "currency", Help: "the HubSpot account's currency: that of product prices, and of deals that name none", Default: defaultCurrency},
			{Name: "taxMode", Help: "whether prices on deals and orders that do not say so include GST: EXCLUSIVE, INCLUSIVE or NO_TAX", Default: string(money.Exclusive)},
			{Name: "pipeline", Help: "the id of the deal pipeline for quotes that are made in HubSpot by Datum", Default: defaultPipeline},
			{Name: "sentStages", Help: "ids of the deal stages at which a quote has been sent, separated by commas", Default: defaultSent},
		},
		Open: func(s adapters.Session) (adapters.Adapter, error) { return open(s) },
	}
}

// readLimits reads the rolling limit from an answer's headers; search answers have none.
func readLimits(h http.Header) []adapters.LimitReading {
	left, err := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Remaining"))
	if err != nil {
		return nil
	}
	ceiling, _ := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Max")) // 0 is "not said"
	return []adapters.LimitReading{{Name: "burst", Remaining: left, Calls: ceiling}}
}

// Adapter speaks to one portal. It is safe for concurrent use.
type Adapter struct {
	s        adapters.Session
	mappings map[domain.Kind]adapters.Mapping
	page     int // objects in a page of a search
	currency string
	taxMode  string
	pipeline string
	sent     []string // deal stages that mean SENT

	owners    memory[owners]
	pipelines memory[map[string]pipeline]
	rates     memory[map[string]string]
	mu        sync.Mutex
	extra     map[string]*memory[[]string] // by object: custom properties that the mapping does not know
}

func open(s adapters.Session) (*Adapter, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	setting := func(name, fallback string) string {
		if v := strings.TrimSpace(s.Settings[name]); v != "" {
			return v
		}
		return fallback
	}
	refuse := func(format string, args ...any) error {
		return &domain.Error{Code: domain.Invalid, Op: "hubspot.Open", System: s.System, Message: fmt.Sprintf(format, args...)}
	}
	a := &Adapter{s: s, mappings: map[domain.Kind]adapters.Mapping{}, page: maxSearch, currency: strings.ToUpper(setting("currency", defaultCurrency)),
		taxMode: strings.ToUpper(setting("taxMode", string(money.Exclusive))), pipeline: setting("pipeline", defaultPipeline),
		sent: strings.FieldsFunc(setting("sentStages", defaultSent), func(r rune) bool { return r == ',' || r == ' ' }), extra: map[string]*memory[[]string]{}}
	ms, err := adapters.Configured(s.Settings, mappings(s.Settings))
	if err != nil {
		return nil, err
	}
	for _, m := range ms {
		a.mappings[m.Kind] = m
	}
	if v := s.Settings["pageSize"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxSearch {
			return nil, refuse("the setting pageSize is %q; it must be a number from 1 to %d", v, maxSearch)
		}
		a.page = n
	}
	if !money.Known(a.currency) {
		return nil, refuse("the setting currency is %q; it must be an ISO 4217 code such as AUD", a.currency)
	}
	if !slices.Contains(taxModes, a.taxMode) {
		return nil, refuse("the setting taxMode is %q; it must be one of %s", a.taxMode, strings.Join(taxModes, ", "))
	}
	return a, nil
}

// object is a CRM object as Datum keeps it: HubSpot's own members, and what belongs to it.
type object struct {
	Type       string     `json:"object"`
	ID         string     `json:"id"`
	Properties properties `json:"properties"`
	CreatedAt  string     `json:"createdAt,omitempty"`
	UpdatedAt  string     `json:"updatedAt,omitempty"`
	Archived   bool       `json:"archived,omitempty"`
	Owner      string     `json:"owner,omitempty"`    // the owner's e-mail
	Contacts   []object   `json:"contacts,omitempty"` // a company's
	Lines      []object   `json:"lines,omitempty"`    // line items, of a deal or order
	// Links are ids of the companies and contacts that a document is associated with, by object.
	Links map[string][]string `json:"links,omitempty"`
	// Customer is the external id of the customer behind Links.
	Customer string `json:"customer,omitempty"`
	// Class is what the portal's own settings make of the object: the stage of a deal, the tax code of a line item.
	Class string `json:"class,omitempty"`

	// Members of answers to writes.
	TraceID string `json:"objectWriteTraceId,omitempty"`
	New     bool   `json:"new,omitempty"`
}

func externalID(typ, id string) string { return typ + "/" + id }

// refusals are the statuses whose bodies say what is wrong; the Session turns all others into errors.
var refusals = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict}

// call sends one request and decodes the answer into out.
func (a *Adapter) call(ctx context.Context, c adapters.Call, in, out any) (*adapters.Response, error) {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		c.Body = b
	}
	c.Accept = refusals
	resp, err := a.s.HTTP.Do(ctx, c)
	if err != nil {
		return nil, err
	}
	if resp.Status > 299 {
		return resp, a.refusal(c.Path, resp)
	}
	if out != nil {
		if err := json.Unmarshal(resp.Body, out); err != nil {
			return resp, &domain.Error{Code: domain.Unavailable, System: a.s.System, Message: "HubSpot's answer is not the JSON it should be", Err: err}
		}
	}
	return resp, nil
}

// read sends a request that changes nothing; HubSpot reads with POST too.
func (a *Adapter) read(ctx context.Context, method, path string, in, out any) (*adapters.Response, error) {
	return a.call(ctx, adapters.Call{Method: method, Path: path}, in, out)
}

// write sends a request that may be repeated although it writes: every write here sets values by id or by a unique key.
func (a *Adapter) write(ctx context.Context, path string, in, out any) (*adapters.Response, error) {
	return a.call(ctx, adapters.Call{Method: http.MethodPost, Path: path, Write: true, Safe: true}, in, out)
}

// chunks splits a list.
func chunks[T any](list []T, n int) [][]T {
	var all [][]T
	for len(list) > n {
		all, list = append(all, list[:n]), list[n:]
	}
	if len(list) > 0 {
		all = append(all, list)
	}
	return all
}

// earlier returns the earlier of two times, of which either may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

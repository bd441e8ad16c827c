// Package hubspot speaks HubSpot's CRM. A Customer is a company together with its associated contacts, or a contact that
// has no company (a private person). External ids are "companies/123" and "contacts/456"; a signal for a contact of a
// company leads to the company.
//
// HubSpot has no fields for an ABN, payment terms and the like: Provision creates custom properties for them, and the
// unique property datum_id, which holds our id and makes creating safe to repeat. What HubSpot keeps in other shapes is
// described row by row in mapping.go. The package leaves authentication, budgets, logging and retries to the Session.
//
// An adapter remembers the portal's users and property names for ten minutes: keep one per account, not one per call.
package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	companies = "companies"
	contacts  = "contacts"

	objectsPath    = "/crm/v3/objects/"
	linksPath      = "/crm/v4/associations/"
	propertiesPath = "/crm/v3/properties/"
	ownersPath     = "/crm/v3/owners"

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
		Mapping: []adapters.Mapping{Mapping()},
		Limits: []adapters.Limit{
			{Name: "burst", Calls: 110, Per: 10 * time.Second},
			{Name: "search", Calls: 5, Per: time.Second, Extra: true},
		},
		Auth: adapters.AuthOAuth2,
		OAuth: &adapters.OAuth{
			AuthorizeURL: "https://app.hubspot.com/oauth/authorize",
			TokenURL:     "https://api.hubapi.com/oauth/2026-03/token",
			Scopes: []string{"oauth", "crm.objects.companies.read", "crm.objects.companies.write", "crm.objects.contacts.read",
				"crm.objects.contacts.write", "crm.objects.owners.read", "crm.schemas.companies.read", "crm.schemas.companies.write",
				"crm.schemas.contacts.read", "crm.schemas.contacts.write"},
		},
		Batch:      maxBatch,
		Partial:    true,
		Timeout:    20 * time.Second,
		ReadLimits: readLimits,
		Settings: []adapters.Setting{
			{Name: "portalId", Help: "the HubSpot account's number; webhooks of other accounts of the same app are ignored"},
			{Name: "pageSize", Help: "how many records a poll or listing asks for at once, at most 200", Default: strconv.Itoa(maxSearch)},
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
	s       adapters.Session
	mapping adapters.Mapping
	page    int // objects in a page of a search

	mu       sync.Mutex
	owners   owners
	ownersAt time.Time
	extra    map[string][]string // by object: custom properties that the mapping does not know
	extraAt  time.Time
}

func open(s adapters.Session) (*Adapter, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	a := &Adapter{s: s, mapping: Mapping(), page: maxSearch}
	if v := s.Settings["pageSize"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxSearch {
			return nil, &domain.Error{Code: domain.Invalid, Op: "hubspot.Open", System: s.System, Message: fmt.Sprintf("the setting pageSize is %q; it must be a number from 1 to %d", v, maxSearch)}
		}
		a.page = n
	}
	return a, nil
}

// object is a CRM object as Datum keeps it: HubSpot's own members, and for a company its contacts and the owner's e-mail.
type object struct {
	Type       string            `json:"object"`
	ID         string            `json:"id"`
	Properties map[string]string `json:"properties"`
	CreatedAt  string            `json:"createdAt,omitempty"`
	UpdatedAt  string            `json:"updatedAt,omitempty"`
	Archived   bool              `json:"archived,omitempty"`
	Owner      string            `json:"owner,omitempty"`
	Contacts   []object          `json:"contacts,omitempty"`

	// Members of answers to writes.
	TraceID string `json:"objectWriteTraceId,omitempty"`
	New     bool   `json:"new,omitempty"`
}

func externalID(typ, id string) string { return typ + "/" + id }

// splitID returns the object type and HubSpot's id.
func splitID(external string) (typ, id string, err error) {
	typ, id, ok := strings.Cut(external, "/")
	if _, bad := strconv.ParseInt(id, 10, 64); !ok || typ != companies && typ != contacts || bad != nil {
		return "", "", domain.Errorf(domain.Invalid, "%q is not an id of a HubSpot customer; it should look like companies/123 or contacts/456", external)
	}
	return typ, id, nil
}

// carried refuses kinds other than Customer.
func carried(kind domain.Kind) error {
	if kind != domain.KindCustomer {
		return domain.Errorf(domain.Unsupported, "HubSpot does not carry %s", kind)
	}
	return nil
}

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
		return resp, a.refusal(resp)
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

package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// fetchSize is how many ids go into one URL.
const fetchSize = 100

func (a *adapter) carries(kind domain.Kind) error {
	if kind == a.mapping.Kind {
		return nil
	}
	return a.err(domain.Unsupported, "Xero does not carry %s", kind)
}

// Fetch reads one contact. A contact that is only a supplier is NotFound as a customer.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "xero.Fetch")
	if err := a.carries(kind); err != nil {
		return domain.Record{}, err
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/Contacts/" + url.PathEscape(externalID)})
	if err != nil {
		if domain.CodeOf(err) == domain.NotFound {
			return domain.Record{}, a.err(domain.NotFound, "Xero has no contact %s", externalID)
		}
		return domain.Record{}, err
	}
	list, err := a.list(resp)
	if err != nil {
		return domain.Record{}, err
	}
	if len(list.contacts) == 0 {
		return domain.Record{}, a.err(domain.NotFound, "Xero has no contact %s", externalID)
	}
	if !isCustomer(list.contacts[0]) {
		return domain.Record{}, a.err(domain.NotFound, "Xero's contact %s is only a supplier", externalID)
	}
	return a.record(list.contacts[0], list.raw[0], resp.SentAt)
}

// FetchMany reads contacts by their ids.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "xero.FetchMany")
	if err := a.carries(kind); err != nil {
		return nil, err
	}
	for len(externalIDs) > 0 {
		n := min(len(externalIDs), fetchSize)
		q := url.Values{"IDs": {strings.Join(externalIDs[:n], ",")}}
		externalIDs = externalIDs[n:]
		_, rs, err := a.page(ctx, q, 1, fetchSize, time.Time{})
		if err != nil {
			return nil, err
		}
		recs = append(recs, rs...)
	}
	return recs, nil
}

// cursor is where a listing stands. Times are milliseconds since 1970, by Xero's clock.
type cursor struct {
	Since int64 `json:"since,omitempty"` // If-Modified-Since of this pass; 0 reads everything
	Start int64 `json:"start,omitempty"` // when this pass began; the next one reaches back from here
	Page  int   `json:"page,omitempty"`  // next page, from 1; 0 begins a pass
	Size  int   `json:"size,omitempty"`  // page size of this pass
	Items int   `json:"items,omitempty"` // itemCount on the first page
}

func (a *adapter) parse(s string) (c cursor, err error) {
	if s != "" {
		if err := json.Unmarshal([]byte(s), &c); err != nil || c.Page < 0 || c.Size < 0 || c.Page > 0 && c.Size == 0 {
			return c, a.err(domain.Invalid, "the cursor %q is not one of Xero's; start again from the beginning", s)
		}
	}
	if c.Page == 0 {
		c.Page, c.Size = 1, a.size
	}
	return c, nil
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("xero: " + err.Error()) // numbers only
	}
	return string(b)
}

// Changes reads what changed since the last pass began, less the overlap. Changes of balances, IsCustomer and IsSupplier
// do not move UpdatedDateUTC: only List sees them.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "xero.Changes")
	if err := a.carries(kind); err != nil {
		return adapters.Page{}, err
	}
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	var since time.Time
	if c.Since > 0 {
		since = time.UnixMilli(c.Since).UTC()
	}
	l, recs, err := a.page(ctx, nil, c.Page, c.Size, since)
	if err != nil {
		return adapters.Page{}, err
	}
	if c.Page == 1 {
		c.Start = l.at.UnixMilli()
	}
	if c.Page < l.pages {
		c.Page++
		return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
	}
	next := cursor{Since: time.UnixMilli(c.Start).Add(-a.overlap).UnixMilli()}
	return adapters.Page{Records: recs, Cursor: next.String()}, nil
}

// List reads every contact, archived ones too. The last page is Complete if no contact was added during the pass: one that
// was may have been inserted before the page then being read.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "xero.List")
	if err := a.carries(kind); err != nil {
		return adapters.Page{}, err
	}
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	l, recs, err := a.page(ctx, nil, c.Page, c.Size, time.Time{})
	if err != nil {
		return adapters.Page{}, err
	}
	if c.Page == 1 {
		c.Items = l.items
	}
	if c.Page < l.pages {
		c.Page++
		return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
	}
	return adapters.Page{Records: recs, Complete: l.paged && l.items == c.Items}, nil
}

// page reads one page of contacts and returns the customers among them.
func (a *adapter) page(ctx context.Context, q url.Values, number, size int, since time.Time) (*listing, []domain.Record, error) {
	l, sent, err := a.contacts(ctx, q, number, size, since)
	if err != nil {
		return nil, nil, err
	}
	recs := make([]domain.Record, 0, len(l.contacts))
	for i, o := range l.contacts {
		if !isCustomer(o) {
			continue
		}
		r, err := a.record(o, l.raw[i], sent)
		if err != nil {
			return nil, nil, err
		}
		recs = append(recs, r)
	}
	return l, recs, nil
}

func (a *adapter) contacts(ctx context.Context, q url.Values, number, size int, since time.Time) (*listing, time.Time, error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("includeArchived", "true")
	q.Set("order", "ContactID ASC")
	q.Set("page", strconv.Itoa(number))
	q.Set("pageSize", strconv.Itoa(size))
	call := adapters.Call{Method: http.MethodGet, Path: api + "/Contacts?" + q.Encode()}
	if !since.IsZero() {
		call.Header = http.Header{"If-Modified-Since": {since.Truncate(time.Second).Format("2006-01-02T15:04:05")}}
	}
	resp, err := a.do(ctx, call)
	if err != nil {
		return nil, time.Time{}, err
	}
	l, err := a.list(resp)
	return l, resp.SentAt, err
}

// listing is an answer that holds contacts.
type listing struct {
	contacts []object
	raw      []json.RawMessage
	paged    bool
	pages    int
	items    int
	at       time.Time // Xero's clock
}

func (a *adapter) list(resp *adapters.Response) (*listing, error) {
	var in struct {
		DateTimeUTC string
		Pagination  *struct{ PageCount, ItemCount int } `json:"pagination"`
		Contacts    *[]json.RawMessage
	}
	if err := json.Unmarshal(resp.Body, &in); err != nil || in.Contacts == nil {
		return nil, a.err(domain.Unavailable, "Xero's answer holds no list of contacts; it will be tried again")
	}
	l := &listing{raw: *in.Contacts, at: resp.SentAt}
	if t, ok := parseTime(in.DateTimeUTC); ok {
		l.at = t
	}
	if in.Pagination != nil {
		l.paged, l.pages, l.items = true, in.Pagination.PageCount, in.Pagination.ItemCount
	}
	for _, raw := range l.raw {
		o, err := adapters.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		l.contacts = append(l.contacts, o)
	}
	return l, nil
}

// isCustomer tells customers from contacts that are only suppliers. A new contact is neither in Xero and counts as a
// customer, as does every contact that carries our id.
func isCustomer(o object) bool {
	return o["IsSupplier"] != true || o["IsCustomer"] == true || canonicalID(o) != ""
}

// canonicalID is our id in ContactNumber, "" if the number is somebody else's.
func canonicalID(o object) string {
	if n := adapters.String(o, "ContactNumber"); domain.KindOfID(n) == domain.KindCustomer {
		return n
	}
	return ""
}

// record maps one contact.
func (a *adapter) record(o object, raw json.RawMessage, sent time.Time) (domain.Record, error) {
	id := adapters.String(o, "ContactID")
	if id == "" {
		return domain.Record{}, a.err(domain.Unavailable, "Xero's answer holds a contact without ContactID")
	}
	r := domain.Record{Kind: a.mapping.Kind, ExternalID: id, CanonicalID: canonicalID(o), FetchedAt: sent.UTC(), Raw: raw}
	if to := adapters.String(o, "MergedToContactID"); to != "" && to != emptyID && to != id {
		r.MergedInto = to
	}
	updated := adapters.String(o, "UpdatedDateUTC")
	at, ok := parseTime(updated)
	if !ok {
		return domain.Record{}, a.err(domain.Unavailable, "Xero's contact %s has no readable UpdatedDateUTC", id)
	}
	r.ModifiedAt, r.Version = at, strconv.FormatInt(at.UnixMilli(), 10)
	r.Values, r.Issues, r.Unknown = a.mapping.Read(o)
	if n := adapters.String(o, "ContactNumber"); n != "" && r.CanonicalID == "" {
		r.Issues = append(r.Issues, domain.Issue{Code: "foreign_contact_number", Value: n, Severity: domain.Warning,
			Message: fmt.Sprintf("ContactNumber holds %q, another system's number; it is left alone, so the contact is recognised by its ContactID only", n)})
	}
	return r, nil
}

const emptyID = "00000000-0000-0000-0000-000000000000"

var dateForm = regexp.MustCompile(`^/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/$`)

// parseTime reads "/Date(1573755038314+0000)/" and ISO 8601 without a zone, which is UTC. The offset in the first form is
// for display: the number is UTC already.
func parseTime(s string) (time.Time, bool) {
	if m := dateForm.FindStringSubmatch(s); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		return time.UnixMilli(ms).UTC(), err == nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

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

// fetchSize is how many ids go into one URL: with IDs, and as conditions of where.
const (
	fetchSize  = 100
	fetchWhere = 30
)

// Fetch reads one object. A contact that is only a supplier, a bill or a payment of one is NotFound. A deleted document is
// returned as Deleted.
func (a *adapter) Fetch(ctx context.Context, of domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "xero.Fetch")
	k, id, err := a.holding(of, externalID)
	if err != nil {
		return domain.Record{}, err
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/" + k.path + "/" + url.PathEscape(id) + "?" + unitdp(nil).Encode()})
	if err != nil {
		if domain.CodeOf(err) == domain.NotFound {
			return domain.Record{}, a.err(domain.NotFound, "Xero has no %s %s", k.word, externalID)
		}
		return domain.Record{}, err
	}
	list, err := a.list(k, resp)
	if err != nil {
		return domain.Record{}, err
	}
	if len(list.objects) == 0 {
		return domain.Record{}, a.err(domain.NotFound, "Xero has no %s %s", k.word, externalID)
	}
	if !k.ours(list.objects[0]) {
		return domain.Record{}, a.err(domain.NotFound, "Xero's %s %s is of a supplier", k.word, externalID)
	}
	return a.record(k, list.objects[0], list.raw[0], resp.SentAt)
}

// FetchMany reads objects by their ids. Xero has no call for several quotes, which are read one by one.
func (a *adapter) FetchMany(ctx context.Context, of domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "xero.FetchMany")
	k, err := a.kind(of)
	if err != nil {
		return nil, err
	}
	if second := a.second(of); second != nil {
		var there, here []string
		for _, id := range externalIDs {
			if bare, ok := strings.CutPrefix(id, second.prefix); ok {
				there = append(there, bare)
			} else {
				here = append(here, id)
			}
		}
		if recs, err = a.fetchMany(ctx, second, there); err != nil {
			return nil, err
		}
		externalIDs = here
	}
	rest, err := a.fetchMany(ctx, k, externalIDs)
	return append(recs, rest...), err
}

// fetchMany reads objects of one collection by their ids there.
func (a *adapter) fetchMany(ctx context.Context, k *kind, externalIDs []string) (recs []domain.Record, err error) {
	for len(externalIDs) > 0 {
		var rs []domain.Record
		var n int
		switch {
		case k.ids:
			n = min(len(externalIDs), fetchSize)
			_, rs, err = a.page(ctx, k, url.Values{"IDs": {strings.Join(externalIDs[:n], ",")}}, 1, fetchSize, time.Time{})
		case k.where:
			n = min(len(externalIDs), fetchWhere)
			terms := make([]string, n)
			for i, id := range externalIDs[:n] {
				terms[i] = k.id + `==Guid("` + strings.ReplaceAll(id, `"`, "") + `")`
			}
			_, rs, err = a.page(ctx, k, url.Values{"where": {strings.Join(terms, " OR ")}}, 1, fetchSize, time.Time{})
		default:
			n = 1
			var r domain.Record
			if r, err = a.Fetch(ctx, k.mapping.Kind, externalIDs[0]); err == nil {
				rs = []domain.Record{r}
			} else if domain.CodeOf(err) == domain.NotFound {
				err = nil
			}
		}
		if err != nil {
			return nil, err
		}
		recs, externalIDs = append(recs, rs...), externalIDs[n:]
	}
	return recs, nil
}

// cursor is where a listing stands. Times are milliseconds since 1970, by Xero's clock.
type cursor struct {
	Since int64 `json:"since,omitempty"` // If-Modified-Since of this pass; 0 reads everything
	Start int64 `json:"start,omitempty"` // when this pass began; the next one reaches back from here
	Page  int   `json:"page,omitempty"`  // next page, from 1; 0 begins a pass
	Size  int   `json:"size,omitempty"`  // page size of this pass
	Items int   `json:"items,omitempty"` // itemCount as last seen
	// Second says that this pass is in the second collection of the kind, and Partial that it may have skipped something in the first.
	Second  bool `json:"second,omitempty"`
	Partial bool `json:"partial,omitempty"`
}

// collection is the one that the cursor is in, of those of a kind.
func (a *adapter) collection(of domain.Kind, c cursor) (*kind, error) {
	if k := a.second(of); c.Second && k != nil {
		return k, nil
	}
	return a.kind(of)
}

// beyond is the cursor at the beginning of the second collection, and whether there is one after that of k.
func (a *adapter) beyond(k *kind, c cursor) (cursor, bool) {
	c.Page, c.Items, c.Second = 1, 0, true
	return c, k.prefix == "" && a.second(k.mapping.Kind) != nil
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

func (c cursor) start() time.Time { return time.UnixMilli(c.Start).UTC() }

// more reports whether there is a page after the one just read.
func (k *kind) more(c cursor, l *listing) bool {
	if k.pages {
		return c.Page < l.pages
	}
	return k.full > 0 && len(l.objects) >= k.full
}

// Changes reads what changed since the last pass began, less the overlap. Changes of contacts' balances, IsCustomer and
// IsSupplier, and of a part-paid invoice's due date, do not move UpdatedDateUTC: only List sees them. Neither does it show
// what was deleted. If something left the list during a pass, so that pages moved to the front, the pass begins anew.
func (a *adapter) Changes(ctx context.Context, of domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "xero.Changes")
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	k, err := a.collection(of, c)
	if err != nil {
		return adapters.Page{}, err
	}
	var since time.Time
	if c.Since > 0 {
		since = time.UnixMilli(c.Since).UTC()
	}
	l, recs, err := a.page(ctx, k, nil, c.Page, c.Size, since)
	if err != nil {
		return adapters.Page{}, err
	}
	if c.Page == 1 && !c.Second {
		c.Start = l.at.UnixMilli()
	}
	more := k.more(c, l)
	shifted := false
	if k.leaves && c.Page > 1 {
		if shifted = k.pages && l.items < c.Items; !more && !k.pages {
			shifted, err = a.deletedSince(ctx, k, c.start())
		}
		if err != nil {
			return adapters.Page{}, err
		}
	}
	switch c.Items = l.items; {
	case shifted:
		c.Page = 1
	case more:
		c.Page++
	default:
		if c, ok := a.beyond(k, c); ok {
			return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
		}
		next := cursor{Since: c.start().Add(-a.overlap).UnixMilli()}
		return adapters.Page{Records: recs, Cursor: next.String()}, nil
	}
	return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
}

// deletedSince reports whether one of the documents was deleted.
func (a *adapter) deletedSince(ctx context.Context, k *kind, since time.Time) (bool, error) {
	l, _, err := a.get(ctx, k, url.Values{"Status": {"DELETED"}}, 1, a.size, since.Add(-time.Second))
	return err == nil && len(l.objects) > 0, err
}

// List reads every object, archived and voided ones too. The last page is Complete if what there was cannot have moved from
// a page not yet read to one that was: the list came whole, or as many were there at its end as at its beginning and, where
// objects can leave it, nothing at all was changed meanwhile.
func (a *adapter) List(ctx context.Context, of domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "xero.List")
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	k, err := a.collection(of, c)
	if err != nil {
		return adapters.Page{}, err
	}
	l, recs, err := a.page(ctx, k, nil, c.Page, c.Size, time.Time{})
	if err != nil {
		return adapters.Page{}, err
	}
	if c.Page == 1 {
		if c.Items = l.items; !c.Second {
			c.Start = l.at.UnixMilli()
		}
	}
	if k.more(c, l) {
		c.Page++
		return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
	}
	complete := c.Page == 1 || k.pages && l.items == c.Items
	if complete = complete || !k.pages; complete && c.Page > 1 && k.leaves {
		complete, err = a.quietSince(ctx, k, c.start())
		if err != nil {
			return adapters.Page{}, err
		}
	}
	if k.pages && !l.paged {
		complete = false
	}
	if c, ok := a.beyond(k, c); ok {
		c.Partial = !complete
		return adapters.Page{Records: recs, Cursor: c.String(), More: true}, nil
	}
	return adapters.Page{Records: recs, Complete: complete && !c.Partial}, nil
}

// quietSince reports whether nothing was changed, and nothing deleted as far as that can be asked.
func (a *adapter) quietSince(ctx context.Context, k *kind, since time.Time) (bool, error) {
	l, _, err := a.get(ctx, k, nil, 1, 1, since.Add(-time.Second))
	if err != nil || len(l.objects) > 0 || k.pages {
		return err == nil && len(l.objects) == 0, err
	}
	deleted, err := a.deletedSince(ctx, k, since)
	return !deleted, err
}

// page reads one page and returns the records of the kind on it.
func (a *adapter) page(ctx context.Context, k *kind, q url.Values, number, size int, since time.Time) (*listing, []domain.Record, error) {
	l, sent, err := a.get(ctx, k, q, number, size, since)
	if err != nil {
		return nil, nil, err
	}
	recs := make([]domain.Record, 0, len(l.objects))
	for i, o := range l.objects {
		if !k.ours(o) {
			continue
		}
		r, err := a.record(k, o, l.raw[i], sent)
		if err != nil {
			return nil, nil, err
		}
		recs = append(recs, r)
	}
	return l, recs, nil
}

// get reads one page as it is.
func (a *adapter) get(ctx context.Context, k *kind, q url.Values, number, size int, since time.Time) (*listing, time.Time, error) {
	q = unitdp(q)
	q.Set("order", k.id+" ASC")
	if k.filter != "" && !q.Has("where") {
		q.Set("where", k.filter)
	}
	if k.pages || k.full > 0 {
		q.Set("page", strconv.Itoa(number))
	}
	if k.pages {
		q.Set("pageSize", strconv.Itoa(size))
		q.Set("includeArchived", "true")
	}
	call := adapters.Call{Method: http.MethodGet, Path: api + "/" + k.path + "?" + q.Encode()}
	if !since.IsZero() {
		call.Header = http.Header{"If-Modified-Since": {since.Truncate(time.Second).Format("2006-01-02T15:04:05")}}
	}
	resp, err := a.do(ctx, call)
	if err != nil {
		return nil, time.Time{}, err
	}
	l, err := a.list(k, resp)
	return l, resp.SentAt, err
}

// listing is an answer that holds objects of one kind.
type listing struct {
	objects []object
	raw     []json.RawMessage
	paged   bool
	pages   int
	items   int
	at      time.Time // Xero's clock
}

func (a *adapter) list(k *kind, resp *adapters.Response) (*listing, error) {
	return a.listOf(k.path, resp)
}

func (a *adapter) listOf(name string, resp *adapters.Response) (*listing, error) {
	var in map[string]json.RawMessage
	l := &listing{at: resp.SentAt}
	if err := json.Unmarshal(resp.Body, &in); err != nil || in[name] == nil || json.Unmarshal(in[name], &l.raw) != nil {
		return nil, a.err(domain.Unavailable, "Xero's answer holds no list of %s; it will be tried again", name)
	}
	var clock string
	if json.Unmarshal(in["DateTimeUTC"], &clock) == nil {
		if t, ok := parseTime(clock); ok {
			l.at = t
		}
	}
	var p *struct{ PageCount, ItemCount int }
	if json.Unmarshal(in["pagination"], &p) == nil && p != nil {
		l.paged, l.pages, l.items = true, p.PageCount, p.ItemCount
	}
	for _, raw := range l.raw {
		o, err := adapters.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		l.objects = append(l.objects, o)
	}
	return l, nil
}

// isCustomer tells customers from contacts that are only suppliers. A new contact is neither in Xero and counts as a
// customer, as does every contact that carries our id.
func isCustomer(o object) bool {
	return o["IsSupplier"] != true || o["IsCustomer"] == true || contactID(o) != ""
}

// contactID is our id in ContactNumber, "" if the number is somebody else's.
func contactID(o object) string {
	if n := adapters.String(o, "ContactNumber"); domain.KindOfID(n) == domain.KindCustomer {
		return n
	}
	return ""
}

// record maps one object.
func (a *adapter) record(k *kind, o object, raw json.RawMessage, sent time.Time) (domain.Record, error) {
	id := adapters.String(o, k.id)
	if id == "" {
		return domain.Record{}, a.err(domain.Unavailable, "Xero's answer holds a %s without %s", k.word, k.id)
	}
	r := domain.Record{Kind: k.mapping.Kind, ExternalID: k.prefix + id, CanonicalID: k.canonicalID(o), FetchedAt: sent.UTC(), Raw: raw}
	if to := adapters.String(o, "MergedToContactID"); to != "" && to != emptyID && to != id {
		r.MergedInto = to
	}
	updated := adapters.String(o, "UpdatedDateUTC")
	at, ok := parseTime(updated)
	if !ok {
		return domain.Record{}, a.err(domain.Unavailable, "Xero's %s %s has no readable UpdatedDateUTC", k.word, id)
	}
	r.ModifiedAt, r.Version = at, strconv.FormatInt(at.UnixMilli(), 10)
	r.Values, r.Issues, r.Unknown = k.mapping.Read(o)
	r.Deleted = k.leaves && adapters.String(o, "Status") == "DELETED"
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

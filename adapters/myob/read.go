package myob

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	customers = "/Contact/Customer"
	// fetchSize is how many ids go into one URL.
	fetchSize = 25
)

func (a *adapter) carries(kind domain.Kind) error {
	if kind == a.mapping.Kind {
		return nil
	}
	return a.err(domain.Unsupported, "MYOB does not carry %s", kind)
}

// Fetch reads one card.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "myob.Fetch")
	if err := a.carries(kind); err != nil {
		return domain.Record{}, err
	}
	_, rec, err = a.card(ctx, externalID)
	return rec, err
}

// card reads one card as an object and as a record.
func (a *adapter) card(ctx context.Context, uid string) (object, domain.Record, error) {
	if !uuidForm.MatchString(uid) {
		return nil, domain.Record{}, a.err(domain.NotFound, "MYOB has no customer %q: that is no id of MYOB's", uid)
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: customers + "/" + uid})
	if err != nil {
		if domain.CodeOf(err) == domain.NotFound {
			return nil, domain.Record{}, a.err(domain.NotFound, "MYOB has no customer %s", uid)
		}
		return nil, domain.Record{}, err
	}
	return a.parse(resp)
}

func (a *adapter) parse(resp *adapters.Response) (object, domain.Record, error) {
	o, err := adapters.ParseObject(resp.Body)
	if err != nil {
		return nil, domain.Record{}, a.err(domain.Unavailable, "MYOB's answer holds no customer; it will be tried again")
	}
	rec, err := a.record(o, resp.Body, resp.SentAt)
	return o, rec, err
}

// FetchMany reads cards by their ids.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "myob.FetchMany")
	if err := a.carries(kind); err != nil {
		return nil, err
	}
	var terms []string
	for _, id := range externalIDs {
		if uuidForm.MatchString(id) {
			terms = append(terms, "UID eq guid'"+id+"'")
		}
	}
	for chunk := range slices.Chunk(terms, fetchSize) {
		l, err := a.list(ctx, url.Values{"$filter": {strings.Join(chunk, " or ")}}, 0, fetchSize)
		if err != nil {
			return nil, err
		}
		for _, r := range l.records {
			// MYOB may answer a filter that it does not understand with everything.
			if slices.ContainsFunc(externalIDs, func(id string) bool { return strings.EqualFold(id, r.ExternalID) }) {
				recs = append(recs, r)
			}
		}
	}
	return recs, nil
}

// cursor is where a reading by LastModified stands. Times are milliseconds since 1970, by MYOB's clock.
type cursor struct {
	After int64 `json:"after,omitempty"` // LastModified to go on from; 0 is everything
	Skip  int   `json:"skip,omitempty"`  // cards from there on that were read already
	Start int64 `json:"start,omitempty"` // when this pass began; the next one reaches back from here. 0 begins a pass
}

// Changes reads what changed since the last pass began, less the overlap, in the order of LastModified: a card that is
// changed meanwhile moves to the end and is read again. Cards that MYOB has never stamped come first. Changes of the balance
// do not move LastModified, and deletions leave nothing: only List sees them.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "myob.Changes")
	if err := a.carries(kind); err != nil {
		return adapters.Page{}, err
	}
	var c cursor
	if err := a.resume(cur, &c); err != nil {
		return adapters.Page{}, err
	}
	recs, next, more, err := a.step(ctx, c, a.size)
	if err != nil {
		return adapters.Page{}, err
	}
	return adapters.Page{Records: recs, Cursor: save(next), More: more}, nil
}

// step reads one page of a pass and returns where to go on: in this pass if there is more, else in the next one.
func (a *adapter) step(ctx context.Context, c cursor, size int) (recs []domain.Record, next cursor, more bool, err error) {
	q := url.Values{"$orderby": {"LastModified"}}
	if c.After > 0 {
		q.Set("$filter", "LastModified ge datetime'"+time.UnixMilli(c.After).UTC().Format("2006-01-02T15:04:05.999")+"'")
	}
	l, err := a.list(ctx, q, c.Skip, size)
	if err != nil {
		return nil, c, false, err
	}
	if c.Start == 0 {
		c.Start = l.at.UnixMilli()
	}
	if !l.more || len(l.records) == 0 {
		return l.records, cursor{After: time.UnixMilli(c.Start).Add(-a.overlap).UnixMilli()}, false, nil
	}
	// Go on from the last stamp: from its whole second if that moves on, else from the stamp itself. A page of one stamp is
	// passed over by number.
	last := l.records[len(l.records)-1].ModifiedAt
	after := last.Truncate(time.Second).UnixMilli()
	if after <= c.After {
		after = last.UnixMilli()
	}
	if after > max(c.After, 0) {
		c.After, c.Skip = after, 0
	} else {
		c.Skip += len(l.records)
	}
	return l.records, c, true, nil
}

// place is where a complete listing stands.
type place struct {
	Skip int    `json:"skip"`          // where the next page begins: at the last card of the page before
	Last string `json:"last"`          // that card's UID
	Gap  bool   `json:"gap,omitempty"` // a card may have been passed over
}

// List reads every card, inactive ones too, in the order of UID, which never changes. Each page begins with the last card of
// the page before: if that is there, nothing between them was passed over, whatever was added or deleted meanwhile. The last
// page is Complete if that was so all along.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "myob.List")
	if err := a.carries(kind); err != nil {
		return adapters.Page{}, err
	}
	var p place
	if err := a.resume(cur, &p); err != nil {
		return adapters.Page{}, err
	}
	l, err := a.list(ctx, url.Values{"$orderby": {"UID"}}, p.Skip, a.size)
	if err != nil {
		return adapters.Page{}, err
	}
	recs := l.records
	if p.Last != "" {
		i := slices.IndexFunc(recs, func(r domain.Record) bool { return r.ExternalID == p.Last })
		p.Gap = p.Gap || i < 0
		recs = recs[i+1:]
	}
	if n := len(l.records); l.more && n > 1 {
		p.Skip, p.Last = p.Skip+n-1, l.records[n-1].ExternalID
		return adapters.Page{Records: recs, Cursor: save(p), More: true}, nil
	}
	return adapters.Page{Records: recs, Complete: !l.more && !p.Gap}, nil
}

func (a *adapter) resume(s string, into any) error {
	if s == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), into); err != nil {
		return a.err(domain.Invalid, "the cursor %q is not one of MYOB's; start again from the beginning", s)
	}
	return nil
}

func save(cursor any) string {
	b, err := json.Marshal(cursor)
	if err != nil {
		panic("myob: " + err.Error()) // numbers and ids only
	}
	return string(b)
}

// listing is one page.
type listing struct {
	records []domain.Record
	more    bool
	at      time.Time // MYOB's clock
}

func (a *adapter) list(ctx context.Context, q url.Values, skip, top int) (*listing, error) {
	q.Set("$top", strconv.Itoa(top))
	if skip > 0 {
		q.Set("$skip", strconv.Itoa(skip))
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: customers + "?" + query(q)})
	if err != nil {
		return nil, err
	}
	var in struct {
		Items        *[]json.RawMessage
		NextPageLink string
	}
	if err := json.Unmarshal(resp.Body, &in); err != nil || in.Items == nil {
		return nil, a.err(domain.Unavailable, "MYOB's answer holds no list of customers; it will be tried again")
	}
	l := &listing{more: in.NextPageLink != "", at: resp.SentAt}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		l.at = at
	}
	for _, raw := range *in.Items {
		o, err := adapters.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		r, err := a.record(o, raw, resp.SentAt)
		if err != nil {
			return nil, err
		}
		l.records = append(l.records, r)
	}
	return l, nil
}

// query encodes q with spaces as %20: a + is a plus sign to some of MYOB's servers.
func query(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// canonicalID is our id in the card's custom field, "" if the value is somebody else's.
func (a *adapter) canonicalID(o object) string {
	if v := adapters.String(part(o, a.mapping.IDField), "Value"); domain.KindOfID(v) == domain.KindCustomer {
		return v
	}
	return ""
}

// record maps one card. A card that MYOB has never stamped has the zero time.
func (a *adapter) record(o object, raw json.RawMessage, sent time.Time) (domain.Record, error) {
	id, version := adapters.String(o, "UID"), adapters.String(o, "RowVersion")
	if id == "" || version == "" {
		return domain.Record{}, a.err(domain.Unavailable, "MYOB's answer holds a customer without UID or RowVersion")
	}
	r := domain.Record{Kind: a.mapping.Kind, ExternalID: id, CanonicalID: a.canonicalID(o), Version: version, FetchedAt: sent.UTC(), Raw: raw}
	r.ModifiedAt = stamp(adapters.String(o, "LastModified"))
	r.Values, r.Issues, r.Unknown = a.mapping.Read(o)
	if v := adapters.String(part(o, a.mapping.IDField), "Value"); v != "" && r.CanonicalID == "" {
		r.Issues = append(r.Issues, domain.Issue{Code: "foreign_custom_field", Value: v, Severity: domain.Warning, Message: fmt.Sprintf(
			"%s holds %q, which is not Datum's; it is left alone, so the card is recognised by its UID only. The setting idField can name another field", a.mapping.IDField, v)})
	}
	return r, nil
}

// stamp reads "2014-03-19T05:04:32.993", which has no zone and counts as UTC.
func stamp(s string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

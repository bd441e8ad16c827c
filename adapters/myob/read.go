package myob

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// fetchSize is how many ids go into one URL.
const fetchSize = 25

// Fetch reads one record.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "myob.Fetch")
	b, err := a.book(kind)
	if err != nil {
		return domain.Record{}, err
	}
	x, err := a.one(ctx, b, externalID, "")
	if err != nil {
		return domain.Record{}, err
	}
	return a.record(b, x)
}

// FetchMany reads records by their ids.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "myob.FetchMany")
	b, err := a.book(kind)
	if err != nil {
		return nil, err
	}
	by := map[*source][]string{}
	for _, id := range externalIDs {
		if src, uid := b.at(id); src != nil {
			by[src] = append(by[src], uid)
		}
	}
	for i := range b.own {
		src := &b.own[i]
		for chunk := range slices.Chunk(by[src], fetchSize) {
			found, err := a.gather(ctx, *src, byUID(chunk))
			if err != nil {
				return nil, err
			}
			some, err := a.records(ctx, b, found)
			if err != nil {
				return nil, err
			}
			for _, r := range some {
				// MYOB may answer a filter that it does not understand with everything.
				if slices.ContainsFunc(externalIDs, func(id string) bool { return strings.EqualFold(id, r.ExternalID) }) {
					recs = append(recs, r)
				}
			}
		}
	}
	return recs, nil
}

// cursor is where a reading by LastModified stands: in one of the kind's resources after the other.
type cursor struct {
	At   int   `json:"at,omitempty"` // the resource that is read
	Legs []leg `json:"legs,omitempty"`
}

// leg is the reading of one resource. Times are milliseconds since 1970, by MYOB's clock.
type leg struct {
	After int64 `json:"after,omitempty"` // LastModified to go on from; 0 is everything
	Skip  int   `json:"skip,omitempty"`  // objects from there on that were read already
	Start int64 `json:"start,omitempty"` // when this pass began; the next one reaches back from here. 0 begins a pass
}

// Changes reads what changed since the last pass began, less the overlap, in the order of LastModified: what is changed
// meanwhile moves to the end and is read again. Objects that MYOB has never stamped come first. A payment does not move its
// invoice's LastModified, so invoices are also read when a payment or settlement that names them is new. Changes of a
// customer's balance move nothing, and deletions leave nothing: only List sees them.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "myob.Changes")
	b, err := a.book(kind)
	if err != nil {
		return adapters.Page{}, err
	}
	var c cursor
	if err := a.resume(cur, &c); err != nil {
		return adapters.Page{}, err
	}
	all := slices.Concat(b.own, b.others)
	if len(c.Legs) != len(all) || c.At < 0 || c.At >= len(all) {
		c = cursor{Legs: make([]leg, len(all))}
	}
	for {
		src, l := all[c.At], &c.Legs[c.At]
		if src.about != nil && l.After == 0 {
			l.After = c.Legs[0].After // the first pass has just read everything
		}
		listed, next, more, err := a.step(ctx, src, *l, a.pageOf(b))
		if err != nil {
			return adapters.Page{}, err
		}
		if src.about != nil {
			if listed, err = a.named(ctx, b, src, listed); err != nil {
				return adapters.Page{}, err
			}
		}
		some, err := a.records(ctx, b, listed)
		if err != nil {
			return adapters.Page{}, err
		}
		*l = next
		if !more {
			c.At++
		}
		done := c.At == len(all)
		if done {
			c.At = 0
		}
		if len(some) > 0 || more || done {
			return adapters.Page{Records: some, Cursor: save(c), More: !done}, nil
		}
	}
}

// named lists the records that the objects bear upon.
func (a *adapter) named(ctx context.Context, b *book, src source, objects []item) ([]item, error) {
	var uids []string
	for _, x := range objects {
		uids = append(uids, src.about(x.o)...)
	}
	if len(uids) == 0 {
		return nil, nil
	}
	return a.gather(ctx, b.own[0], byUID(uids))
}

func (a *adapter) pageOf(b *book) int {
	if b.most > 0 {
		return min(a.size, b.most)
	}
	return a.size
}

// step reads one page of a resource and returns where to go on: in this pass if there is more, else in the next one.
func (a *adapter) step(ctx context.Context, src source, c leg, size int) (items []item, next leg, more bool, err error) {
	q := url.Values{"$orderby": {"LastModified"}}
	if c.After > 0 {
		q.Set("$filter", "LastModified ge datetime'"+time.UnixMilli(c.After).UTC().Format("2006-01-02T15:04:05.999")+"'")
	}
	l, err := a.list(ctx, src, q, c.Skip, size)
	if err != nil {
		return nil, c, false, err
	}
	if c.Start == 0 {
		c.Start = l.at.UnixMilli()
	}
	if !l.more || len(l.items) == 0 {
		return l.items, leg{After: time.UnixMilli(c.Start).Add(-a.overlap).UnixMilli()}, false, nil
	}
	// Go on from the last stamp: from its whole second if that moves on, else from the stamp itself. A page of one stamp is
	// passed over by number.
	last := stamp(adapters.String(l.items[len(l.items)-1].o, "LastModified"))
	after := last.Truncate(time.Second).UnixMilli()
	if after <= c.After {
		after = last.UnixMilli()
	}
	if after > max(c.After, 0) {
		c.After, c.Skip = after, 0
	} else {
		c.Skip += len(l.items)
	}
	return l.items, c, true, nil
}

// place is where a complete listing stands.
type place struct {
	At   int    `json:"at,omitempty"`  // the resource that is listed
	Skip int    `json:"skip"`          // where the next page begins: at the last object of the page before
	Last string `json:"last"`          // that object's UID
	Gap  bool   `json:"gap,omitempty"` // an object may have been passed over
}

// List reads every record, inactive ones too, in the order of UID, which never changes. Each page begins with the last object
// of the page before: if that is there, nothing between them was passed over, whatever was added or deleted meanwhile. The last
// page is Complete if that was so all along.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "myob.List")
	b, err := a.book(kind)
	if err != nil {
		return adapters.Page{}, err
	}
	var p place
	if err := a.resume(cur, &p); err != nil {
		return adapters.Page{}, err
	}
	if p.At < 0 || p.At >= len(b.own) {
		return adapters.Page{}, a.err(domain.Invalid, "the cursor %q is not one of MYOB's; start again from the beginning", cur)
	}
	l, err := a.list(ctx, b.own[p.At], url.Values{"$orderby": {"UID"}}, p.Skip, a.pageOf(b))
	if err != nil {
		return adapters.Page{}, err
	}
	listed := l.items
	if p.Last != "" {
		i := slices.IndexFunc(listed, func(x item) bool { return adapters.String(x.o, "UID") == p.Last })
		p.Gap = p.Gap || i < 0
		listed = listed[i+1:]
	}
	recs, err := a.records(ctx, b, listed)
	if err != nil {
		return adapters.Page{}, err
	}
	// What goes or becomes another kind of document between the list and the look at it is not a gap.
	if n := len(l.items); l.more && n > 1 {
		p.Skip, p.Last = p.Skip+n-1, adapters.String(l.items[n-1].o, "UID")
		return adapters.Page{Records: recs, Cursor: save(p), More: true}, nil
	}
	p.Gap = p.Gap || l.more
	if p.At++; p.At < len(b.own) {
		return adapters.Page{Records: recs, Cursor: save(place{At: p.At, Gap: p.Gap}), More: true}, nil
	}
	return adapters.Page{Records: recs, Complete: !p.Gap}, nil
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
	items []item
	more  bool
	at    time.Time // MYOB's clock
}

func (a *adapter) list(ctx context.Context, src source, q url.Values, skip, top int) (*listing, error) {
	q.Set("$top", strconv.Itoa(top))
	if skip > 0 {
		q.Set("$skip", strconv.Itoa(skip))
	}
	if f := q.Get("$filter"); src.filter != "" && f != "" {
		q.Set("$filter", src.filter+" and ("+f+")")
	} else if src.filter != "" {
		q.Set("$filter", src.filter)
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: src.path + "?" + query(q)})
	if err != nil {
		return nil, err
	}
	var in struct {
		Items        *[]json.RawMessage
		NextPageLink string
	}
	if err := json.Unmarshal(resp.Body, &in); err != nil || in.Items == nil {
		return nil, a.err(domain.Unavailable, "MYOB's answer holds no list at %s; it will be tried again", src.path)
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
		l.items = append(l.items, item{o: o, raw: raw, resp: resp})
	}
	return l, nil
}

// query encodes q with spaces as %20: a + is a plus sign to some of MYOB's servers.
func query(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// ourID is an id of ours among other words.
var ourID = regexp.MustCompile(`\b[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}\b`)

// canonicalID is our id in the object's custom field or memo, "" if what is there is somebody else's.
func (b *book) canonicalID(o object) string {
	var id string
	if b.memo == "" {
		id = adapters.String(part(o, b.m.IDField), "Value")
	} else {
		id = ourID.FindString(adapters.String(o, b.memo))
	}
	if domain.KindOfID(id) == b.m.Kind {
		return id
	}
	return ""
}

// mark puts our id where canonicalID finds it, unless something of somebody else's is there.
func (b *book) mark(o object, id string) {
	switch {
	case id == "":
	case b.memo != "":
		if o["UID"] == nil {
			o[b.memo] = "Datum " + id
		}
	case adapters.String(part(o, b.m.IDField), "Value") == "":
		partFor(o, b.m.IDField)["Value"] = id
	}
}

// records completes and maps what was listed.
func (a *adapter) records(ctx context.Context, b *book, listed []item) ([]domain.Record, error) {
	full, err := a.whole(ctx, b, listed)
	if err != nil {
		return nil, err
	}
	recs := make([]domain.Record, 0, len(full))
	for _, x := range full {
		r, err := a.record(b, x)
		if err != nil {
			return nil, err
		}
		recs = append(recs, r)
	}
	return recs, nil
}

// record maps one object. One that MYOB has never stamped has the zero time.
func (a *adapter) record(b *book, x item) (domain.Record, error) {
	o := x.o
	id, version := adapters.String(o, "UID"), adapters.String(o, "RowVersion")
	if id == "" || version == "" {
		return domain.Record{}, a.err(domain.Unavailable, "MYOB's answer holds a %s without UID or RowVersion", b.noun)
	}
	if b.m.Kind == domain.KindPayment && isRefund(o) {
		id = refundID + id
	}
	r := domain.Record{Kind: b.m.Kind, ExternalID: id, CanonicalID: b.canonicalID(o), Version: version, FetchedAt: x.resp.SentAt.UTC(), Raw: x.raw}
	r.ModifiedAt = stamp(adapters.String(o, "LastModified"))
	r.Values, r.Issues, r.Unknown = b.m.Read(o)
	if b.memo == "" {
		if v := adapters.String(part(o, b.m.IDField), "Value"); v != "" && r.CanonicalID == "" {
			r.Issues = append(r.Issues, domain.Issue{Code: "foreign_custom_field", Value: v, Severity: domain.Warning, Message: fmt.Sprintf(
				"%s holds %q, which is not Datum's; it is left alone, so the %s is recognised by its UID only. The setting idField can name another field", b.m.IDField, v, b.noun)})
		}
	} else if code := foreign(o); code != "" {
		r.Issues = append(r.Issues, domain.Issue{Field: "currency", Code: "foreign_currency", Value: code, Severity: domain.Problem, Message: fmt.Sprintf(
			"the %s is in %s, and only documents in the file's own currency are carried: its amounts and lines are left out", b.noun, code)})
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

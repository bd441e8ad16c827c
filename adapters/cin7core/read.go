package cin7core

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// maxRounds is how often one pass begins again because pages shifted under it, before it is left to the next one.
const maxRounds = 3

// source is how Cin7 Core lists a kind.
type source struct {
	path, list  string
	id, stamp   string // members of a row
	since       string // parameter for what has changed
	whole, full bool   // whole: archived ones are left out unless asked for; full: a row is the whole object
}

var sources = map[domain.Kind]source{
	domain.KindCustomer: {"/customer", "CustomerList", "ID", "LastModifiedOn", "ModifiedSince", true, true},
	domain.KindProduct:  {"/product", "Products", "ID", "LastModifiedOn", "ModifiedSince", true, true},
	domain.KindOrder:    {"/saleList", "SaleList", "SaleID", "Updated", "UpdatedSince", false, false},
}

// Fetch reads one object.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "cin7core.Fetch")
	if _, err := a.mapping(kind); err != nil {
		return rec, err
	}
	switch kind {
	case domain.KindStockLevel:
		return a.fetchLevel(ctx, externalID)
	case domain.KindOrder:
		o, resp, err := a.sale(ctx, idOf(externalID))
		if err != nil {
			return rec, err
		}
		return a.record(ctx, kind, o, resp.SentAt)
	}
	o, resp, err := a.one(ctx, kind, idOf(externalID))
	if err != nil {
		return rec, err
	}
	return a.record(ctx, kind, o, resp.SentAt)
}

// FetchMany implements adapters.BatchFetcher. Only stock can be read many at a time; others are read one by one.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "cin7core.FetchMany")
	if kind == domain.KindStockLevel {
		return a.fetchLevels(ctx, externalIDs)
	}
	for _, id := range externalIDs {
		rec, err := a.Fetch(ctx, kind, id)
		if domain.CodeOf(err) == domain.NotFound {
			continue
		}
		if err != nil && len(recs) > 0 {
			return recs, nil // what was read must not be read again; the rest is asked for one by one
		}
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func (a *adapter) gone(kind domain.Kind, id string) error {
	return a.err(domain.NotFound, "Cin7 Core has no %s %q", strings.ToLower(string(kind)), id)
}

// one reads a customer, product or location.
func (a *adapter) one(ctx context.Context, kind domain.Kind, id string) (object, *adapters.Response, error) {
	if !guidForm.MatchString(id) {
		return nil, nil, a.gone(kind, id)
	}
	src, q := sources[kind], url.Values{"ID": {id}, "IncludeDeprecated": {"true"}}
	if kind == domain.KindLocation {
		src, q = source{path: "/ref/location", list: "LocationList", id: "ID"}, url.Values{"ID": {id}}
	}
	in, resp, err := a.do(ctx, http.MethodGet, src.path, q, nil, false)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range entries(in[src.list]) {
		if idOf(adapters.String(o, src.id)) == id {
			return o, resp, nil
		}
	}
	return nil, nil, a.gone(kind, id)
}

// sale reads a sale; one that is not there is a 400 that says so.
func (a *adapter) sale(ctx context.Context, id string) (object, *adapters.Response, error) {
	if !guidForm.MatchString(id) {
		return nil, nil, a.gone(domain.KindOrder, id)
	}
	o, resp, err := a.do(ctx, http.MethodGet, "/sale", url.Values{"ID": {id}, "HideInventoryMovements": {"true"}}, nil, false)
	if e := domain.AsError(err); e != nil && e.Code == domain.Invalid && strings.Contains(strings.ToLower(e.Message), "not found") || err == nil && o == nil {
		return nil, nil, a.gone(domain.KindOrder, id)
	}
	return o, resp, err
}

// record maps one object. What Cin7 Core does not stamp (locations, stock) is dated by the request.
func (a *adapter) record(ctx context.Context, kind domain.Kind, o object, sent time.Time) (domain.Record, error) {
	m, err := a.mapping(kind)
	if err != nil {
		return domain.Record{}, err
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return domain.Record{}, a.err(domain.Internal, "the object cannot be kept as JSON")
	}
	r := domain.Record{Kind: kind, ExternalID: idOf(adapters.String(o, "ID")), FetchedAt: sent.UTC(), Raw: raw}
	if stamp := adapters.String(o, "LastModifiedOn"); stamp != "" {
		r.Version, r.ModifiedAt = stamp, timeOf(stamp)
	} else {
		sum := sha256.Sum256(raw)
		r.Version, r.ModifiedAt = hex.EncodeToString(sum[:8]), r.FetchedAt
	}
	switch kind {
	case domain.KindStockLevel:
		r.ExternalID += "@" + adapters.String(o, "LocationID")
	case domain.KindOrder:
		if id := adapters.String(o, m.IDField); domain.KindOfID(id) == kind {
			r.CanonicalID = id
		}
		if o, err = a.withSite(ctx, o); err != nil {
			return domain.Record{}, err
		}
	}
	if r.ExternalID == "" || r.ModifiedAt.IsZero() {
		return domain.Record{}, a.err(domain.Unavailable, "Cin7 Core's answer holds a %s without id or time", strings.ToLower(string(kind)))
	}
	r.Values, r.Issues, r.Unknown = m.Read(o)
	return r, nil
}

// timeOf reads "2017-11-22T10:10:49.75", with or without zone; without one it is UTC.
func timeOf(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// cursor is where a pass over a list stands. Times are milliseconds since 1970, by Cin7 Core's clock.
type cursor struct {
	Since int64  `json:"since,omitempty"` // what has changed since; 0 is everything
	Start int64  `json:"start,omitempty"` // when the pass began; 0 begins one
	Page  int    `json:"page,omitempty"`
	Round int    `json:"round,omitempty"` // how often it began again
	Seen  string `json:"seen,omitempty"`  // whom it has seen, 6 bytes each, once there are several pages
	Site  string `json:"site,omitempty"`  // of stock: the location that was read last
}

// Changes reads what has changed since the last pass began, less the overlap, but for sales that are as a write of this adapter
// has left and returned them, which would cost a call each; of locations and stock, which are not stamped, everything. Stock that has come to nothing has no row and is noticed by webhooks and by what List lacks.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "cin7core.Changes")
	page, next, err := a.read(ctx, kind, cur)
	if err != nil {
		return adapters.Page{}, err
	}
	if page.Complete = false; !page.More && next.Start > 0 {
		next = cursor{Since: time.UnixMilli(next.Start).Add(-a.overlap).UnixMilli()}
	}
	page.Cursor = save(next)
	return page, nil
}

// List reads everything, archived ones too. The last page is Complete if as many different objects were seen as the list
// has: nothing is ever deleted from the lists of customers, products and sales, so none can have been passed over. Locations
// and rows of stock can go; that one has gone is for Fetch to say.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "cin7core.List")
	page, next, err := a.read(ctx, kind, cur)
	if err != nil {
		return adapters.Page{}, err
	}
	if page.More {
		page.Cursor = save(next)
	}
	return page, nil
}

func (a *adapter) read(ctx context.Context, kind domain.Kind, cur string) (adapters.Page, cursor, error) {
	var c cursor
	if cur != "" && json.Unmarshal([]byte(cur), &c) != nil {
		return adapters.Page{}, c, a.err(domain.Invalid, "the cursor %q is not one of Cin7 Core's; start again from the beginning", cur)
	}
	if _, err := a.mapping(kind); err != nil {
		return adapters.Page{}, c, err
	}
	switch kind {
	case domain.KindLocation:
		return a.readLocations(ctx, c)
	case domain.KindStockLevel:
		return a.readStock(ctx, c)
	}
	return a.step(ctx, kind, c)
}

// step reads one page of a pass. Lists name no order and pages shift, so the pass notes whom it has seen, and begins again if
// at its end they are fewer than the list says it has. Whoever is seen again was changed meanwhile, which the next pass reads.
func (a *adapter) step(ctx context.Context, kind domain.Kind, c cursor) (page adapters.Page, next cursor, err error) {
	src, size := sources[kind], a.size
	if kind == domain.KindOrder {
		size = a.saleSize
	}
	c.Page = max(c.Page, 1)
	q := url.Values{"Page": {strconv.Itoa(c.Page)}, "Limit": {strconv.Itoa(size)}}
	if src.whole {
		q.Set("IncludeDeprecated", "true")
	}
	if c.Since > 0 {
		q.Set(src.since, time.UnixMilli(c.Since).UTC().Format("2006-01-02T15:04:05.000"))
	}
	in, resp, err := a.do(ctx, http.MethodGet, src.path, q, nil, false)
	if err != nil {
		return page, c, err
	}
	rows, total, err := a.rows(in, src.list)
	if err != nil {
		return page, c, err
	}
	if c.Start == 0 {
		c.Start = clock(resp)
	}
	seen := unpack(c.Seen)
	for _, row := range rows {
		id := idOf(adapters.String(row, src.id))
		if seen[mark(id)] {
			continue
		}
		if c.Since > 0 && !src.full && a.echoes(id, adapters.String(row, src.stamp)) {
			seen[mark(id)] = true
			continue
		}
		rec, err := a.whole(ctx, kind, src, row, id, resp.SentAt)
		switch code := domain.CodeOf(err); {
		case code == domain.NotFound:
		case (code == domain.RateLimited || code == domain.Unavailable) && len(page.Records) > 0:
			c.Seen, page.More = pack(seen), true // what has been read is not read again
			return page, c, nil
		case err != nil:
			return adapters.Page{}, c, err
		default:
			page.Records = append(page.Records, rec)
		}
		seen[mark(id)] = true
	}
	c.Seen = pack(seen)
	switch {
	case len(rows) > 0 && c.Page*size < total:
		c.Page, page.More = c.Page+1, true
	case len(seen) < total && c.Round < maxRounds:
		c.Page, c.Round, page.More = 1, c.Round+1, true
	default:
		page.Complete = len(seen) >= total
	}
	return page, c, nil
}

// whole is the record of a row, which takes a call of its own if the row is a summary.
func (a *adapter) whole(ctx context.Context, kind domain.Kind, src source, row object, id string, sent time.Time) (domain.Record, error) {
	if src.full {
		return a.record(ctx, kind, row, sent)
	}
	o, resp, err := a.sale(ctx, id)
	if err != nil {
		return domain.Record{}, err
	}
	return a.record(ctx, kind, o, resp.SentAt)
}

func (a *adapter) rows(in object, list string) ([]object, int, error) {
	total, err := strconv.Atoi(adapters.String(in, "Total"))
	if _, ok := in[list].([]any); !ok || err != nil {
		return nil, 0, a.err(domain.Unavailable, "Cin7 Core's answer holds no %s; it will be tried again", list)
	}
	return entries(in[list]), total, nil
}

// clock is Cin7 Core's time of an answer, whole seconds.
func clock(resp *adapters.Response) int64 {
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return at.UnixMilli()
	}
	return resp.SentAt.Truncate(time.Second).UnixMilli()
}

// mark is what a pass keeps of an id.
func mark(id string) [6]byte {
	sum := sha256.Sum256([]byte(id))
	return [6]byte(sum[:6])
}

func pack(seen map[[6]byte]bool) string {
	marks := make([][6]byte, 0, len(seen))
	for m := range seen {
		marks = append(marks, m)
	}
	slices.SortFunc(marks, func(a, b [6]byte) int { return slices.Compare(a[:], b[:]) })
	var b []byte
	for _, m := range marks {
		b = append(b, m[:]...)
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

func unpack(s string) map[[6]byte]bool {
	seen := map[[6]byte]bool{}
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return seen
	}
	for c := range slices.Chunk(b, 6) {
		if len(c) == 6 {
			seen[[6]byte(c)] = true
		}
	}
	return seen
}

func save(c cursor) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("cin7core: " + err.Error()) // numbers and text only
	}
	return string(b)
}

// all reads every page of a list in one go, each row once by its key; again, up to three times, if its pages shifted.
func (a *adapter) all(ctx context.Context, path, list string, q url.Values, key func(object) string) (rows []object, sure bool, sent time.Time, err error) {
	for range maxRounds {
		rows, sure = nil, true
		seen := map[string]bool{}
		for page := 1; ; page++ {
			q.Set("Page", strconv.Itoa(page))
			q.Set("Limit", strconv.Itoa(a.size))
			in, resp, err := a.do(ctx, http.MethodGet, path, q, nil, false)
			if err != nil {
				return nil, false, sent, err
			}
			if sent.IsZero() || page == 1 {
				sent = resp.SentAt
			}
			got, total, err := a.rows(in, list)
			if err != nil {
				return nil, false, sent, err
			}
			for _, r := range got {
				if k := key(r); !seen[k] {
					seen[k] = true
					rows = append(rows, r)
				}
			}
			if len(got) == 0 || page*a.size >= total {
				sure = len(rows) == total
				break
			}
		}
		if sure {
			break
		}
	}
	return rows, sure, sent, nil
}

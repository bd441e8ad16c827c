package hubspot

import (
	"context"
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

// position is where a poll or a listing stands. It is stored between calls as JSON.
type position struct {
	Object string             `json:"o,omitempty"` // the object being read; "" is the first
	Polls  map[string]*stream `json:"p,omitempty"`
	First  bool               `json:"f,omitempty"` // this is the backfill

	After    string `json:"a,omitempty"` // listing: the page
	Archived bool   `json:"r,omitempty"` // listing: the archived ones
}

// stream is one object's place in time. Searches go by key and not by page number: from the last stamp seen, and among
// more equal stamps than fit a page by id. So nothing is skipped while objects move, and no search comes near HubSpot's
// end after 10,000 results.
type stream struct {
	From    int64            `json:"t"`           // ms; everything from here on
	Tie     bool             `json:"e,omitempty"` // everything at From exactly, with ids above ID
	ID      string           `json:"i,omitempty"`
	Started int64            `json:"s,omitempty"` // HubSpot's clock when this poll began
	Seen    map[string]int64 `json:"n,omitempty"` // stamps of what the overlap will show again
}

// maxSeen bounds the cursor; what does not fit is merely read again.
const maxSeen = 1000

func parsePosition(t table, cursor string) (position, error) {
	p := position{Polls: map[string]*stream{}, First: cursor == ""}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &p); err != nil {
			return p, domain.Errorf(domain.Invalid, "the stored HubSpot cursor cannot be read; start the pull from the beginning: %w", err)
		}
	}
	if p.Object == "" {
		p.Object = t.objects[0]
	}
	for _, typ := range t.streams() {
		if p.Polls[typ] == nil {
			p.Polls[typ] = &stream{}
		}
	}
	if p.Polls[p.Object] == nil {
		return p, domain.Errorf(domain.Invalid, "the stored HubSpot cursor is not one of %s; start the pull from the beginning", t.kind)
	}
	return p, nil
}

func (p position) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("hubspot: a cursor does not marshal: " + err.Error())
	}
	return string(b)
}

// Changes polls the kind's objects by their modification stamps: companies, then contacts; deals, then line items, which do
// not move their deal's stamp. Association and removal of a line item move no stamp at all: webhooks and sweeps see them.
func (a *Adapter) Changes(ctx context.Context, kind domain.Kind, cursor string) (_ adapters.Page, err error) {
	defer domain.Wrap(&err, "hubspot.Changes")
	t, err := tableOf(kind)
	if err != nil {
		return adapters.Page{}, err
	}
	p, err := parsePosition(t, cursor)
	if err != nil {
		return adapters.Page{}, err
	}
	typ := p.Object
	found, done, err := a.step(ctx, typ, p.Polls[typ])
	if err != nil {
		return adapters.Page{}, err
	}
	var page adapters.Page
	switch typ {
	case contacts:
		if p.First {
			found, err = a.notListed(ctx, found, p.Polls[companies].From)
		}
		if err == nil {
			page.Records, err = a.customers(ctx, found, nil, false)
		}
	case t.parts:
		page.Records, err = a.records(ctx, t, nil, idsOf(found.objects))
		for i := range page.Records {
			page.Records[i].AnswersFor = nil // nobody asked for the lines
		}
	default:
		page.Records, err = a.complete(ctx, found)
	}
	if err != nil {
		return adapters.Page{}, err
	}
	page.More = true
	if next := slices.Index(t.streams(), typ) + 1; done && next < len(t.streams()) {
		p.Object = t.streams()[next]
		if p.First && p.Object == t.parts { // the backfill of the documents has read their lines
			p.Polls[p.Object].From = p.Polls[typ].From
		}
	} else if done {
		p.Object, p.First, page.More = t.objects[0], false, false
	}
	page.Cursor = p.String()
	return page, nil
}

// notListed leaves out the contacts of companies that did not change since a time in ms: the backfill of the companies
// read them after it.
func (a *Adapter) notListed(ctx context.Context, b batchOf, since int64) (batchOf, error) {
	var old, rest batchOf
	for _, o := range b.objects {
		if at, ok := moment(o.Properties[modifiedKey(contacts)]); ok && at.UnixMilli() < since {
			old.objects = append(old.objects, o)
		} else {
			rest.objects = append(rest.objects, o)
		}
	}
	old, err := a.alone(ctx, old)
	b.objects = append(old.objects, rest.objects...)
	return b, err
}

// step runs one search, moves the stream on and returns what it has not seen before.
func (a *Adapter) step(ctx context.Context, typ string, st *stream) (batchOf, bool, error) {
	stamp := modifiedKey(typ)
	from := strconv.FormatInt(st.From, 10)
	filters := []map[string]any{{"propertyName": stamp, "operator": "GTE", "value": from}}
	sort := stamp
	if st.Tie {
		sort = "hs_object_id"
		filters = []map[string]any{{"propertyName": stamp, "operator": "EQ", "value": from}}
		if st.ID != "" {
			filters = append(filters, map[string]any{"propertyName": sort, "operator": "GT", "value": st.ID})
		}
	}
	found, date, err := a.search(ctx, typ, []map[string]any{{"filters": filters}}, sort)
	if err != nil {
		return batchOf{}, false, err
	}
	if st.Started == 0 {
		st.Started = date.UnixMilli()
	}
	if st.Seen == nil {
		st.Seen = map[string]int64{}
	}
	fresh := batchOf{sent: found.sent}
	last := st.From
	for _, o := range found.objects {
		at, _ := moment(o.Properties[stamp]) // zero only if HubSpot leaves its own stamp out: then it is always fresh
		last = max(last, at.UnixMilli())
		if ms, seen := st.Seen[o.ID]; !seen || ms != at.UnixMilli() {
			fresh.objects = append(fresh.objects, o)
			st.Seen[o.ID] = at.UnixMilli()
		}
	}
	full := len(found.objects) == a.page
	done := false
	switch {
	case st.Tie && full:
		st.ID = found.objects[len(found.objects)-1].ID
	case st.Tie:
		st.Tie, st.ID, st.From = false, "", st.From+1
	case full && last > st.From:
		st.From = last
	case full:
		st.Tie, st.ID = true, ""
	default:
		done = true
		st.From, st.Started = max(0, st.Started-overlap.Milliseconds()), 0
	}
	st.forget(last)
	return fresh, done, nil
}

// forget drops what no later search will show again, and the oldest if there are too many.
func (st *stream) forget(last int64) {
	stamps := make([]int64, 0, len(st.Seen))
	for id, ms := range st.Seen {
		if ms < min(st.From, last-overlap.Milliseconds()) {
			delete(st.Seen, id)
		} else {
			stamps = append(stamps, ms)
		}
	}
	if len(stamps) <= maxSeen {
		return
	}
	slices.Sort(stamps)
	for id, ms := range st.Seen {
		if ms <= stamps[len(stamps)-maxSeen-1] {
			delete(st.Seen, id)
		}
	}
}

// search runs one search of one full page and returns HubSpot's own time too.
func (a *Adapter) search(ctx context.Context, typ string, groups []map[string]any, sort string) (batchOf, time.Time, error) {
	properties, err := a.readProperties(ctx, typ)
	if err != nil {
		return batchOf{}, time.Time{}, err
	}
	in := map[string]any{"filterGroups": groups, "properties": properties, "limit": a.page,
		"sorts": []map[string]string{{"propertyName": sort, "direction": "ASCENDING"}}}
	b, err := json.Marshal(in)
	if err != nil {
		return batchOf{}, time.Time{}, err
	}
	var out struct{ Results []object }
	resp, err := a.call(ctx, adapters.Call{Method: http.MethodPost, Path: "/crm/v3/objects/" + typ + "/search", Limits: []string{"search"}}, json.RawMessage(b), &out)
	if err != nil {
		return batchOf{}, time.Time{}, err
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		date = resp.SentAt
	}
	return batchOf{objects: typed(typ, out.Results), sent: resp.SentAt}, date, nil
}

// List lists the kind's live objects (of contacts those without a company), then the archived ones (Deleted). HubSpot pages
// by id, so pages do not shift under writes and the last one is complete.
func (a *Adapter) List(ctx context.Context, kind domain.Kind, cursor string) (_ adapters.Page, err error) {
	defer domain.Wrap(&err, "hubspot.List")
	t, err := tableOf(kind)
	if err != nil {
		return adapters.Page{}, err
	}
	p, err := parsePosition(t, cursor)
	if err != nil {
		return adapters.Page{}, err
	}
	p.Polls, p.First = nil, false
	properties, err := a.readProperties(ctx, p.Object)
	if err != nil {
		return adapters.Page{}, err
	}
	q := url.Values{"limit": {strconv.Itoa(min(a.page, maxBatch))}, "properties": {strings.Join(properties, ",")}}
	if p.After != "" {
		q.Set("after", p.After)
	}
	if p.Archived {
		q.Set("archived", "true")
	}
	var out struct {
		Results []object
		Paging  struct{ Next struct{ After string } }
	}
	resp, err := a.read(ctx, http.MethodGet, objectsPath+p.Object+"?"+q.Encode(), nil, &out)
	if err != nil {
		return adapters.Page{}, err
	}
	found := batchOf{objects: typed(p.Object, out.Results), sent: resp.SentAt}
	var page adapters.Page
	if p.Object == contacts && !p.Archived {
		found, err = a.alone(ctx, found)
	}
	if err == nil {
		page.Records, err = a.complete(ctx, found)
	}
	if err != nil {
		return adapters.Page{}, err
	}
	p.After = out.Paging.Next.After
	page.More = true
	next := slices.Index(t.objects, p.Object) + 1
	switch {
	case p.After != "":
	case next < len(t.objects):
		p.Object = t.objects[next]
	case !p.Archived:
		p.Object, p.Archived = t.objects[0], true
	default:
		page.More, page.Complete, p = false, true, position{}
	}
	if page.More {
		page.Cursor = p.String()
	}
	return page, nil
}

// alone keeps the contacts that are customers of their own.
func (a *Adapter) alone(ctx context.Context, b batchOf) (batchOf, error) {
	of, err := a.linked(ctx, contacts, companies, idsOf(b.objects))
	if err != nil {
		return b, err
	}
	b.objects = slices.DeleteFunc(b.objects, func(o object) bool { return len(of[o.ID]) > 0 || o.Properties[formerCompany] != "" })
	return b, nil
}

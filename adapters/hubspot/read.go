package hubspot

import (
	"cmp"
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

// Fetch reads one company or contact. A contact of a company yields the company's record.
func (a *Adapter) Fetch(ctx context.Context, kind domain.Kind, external string) (_ domain.Record, err error) {
	defer domain.Wrap(&err, "hubspot.Fetch")
	found, err := a.fetch(ctx, kind, []string{external})
	if err != nil {
		return domain.Record{}, err
	}
	if len(found) == 0 {
		return domain.Record{}, &domain.Error{Code: domain.NotFound, System: a.s.System, Message: external + " does not exist in HubSpot, or is archived there"}
	}
	return found[0], nil
}

// FetchMany reads many; two contacts of one company yield one record.
func (a *Adapter) FetchMany(ctx context.Context, kind domain.Kind, externals []string) (_ []domain.Record, err error) {
	defer domain.Wrap(&err, "hubspot.FetchMany")
	return a.fetch(ctx, kind, externals)
}

func (a *Adapter) fetch(ctx context.Context, kind domain.Kind, externals []string) ([]domain.Record, error) {
	if err := carried(kind); err != nil {
		return nil, err
	}
	ids := map[string][]string{}
	for _, x := range externals {
		typ, id, err := splitID(x)
		if err != nil {
			return nil, err
		}
		ids[typ] = append(ids[typ], id)
	}
	people, err := a.objects(ctx, contacts, "", ids[contacts])
	if err != nil {
		return nil, err
	}
	return a.customers(ctx, people, ids[companies], true)
}

// customers turns contacts into records: their companies' where they have any (the primary one's only, if so asked),
// their own where they have none. The companies with the ids given are added. Nothing comes twice.
func (a *Adapter) customers(ctx context.Context, people batchOf, companyIDs []string, primary bool) ([]domain.Record, error) {
	of, err := a.linked(ctx, contacts, companies, idsOf(people.objects))
	if err != nil {
		return nil, err
	}
	alone := batchOf{sent: people.sent}
	answers := map[string][]string{}
	for _, p := range people.objects {
		switch {
		case len(of[p.ID]) > 0:
			leads := of[p.ID]
			if primary {
				leads = leads[:1]
			}
			companyIDs = append(companyIDs, leads...)
			answers[externalID(companies, leads[0])] = append(answers[externalID(companies, leads[0])], externalID(contacts, p.ID))
		case p.Properties[formerCompany] == "":
			alone.objects = append(alone.objects, p)
		}
	}
	slices.SortFunc(companyIDs, byNumber)
	firms, err := a.objects(ctx, companies, "", slices.Compact(companyIDs))
	if err != nil {
		return nil, err
	}
	records, err := a.complete(ctx, firms)
	if err != nil {
		return nil, err
	}
	for i := range records {
		records[i].AnswersFor = answers[records[i].ExternalID]
	}
	more, err := a.complete(ctx, alone)
	return append(records, more...), err
}

// batchOf are objects of one type, read by requests of which the first was sent at a time.
type batchOf struct {
	objects []object
	sent    time.Time
}

func idsOf(list []object) []string {
	ids := make([]string, len(list))
	for i, o := range list {
		ids[i] = o.ID
	}
	return ids
}

func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// objects reads by id, or by the value of a unique property. What is gone or archived is missing from the answer.
func (a *Adapter) objects(ctx context.Context, typ, idProperty string, ids []string) (batchOf, error) {
	return a.objectsWith(ctx, typ, idProperty, ids, nil)
}

// objectsWith reads the properties given, or for nil all that are carried.
func (a *Adapter) objectsWith(ctx context.Context, typ, idProperty string, ids, properties []string) (batchOf, error) {
	var all batchOf
	if len(ids) == 0 {
		return all, nil
	}
	if properties == nil {
		var err error
		if properties, err = a.readProperties(ctx, typ); err != nil {
			return all, err
		}
	}
	slices.Sort(ids)
	for _, chunk := range chunks(slices.Compact(ids), maxBatch) {
		in := map[string]any{"properties": properties, "propertiesWithHistory": []string{}}
		if idProperty != "" {
			in["idProperty"] = idProperty
		}
		inputs := make([]map[string]string, len(chunk))
		for i, id := range chunk {
			inputs[i] = map[string]string{"id": id}
		}
		in["inputs"] = inputs
		var out struct{ Results []object }
		resp, err := a.read(ctx, http.MethodPost, objectsPath+typ+"/batch/read", in, &out)
		if err != nil {
			return all, err
		}
		all.sent = earlier(all.sent, resp.SentAt)
		all.objects = append(all.objects, typed(typ, out.Results)...)
	}
	return all, nil
}

func typed(typ string, list []object) []object {
	for i := range list {
		list[i].Type = typ
	}
	return list
}

// complete adds to companies their contacts, and to all the owner's e-mail, and maps them.
func (a *Adapter) complete(ctx context.Context, b batchOf) ([]domain.Record, error) {
	list, err := a.hydrate(ctx, b.objects)
	if err != nil {
		return nil, err
	}
	records := make([]domain.Record, len(list))
	for i, o := range list {
		records[i] = a.record(o)
		records[i].FetchedAt = b.sent
	}
	return records, nil
}

func (a *Adapter) hydrate(ctx context.Context, list []object) ([]object, error) {
	var firms []string
	owned := false
	for _, o := range list {
		if o.Type == companies && !o.Archived {
			firms = append(firms, o.ID)
		}
		owned = owned || o.Properties["hubspot_owner_id"] != ""
	}
	links, err := a.linked(ctx, companies, contacts, firms)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, l := range links {
		ids = append(ids, l...)
	}
	people, err := a.objectsWith(ctx, contacts, "", ids, personKeys)
	if err != nil {
		return nil, err
	}
	byID := map[string]object{}
	for _, p := range people.objects {
		byID[p.ID] = p
	}
	var os owners
	if owned {
		if os, err = a.users(ctx, false); err != nil {
			return nil, err
		}
	}
	for i := range list {
		o := &list[i]
		o.Owner = os.email[o.Properties["hubspot_owner_id"]]
		o.Contacts = nil
		for _, id := range links[o.ID] {
			if p, ok := byID[id]; ok && o.Type == companies {
				o.Contacts = append(o.Contacts, p)
			}
		}
	}
	return list, nil
}

// ordered returns a company's contacts in the order that we stored, new ones after them by id.
func ordered(o object) []object {
	rank := map[string]int{}
	for i, id := range strings.Split(o.Properties[contactOrder], ";") {
		rank[id] = i - 1<<20
	}
	return slices.SortedStableFunc(slices.Values(o.Contacts), func(x, y object) int {
		return cmp.Or(cmp.Compare(rank[x.ID], rank[y.ID]), byNumber(x.ID, y.ID))
	})
}

// linked reads associations: for each id the ids on the other side, the primary company first.
func (a *Adapter) linked(ctx context.Context, from, to string, ids []string) (map[string][]string, error) {
	type input struct {
		ID    string `json:"id"`
		After string `json:"after,omitempty"`
	}
	links := map[string][]string{}
	var todo []input
	for _, id := range ids {
		todo = append(todo, input{ID: id})
	}
	for len(todo) > 0 {
		n := min(len(todo), maxLinkReads)
		var out struct {
			Results []struct {
				From struct{ ID json.Number }
				To   []struct {
					ToObjectID       json.Number // text in newer versions, a number in older ones; both decode
					AssociationTypes []struct{ Label string }
				}
				Paging struct{ Next struct{ After string } }
			}
		}
		if _, err := a.read(ctx, http.MethodPost, linksPath+from+"/"+to+"/batch/read", map[string]any{"inputs": todo[:n]}, &out); err != nil {
			return nil, err
		}
		todo = todo[n:]
		for _, r := range out.Results {
			id := r.From.ID.String()
			for _, t := range r.To {
				at := len(links[id])
				for _, k := range t.AssociationTypes {
					if k.Label == "Primary" {
						at = 0
					}
				}
				links[id] = slices.Insert(links[id], at, t.ToObjectID.String())
			}
			if r.Paging.Next.After != "" {
				todo = append(todo, input{ID: id, After: r.Paging.Next.After})
			}
		}
	}
	return links, nil
}

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

func parsePosition(cursor string) (position, error) {
	p := position{Polls: map[string]*stream{}, First: cursor == ""}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &p); err != nil {
			return p, domain.Errorf(domain.Invalid, "the stored HubSpot cursor cannot be read; start the pull from the beginning: %w", err)
		}
	}
	if p.Object == "" {
		p.Object = companies
	}
	for _, typ := range []string{companies, contacts} {
		if p.Polls[typ] == nil {
			p.Polls[typ] = &stream{}
		}
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

// Changes polls companies, then contacts, by their modification stamps.
func (a *Adapter) Changes(ctx context.Context, kind domain.Kind, cursor string) (_ adapters.Page, err error) {
	defer domain.Wrap(&err, "hubspot.Changes")
	if err := carried(kind); err != nil {
		return adapters.Page{}, err
	}
	p, err := parsePosition(cursor)
	if err != nil {
		return adapters.Page{}, err
	}
	typ := p.Object
	found, done, err := a.step(ctx, typ, p.Polls[typ])
	if err != nil {
		return adapters.Page{}, err
	}
	var page adapters.Page
	if typ == companies {
		page.Records, err = a.complete(ctx, found)
	} else {
		if p.First {
			found, err = a.notListed(ctx, found, p.Polls[companies].From)
		}
		if err == nil {
			page.Records, err = a.customers(ctx, found, nil, false)
		}
	}
	if err != nil {
		return adapters.Page{}, err
	}
	page.More = true
	if done && typ == companies {
		p.Object = contacts
	} else if done {
		p.Object, p.First, page.More = companies, false, false
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

// List lists live companies, live contacts without a company, then the archived of both (Deleted). HubSpot pages by id,
// so pages do not shift under writes and the last one is complete.
func (a *Adapter) List(ctx context.Context, kind domain.Kind, cursor string) (_ adapters.Page, err error) {
	defer domain.Wrap(&err, "hubspot.List")
	if err := carried(kind); err != nil {
		return adapters.Page{}, err
	}
	p, err := parsePosition(cursor)
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
	switch {
	case p.After != "":
	case p.Object == companies:
		p.Object = contacts
	case !p.Archived:
		p.Object, p.Archived = companies, true
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

// modifiedKey is the property that carries the time of the last change. Contacts have their own.
func modifiedKey(typ string) string {
	if typ == contacts {
		return "lastmodifieddate"
	}
	return "hs_lastmodifieddate"
}

// moment reads a property's time: ISO 8601, or epoch milliseconds.
func moment(v string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), true
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	return t.UTC(), err == nil
}

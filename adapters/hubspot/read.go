package hubspot

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/domain"
)

// Fetch reads one record. A contact of a company yields the company's record, a line item its deal's or order's.
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
	t, err := tableOf(kind)
	if err != nil {
		return nil, err
	}
	ids := map[string][]string{}
	for _, x := range externals {
		typ, id, err := t.splitID(x)
		if err != nil {
			return nil, err
		}
		ids[typ] = append(ids[typ], id)
	}
	if kind != domain.KindCustomer {
		return a.records(ctx, t, ids[t.objects[0]], ids[lineItems])
	}
	people, err := a.objects(ctx, contacts, "", ids[contacts])
	if err != nil {
		return nil, err
	}
	return a.customers(ctx, people, ids[companies], true)
}

// records reads the objects with the ids given and those that the line items belong to. Nothing comes twice.
func (a *Adapter) records(ctx context.Context, t table, ids, items []string) ([]domain.Record, error) {
	typ := t.objects[0]
	of, err := a.linked(ctx, lineItems, typ, items)
	if err != nil {
		return nil, err
	}
	answers := map[string][]string{}
	for _, line := range items {
		for _, id := range of[line] {
			ids = append(ids, id)
			answers[id] = append(answers[id], externalID(lineItems, line))
		}
	}
	found, err := a.objects(ctx, typ, "", ids)
	if err != nil {
		return nil, err
	}
	records, err := a.complete(ctx, found)
	for i, o := range found.objects {
		if err == nil {
			records[i].AnswersFor = answers[o.ID]
		}
	}
	return records, err
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

// complete adds to companies their contacts, to documents their customers and lines, to all the owner's e-mail, and maps them.
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
	return list, a.hydrateDocuments(ctx, list)
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

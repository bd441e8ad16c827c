package hubspot

import (
	"context"
	"slices"

	"datum/domain"
)

// hydrateDocuments adds to deals, orders and invoices their customer and their lines, and says what their stages mean.
func (a *Adapter) hydrateDocuments(ctx context.Context, list []object) error {
	byType := map[string][]*object{}
	for i := range list {
		if o := &list[i]; isDocument(o.Type) && !o.Archived {
			byType[o.Type] = append(byType[o.Type], o)
		}
	}
	for typ, docs := range byType {
		if err := a.customersOf(ctx, typ, docs); err != nil {
			return err
		}
		if !hasLines(typ) {
			continue
		}
		links, err := a.linked(ctx, typ, lineItems, idsOfAll(docs))
		if err != nil {
			return err
		}
		var ids []string
		for _, l := range links {
			ids = append(ids, l...)
		}
		items, err := a.objects(ctx, lineItems, "", ids)
		if err == nil {
			err = a.taxed(ctx, items.objects)
		}
		if err != nil {
			return err
		}
		byID := map[string]object{}
		for _, l := range items.objects {
			byID[l.ID] = l
		}
		for _, o := range docs {
			o.Lines = nil
			for _, id := range links[o.ID] {
				if l, ok := byID[id]; ok {
					o.Lines = append(o.Lines, l)
				}
			}
			o.Lines = orderedLines(*o)
		}
	}
	return a.classifyDeals(ctx, list)
}

func idsOfAll(list []*object) []string {
	ids := make([]string, len(list))
	for i, o := range list {
		ids[i] = o.ID
	}
	return ids
}

// customersOf finds the customers of documents: the primary company or else the first, without a company the contact that
// Datum wrote or else the first, and the company of that contact if it has one.
func (a *Adapter) customersOf(ctx context.Context, typ string, docs []*object) error {
	ids := idsOfAll(docs)
	firms, err := a.linked(ctx, typ, companies, ids)
	if err != nil {
		return err
	}
	people, err := a.linked(ctx, typ, contacts, ids)
	if err != nil {
		return err
	}
	chosen := map[string]string{}
	var asked []string
	for _, o := range docs {
		o.Links, o.Customer = map[string][]string{}, ""
		if linked := people[o.ID]; len(linked) > 0 {
			o.Links[contacts] = linked
			if mine := o.Properties[customerContact]; slices.Contains(linked, mine) {
				linked = []string{mine}
			}
			if len(firms[o.ID]) == 0 {
				chosen[o.ID], asked = linked[0], append(asked, linked[0])
			}
		}
		if linked := firms[o.ID]; len(linked) > 0 {
			o.Links[companies], o.Customer = linked, externalID(companies, linked[0])
		}
	}
	of, err := a.linked(ctx, contacts, companies, slices.Compact(slices.Sorted(slices.Values(asked))))
	if err != nil {
		return err
	}
	for _, o := range docs {
		switch id := chosen[o.ID]; {
		case id == "":
		case len(of[id]) > 0:
			o.Customer = externalID(companies, of[id][0])
		default:
			o.Customer = externalID(contacts, id)
		}
	}
	return nil
}

// pair is an association to be made.
type pair struct {
	From  ref        `json:"from"`
	To    ref        `json:"to"`
	Types []linkType `json:"types,omitempty"`
}

type linkType struct {
	Category string `json:"associationCategory"`
	ID       int    `json:"associationTypeId"`
}

type ref struct {
	ID string `json:"id"`
}

// dealPrimary is HubSpot's number for the association of a deal with its primary company.
const dealPrimary = 5

// associate makes associations of the ordinary kind, and those of deals with companies as the primary one; jobs are their
// owners, one for each.
func (a *Adapter) associate(ctx context.Context, from, to string, pairs []pair, jobs []*job, field domain.Field) {
	verb := "associate/default"
	if from == deals && to == companies {
		verb = "create"
		for i := range pairs {
			pairs[i].Types = []linkType{{"HUBSPOT_DEFINED", dealPrimary}}
		}
	}
	for n, part := range chunks(pairs, maxLinkWrites) {
		var out struct{ Errors []vendorError }
		resp, err := a.write(ctx, linksPath+from+"/"+to+"/batch/"+verb, map[string]any{"inputs": part}, &out)
		for i, p := range part {
			j := jobs[n*maxLinkWrites+i]
			j.fail(err, field)
			if err == nil {
				j.at(resp.SentAt)
			}
			for _, v := range out.Errors {
				if at := v.Context["fromObjectId"]; len(at) == 0 || slices.Contains(at, p.From.ID) {
					j.fail(a.classify(from, v, 0), field)
				}
			}
		}
	}
}

// separation is associations to be removed.
type separation struct {
	From ref   `json:"from"`
	To   []ref `json:"to"`
}

func (a *Adapter) separate(ctx context.Context, from, to string, list []separation, jobs []*job, field domain.Field) {
	for n, part := range chunks(list, maxLinkReads) {
		resp, err := a.write(ctx, linksPath+from+"/"+to+"/batch/archive", map[string]any{"inputs": part}, nil)
		for i := range part {
			j := jobs[n*maxLinkReads+i]
			j.fail(err, field)
			if err == nil {
				j.at(resp.SentAt)
			}
		}
	}
}

// writeCustomers associates documents with their customers, and then removes the association with the former one. Further
// companies of a deal stay unless they would outrank a contact, and further contacts stay while there is a customer: they are
// the salesperson's.
func (a *Adapter) writeCustomers(ctx context.Context, typ string, jobs []*job) {
	pairs, pairJobs := map[string][]pair{}, map[string][]*job{}
	away, awayJobs := map[string][]separation{}, map[string][]*job{}
	links := map[*job]map[string][]string{}
	customers, _ := tableOf(domain.KindCustomer)
	for _, j := range jobs {
		to, id, _ := customers.splitID(j.customer) // both are "" if the document is to have no customer
		have := j.after.Links
		first := func(typ string) bool { return len(have[typ]) > 0 && have[typ][0] == id }
		if to != "" && !first(to) && (to == companies && typ == deals || !slices.Contains(have[to], id)) {
			pairs[to], pairJobs[to] = append(pairs[to], pair{From: ref{j.after.ID}, To: ref{id}}), append(pairJobs[to], j)
		}
		drop := map[string][]string{}
		switch {
		case to == "":
			drop = have
		case to == companies && typ == deals:
			drop[companies] = others(have[companies][:min(1, len(have[companies]))], id)
		case to == companies:
			drop[companies] = others(have[companies], id)
		default:
			drop[companies] = have[companies]
		}
		if typ, former, _ := customers.splitID(j.after.Customer); to != "" && typ == contacts {
			drop[contacts] = slices.DeleteFunc([]string{former}, func(x string) bool { return typ == to && x == id })
		}
		keep := map[string][]string{}
		for _, other := range []string{companies, contacts} {
			left := slices.DeleteFunc(others(have[other], id), func(x string) bool { return slices.Contains(drop[other], x) })
			if other == to {
				left = append([]string{id}, left...)
			}
			if len(left) > 0 {
				keep[other] = left
			}
		}
		for other, ids := range drop {
			if len(ids) == 0 {
				continue
			}
			s := separation{From: ref{j.after.ID}}
			for _, x := range ids {
				s.To = append(s.To, ref{x})
			}
			away[other], awayJobs[other] = append(away[other], s), append(awayJobs[other], j)
		}
		links[j] = keep
	}
	for _, to := range []string{companies, contacts} {
		a.associate(ctx, typ, to, pairs[to], pairJobs[to], "customer")
	}
	for _, to := range []string{companies, contacts} {
		a.separate(ctx, typ, to, away[to], awayJobs[to], "customer")
	}
	for _, j := range jobs {
		if j.err == nil {
			j.after.Links, j.after.Customer = links[j], j.customer
		}
	}
}

func others(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(x string) bool { return x == id })
}

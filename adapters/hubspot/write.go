package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// job is one write on its way.
type job struct {
	w        adapters.Write
	typ      string
	base     object            // the object before; without an ID on create
	set      map[string]string // properties to write
	owner    string            // the e-mail behind hubspot_owner_id in set
	people   []domain.Contact  // the company's contacts, if writePeople
	lines    []domain.Line     // the document's lines, if writeLines
	customer string            // the document's customer, if writeCustomer
	class    string            // what the deal's stage in set means
	after    object            // the object after what was written so far
	sent     time.Time         // when the last request was sent; zero if none was
	created  bool
	err      error

	writePeople, writeLines, writeCustomer bool
}

func (j *job) fail(err error, field domain.Field) {
	if j.err != nil || err == nil {
		return
	}
	e := *domain.AsError(about(err, j.typ, j.base.ID))
	if e.Field == "" || field != "" {
		e.Field = field
	}
	j.err = &e
}

// Write creates by upsert on datum_id and updates by id, up to 100 in a call, and then brings the contacts of companies
// about: at most one call each to look up, update, create, link and unlink them, and one for their order where ids do
// not give it; likewise the customers and the lines of documents. Every call may be repeated. An outcome may carry both a
// record and an error: the company was written and its contacts were not.
func (a *Adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	jobs := make([]*job, len(writes))
	for i, w := range writes {
		jobs[i] = &job{w: w}
	}
	a.bases(ctx, jobs)
	for _, j := range jobs {
		a.prepare(ctx, j)
	}
	for _, t := range tables {
		for _, typ := range t.objects {
			of := func(fits func(*job) bool) []*job {
				return healthy(jobs, func(j *job) bool { return j.typ == typ && fits(j) })
			}
			a.writeProperties(ctx, typ, of(func(*job) bool { return true }))
			a.writeContacts(ctx, of(func(j *job) bool { return j.writePeople }))
			a.writeCustomers(ctx, typ, of(func(j *job) bool { return j.writeCustomer }))
			a.writeLines(ctx, of(func(j *job) bool { return j.writeLines }))
		}
	}

	out := make([]adapters.Outcome, len(jobs))
	for i, j := range jobs {
		out[i] = adapters.Outcome{Created: j.created, Err: j.err}
		if j.err != nil {
			domain.Wrap(&out[i].Err, "hubspot.Write")
		}
		if j.after.ID == "" {
			continue
		}
		out[i].Record = a.record(j.after)
		out[i].Record.FetchedAt = j.sent
		if j.sent.IsZero() && j.w.Base != nil {
			out[i].Record.FetchedAt = j.w.Base.FetchedAt
		}
	}
	return out
}

// healthy returns the jobs that are still well and fit.
func healthy(jobs []*job, fits func(*job) bool) []*job {
	var some []*job
	for _, j := range jobs {
		if j.err == nil && fits(j) {
			some = append(some, j)
		}
	}
	return some
}

// bases finds what each write starts from; an object that the caller has not seen is read.
func (a *Adapter) bases(ctx context.Context, jobs []*job) {
	unseen := map[string][]string{}
	for _, j := range jobs {
		var t table
		if t, j.err = tableOf(j.w.Kind); j.err != nil || j.w.ExternalID == "" {
			continue
		}
		j.typ, j.base.ID, j.err = t.splitID(j.w.ExternalID)
		if j.err == nil && j.typ == t.parts {
			j.err = domain.Errorf(domain.Invalid, "%s is a part of a record; write the record", j.w.ExternalID)
		}
		if j.err != nil {
			continue
		}
		if j.w.Base == nil {
			unseen[j.typ] = append(unseen[j.typ], j.base.ID)
			continue
		}
		if err := json.Unmarshal(j.w.Base.Raw, &j.base); err != nil {
			j.fail(domain.Errorf(domain.Internal, "the stored HubSpot object cannot be read: %w", err), "")
		}
		j.after = j.base
	}
	for typ, ids := range unseen {
		mine := healthy(jobs, func(j *job) bool { return j.typ == typ && j.w.Base == nil && j.w.ExternalID != "" })
		a.reread(ctx, typ, ids, mine)
	}
}

// reread makes the objects of the jobs, by the ids given, their base.
func (a *Adapter) reread(ctx context.Context, typ string, ids []string, jobs []*job) {
	b, err := a.objects(ctx, typ, "", ids)
	if err == nil {
		b.objects, err = a.hydrate(ctx, b.objects)
	}
	byID := map[string]object{}
	for _, o := range b.objects {
		byID[o.ID] = o
		for old := range strings.SplitSeq(o.Properties["hs_merged_object_ids"], ";") {
			byID[old] = o
		}
	}
	for _, j := range jobs {
		if o, ok := byID[j.base.ID]; ok {
			j.base, j.after = o, o
		} else if err != nil {
			j.fail(err, "")
		} else {
			j.fail(&domain.Error{Code: domain.NotFound, System: a.s.System, Message: "the record does not exist in HubSpot, or is archived there"}, "")
		}
	}
}

// prepare turns values into properties, and what is no property into the further steps of the write.
func (a *Adapter) prepare(ctx context.Context, j *job) {
	if j.err != nil {
		return
	}
	values := j.w.Values.Clone()
	if j.err = a.chooseType(j, values); j.err != nil {
		return
	}
	o := adapters.Object{keyObject: j.typ}
	m := a.mappings[j.w.Kind]
	if j.base.ID != "" {
		m.Carry(o, a.flat(j.base))
	}
	if err := m.Write(o, values); err != nil {
		j.err = about(err, j.typ, j.base.ID)
		return
	}
	if owner, ok := o[keyOwner]; ok {
		if j.err = a.setOwner(ctx, j, o, owner.(string)); j.err != nil {
			return
		}
	}
	if people, ok := o[keyContacts].([]domain.Contact); ok || o[keyContacts] != nil {
		j.people, j.writePeople = people, true
	}
	if lines, ok := o[keyLines].([]domain.Line); ok {
		j.lines, j.writeLines = lines, true
	}
	if customer, ok := o[keyCustomer].(string); ok {
		j.customer, j.writeCustomer = customer, true
		o[customerContact] = ""
		if typ, id, _ := strings.Cut(customer, "/"); typ == contacts {
			o[customerContact] = id
		}
	}
	stage, ok := o[keyClass].(string)
	if !ok && j.typ == deals && j.base.ID == "" {
		stage, ok = classDraft, true
	}
	if ok {
		if j.err = a.setStage(ctx, j, o, stage); j.err != nil {
			return
		}
	}
	if currency := currencyKey[j.typ]; j.typ == invoices && j.base.ID == "" && o[currency] == nil {
		o[currency] = a.currency
	}
	if j.err = a.oneCurrency(j, o); j.err != nil {
		return
	}
	j.set = map[string]string{}
	for k, v := range o {
		if slices.Contains(notProperties, k) {
			continue
		}
		switch adapters.Form(v) { // HubSpot's properties are all text
		case "":
			j.set[k] = ""
		case "text", "number", "yes/no":
			j.set[k] = fmt.Sprint(v)
		}
	}
	if j.base.ID != "" && j.w.CanonicalID != "" && j.base.Properties[idProperty] != j.w.CanonicalID {
		j.set[idProperty] = j.w.CanonicalID
	}
}

// chooseType says which object a new record becomes, and refuses to make one object into another.
func (a *Adapter) chooseType(j *job, values domain.Values) error {
	t, err := tableOf(j.w.Kind)
	if err != nil {
		return err
	}
	typ := t.objects[0]
	if j.w.Kind == domain.KindCustomer {
		kind := values["kind"].Text()
		delete(values, "kind")
		if kind == "" {
			kind = j.w.Golden["kind"].Text()
		} else if is := map[string]string{companies: "BUSINESS", contacts: "PERSON"}[j.typ]; is != "" && kind != is {
			return &domain.Error{Code: domain.Unsupported, System: a.s.System, Field: "kind",
				Message: "HubSpot cannot turn a company into a contact or a contact into a company; create the other one there and merge (" + j.w.ExternalID + ")"}
		}
		if kind == "PERSON" {
			typ = contacts
		}
	}
	if j.typ != "" {
		return nil
	}
	if j.w.CanonicalID == "" {
		return domain.Errorf(domain.Invalid, "a HubSpot record cannot be created without our id")
	}
	j.typ = typ
	return nil
}

// currencyKey is the property that holds a document's currency.
var currencyKey = map[string]string{deals: "deal_currency_code", orders: "hs_currency_code", invoices: "hs_currency"}

// oneCurrency refuses an amount in another currency than its document's: HubSpot has one for all amounts of an object.
func (a *Adapter) oneCurrency(j *job, o adapters.Object) error {
	noted, _ := o[keyMoney].(map[domain.Field]string)
	key := currencyKey[j.typ]
	is := adapters.String(o, key)
	if key != "" && is == "" {
		is = j.base.Properties[key]
	}
	if is == "" {
		is = a.currency
	}
	for f, c := range noted {
		if c != is {
			return &domain.Error{Code: domain.Invalid, System: a.s.System, Field: f, Message: fmt.Sprintf("%s is in %s and HubSpot has the record in %s", f, c, is)}
		}
	}
	return nil
}

func (a *Adapter) setOwner(ctx context.Context, j *job, o adapters.Object, email string) error {
	o["hubspot_owner_id"], j.owner = "", email
	if email == "" {
		return nil
	}
	for _, anew := range []bool{false, true} {
		os, err := a.users(ctx, anew)
		if err != nil {
			return err
		}
		if id := os.id[strings.ToLower(email)]; id != "" {
			o["hubspot_owner_id"], j.owner = id, os.email[id]
			return nil
		}
	}
	return &domain.Error{Code: domain.Invalid, System: a.s.System, Field: "salesOwner",
		Message: fmt.Sprintf("HubSpot has no user with the e-mail %q; the sales owner must be the e-mail of a user there", email)}
}

// input is one object of a batch write.
type input struct {
	ID         string            `json:"id"`
	IDProperty string            `json:"idProperty,omitempty"`
	TraceID    string            `json:"objectWriteTraceId"`
	Properties map[string]string `json:"properties"`
}

type result struct {
	o    object
	sent time.Time
	err  error
}

// writeProperties writes the objects themselves.
func (a *Adapter) writeProperties(ctx context.Context, typ string, jobs []*job) {
	var back, update, create []*job
	for _, j := range jobs {
		switch stage := j.set["lifecyclestage"]; {
		case j.base.ID == "":
			create = append(create, j)
			continue
		case stage != "" && slices.Index(stageOrder, stage) < slices.Index(stageOrder, j.base.Properties["lifecyclestage"]):
			back = append(back, j)
		}
		if len(j.set) > 0 {
			update = append(update, j)
		}
	}
	byID := func(jobs []*job, properties func(*job) map[string]string) []input {
		list := make([]input, len(jobs))
		for i, j := range jobs {
			list[i] = input{ID: j.base.ID, Properties: properties(j)}
		}
		return list
	}
	if len(back) > 0 {
		clearStage := func(*job) map[string]string { return map[string]string{"lifecyclestage": ""} }
		for i, r := range a.batch(ctx, typ, "update", byID(back, clearStage)) {
			back[i].took(r)
		}
		update = healthy(update, func(*job) bool { return true })
	}
	for i, r := range a.batch(ctx, typ, "update", byID(update, func(j *job) map[string]string { return j.set })) {
		update[i].took(r)
	}

	inputs := make([]input, len(create))
	for i, j := range create {
		inputs[i] = input{ID: j.w.CanonicalID, IDProperty: idProperty, Properties: j.set}
	}
	var existed []*job
	var ids []string
	for i, r := range a.batch(ctx, typ, "upsert", inputs) {
		j := create[i]
		j.took(r)
		if j.created = r.err == nil && r.o.New; r.err == nil && !r.o.New {
			j.base.ID = r.o.ID
			existed, ids = append(existed, j), append(ids, r.o.ID)
		}
	}
	if len(existed) > 0 { // an earlier attempt had created it: what else it holds is not known
		a.reread(ctx, typ, ids, existed)
	}
}

// took takes what HubSpot answered to the write of the object itself.
func (j *job) took(r result) {
	if r.err != nil {
		j.fail(r.err, "")
		return
	}
	j.sent = r.sent
	properties := maps.Clone(j.after.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	maps.Copy(properties, r.o.Properties)
	j.after.Type, j.after.ID, j.after.Properties = j.typ, r.o.ID, properties
	j.after.CreatedAt, j.after.UpdatedAt = r.o.CreatedAt, r.o.UpdatedAt
	if _, ok := j.set["hubspot_owner_id"]; ok {
		j.after.Owner = j.owner
	}
	if j.class != "" {
		j.after.Class = j.class
	}
}

// batch writes inputs of one type, however many, and returns a result for each. No two inputs of one call share an id,
// as HubSpot demands.
func (a *Adapter) batch(ctx context.Context, typ, verb string, inputs []input) []result {
	results := make([]result, len(inputs))
	var todo []int
	for i := range inputs {
		inputs[i].TraceID = strconv.Itoa(i)
		todo = append(todo, i)
	}
	for len(todo) > 0 {
		var now, later []int
		used := map[string]bool{}
		for _, i := range todo {
			if len(now) == maxBatch || used[inputs[i].ID] {
				later = append(later, i)
				continue
			}
			used[inputs[i].ID] = true
			now = append(now, i)
		}
		a.send(ctx, typ, verb, inputs, now, results)
		todo = later
	}
	return results
}

// send writes the inputs with the indexes given in one call. When HubSpot refuses the whole for the sake of one, it is
// split in halves until the bad ones stand alone.
func (a *Adapter) send(ctx context.Context, typ, verb string, inputs []input, which []int, results []result) {
	list := make([]input, len(which))
	for n, i := range which {
		list[n] = inputs[i]
	}
	var out struct {
		Results []object
		Errors  []vendorError
	}
	resp, err := a.write(ctx, objectsPath+typ+"/batch/"+verb, map[string]any{"inputs": list}, &out)
	if err != nil {
		refused := resp != nil && resp.Status != http.StatusForbidden && resp.Status > 299
		if refused && len(which) > 1 {
			half := len(which) / 2
			a.send(ctx, typ, verb, inputs, which[:half], results)
			a.send(ctx, typ, verb, inputs, which[half:], results)
			return
		}
		for _, i := range which {
			results[i].err = err
		}
		return
	}
	open := map[int]bool{}
	for _, i := range which {
		open[i] = true
	}
	for n, o := range out.Results {
		i, ok := a.answered(inputs, open, o)
		if !ok && len(out.Results) == len(which) {
			i = which[n]
		} else if !ok {
			continue
		}
		delete(open, i)
		o.Type = typ
		results[i] = result{o: o, sent: resp.SentAt}
	}
	for _, v := range out.Errors {
		e := a.classify(typ, v, 0)
		for i := range open {
			if slices.Contains(v.Context["objectWriteTraceId"], inputs[i].TraceID) || slices.Contains(v.Context["ids"], inputs[i].ID) || slices.Contains(v.Context["id"], inputs[i].ID) {
				results[i].err = e
				delete(open, i)
			}
		}
	}
	for i := range open { // neither among the results nor named by an error
		if results[i].err = error(&domain.Error{Code: domain.Unavailable, System: a.s.System, Message: "HubSpot's answer does not say what became of the record"}); len(out.Errors) == 1 {
			results[i].err = a.classify(typ, out.Errors[0], 0)
		}
	}
}

// answered finds the input that a result belongs to; results come in any order.
func (a *Adapter) answered(inputs []input, open map[int]bool, o object) (int, bool) {
	for i := range open {
		in := inputs[i]
		if o.TraceID == in.TraceID && o.TraceID != "" || in.IDProperty == "" && o.ID == in.ID || in.IDProperty != "" && o.Properties[in.IDProperty] == in.ID {
			return i, true
		}
	}
	return 0, false
}

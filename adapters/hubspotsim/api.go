package hubspotsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// endpoint answers one request under the lock. A nil body with status 204 is no content.
type endpoint func(r *http.Request, typ string) (status int, body any, e *apiError)

// ServeVendor is HubSpot's API.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.Now().Format(http.TimeFormat))
	if s.opts.Latency > 0 {
		t := time.NewTimer(s.opts.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/authorize", s.authorize)
	for _, base := range []string{"/oauth/v1", "/oauth/v3", "/oauth/2026-03", "/oauth/2026-09"} {
		mux.HandleFunc("POST "+base+"/token", s.token)
		mux.HandleFunc("GET "+base+"/access-tokens/{token}", s.tokenInfo)
		mux.HandleFunc("GET "+base+"/refresh-tokens/{token}", s.refreshInfo)
		mux.HandleFunc("DELETE "+base+"/refresh-tokens/{token}", s.refreshInfo)
		mux.HandleFunc("POST "+base+"/token/revoke", s.revokeToken)
		mux.HandleFunc("POST "+base+"/token/introspect", s.introspect)
	}
	// on registers an endpoint under the old paths and under the dated ones.
	on := func(method, area, old, rest, scope string, e endpoint) {
		f := s.guard(scope, e)
		mux.HandleFunc(method+" /crm/"+old+"/"+area+rest, f)
		for _, dated := range []string{"2026-03", "2026-09"} {
			mux.HandleFunc(method+" /crm/"+area+"/"+dated+rest, f)
		}
	}
	object := func(method, rest, access string, e endpoint) {
		on(method, "objects", "v3", "/{type}"+rest, "crm.objects.*."+access, e)
	}
	object("GET", "", "read", s.list)
	object("POST", "", "write", s.createOne)
	object("GET", "/{id}", "read", s.get)
	object("PATCH", "/{id}", "write", s.patch)
	object("DELETE", "/{id}", "write", s.deleteOne)
	object("POST", "/search", "read", s.searchObjects)
	object("POST", "/merge", "write", s.mergeTwo)
	object("POST", "/gdpr-delete", "write", s.purge)
	object("POST", "/batch/read", "read", s.batchRead)
	object("POST", "/batch/create", "write", s.batchCreate)
	object("POST", "/batch/update", "write", s.batchUpdate)
	object("POST", "/batch/upsert", "write", s.batchUpsert)
	object("POST", "/batch/archive", "write", s.batchArchive)

	property := func(method, rest, access string, e endpoint) {
		on(method, "properties", "v3", "/{type}"+rest, "crm.schemas.*."+access, e)
	}
	property("GET", "", "read", s.listProperties)
	property("POST", "", "write", s.createProperty)
	property("POST", "/batch/create", "write", s.createProperties)
	property("POST", "/batch/read", "read", s.readProperties)
	property("POST", "/batch/archive", "write", s.archiveProperties)
	property("GET", "/{name}", "read", s.getProperty)
	property("PATCH", "/{name}", "write", s.patchProperty)
	property("DELETE", "/{name}", "write", s.deleteProperty)
	property("GET", "/groups", "read", s.listGroups)
	property("POST", "/groups", "write", s.createGroup)

	on("GET", "owners", "v3", "", "crm.objects.owners.read", s.listOwners)
	on("GET", "owners", "v3", "/{$}", "crm.objects.owners.read", s.listOwners)
	on("GET", "owners", "v3", "/{id}", "crm.objects.owners.read", s.getOwner)

	on("GET", "pipelines", "v3", "/{type}", "crm.objects.*.read", s.listPipelines)
	on("GET", "pipelines", "v3", "/{type}/{id}", "crm.objects.*.read", s.getPipeline)
	on("GET", "pipelines", "v3", "/{type}/{id}/stages", "crm.objects.*.read", s.listStages)
	mux.HandleFunc("GET /tax-rates/v1/tax-rates", s.guard("tax_rates.read", s.listTaxRates))

	pair := func(method, rest, access string, e endpoint) {
		on(method, "associations", "v4", "/{type}/{to}"+rest, "crm.objects.*."+access, e)
	}
	pair("POST", "/batch/read", "read", s.linksRead)
	pair("POST", "/batch/create", "write", s.linksCreate)
	pair("POST", "/batch/associate/default", "write", s.linksDefault)
	pair("POST", "/batch/archive", "write", s.linksArchive)
	pair("GET", "/labels", "read", s.linkLabels)
	read, write := "crm.objects.*.read", "crm.objects.*.write"
	mux.HandleFunc("GET /crm/v3/objects/{type}/{id}/associations/{to}", s.guard(read, s.linksOfOld))
	mux.HandleFunc("GET /crm/v4/objects/{type}/{id}/associations/{to}", s.guard(read, s.linksOf))
	mux.HandleFunc("PUT /crm/v4/objects/{type}/{id}/associations/{to}/{toId}", s.guard(write, s.linkPut))
	mux.HandleFunc("DELETE /crm/v4/objects/{type}/{id}/associations/{to}/{toId}", s.guard(write, s.linkDelete))
	mux.HandleFunc("PUT /crm/v4/objects/{type}/{id}/associations/default/{to}/{toId}", s.guard(write, s.linkPutDefault))
	for _, dated := range []string{"2026-03", "2026-09"} {
		mux.HandleFunc("GET /crm/objects/"+dated+"/{type}/{id}/associations/{to}", s.guard(read, s.linksOf))
		mux.HandleFunc("PUT /crm/objects/"+dated+"/{type}/{id}/associations/{to}/{toId}", s.guard(write, s.linkPut))
		mux.HandleFunc("DELETE /crm/objects/"+dated+"/{type}/{id}/associations/{to}/{toId}", s.guard(write, s.linkDelete))
		mux.HandleFunc("GET /account-info/"+dated+"/details", s.guard("oauth", s.details))
	}
	mux.HandleFunc("GET /account-info/v3/details", s.guard("oauth", s.details))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.writeError(w, &apiError{http: http.StatusNotFound, Message: "resource not found"})
	})
	return mux
}

// guard checks token, limits, type and scope, and answers under the lock.
func (s *Sim) guard(scope string, f endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := s.authenticate(r)
		if e == nil {
			e = s.limit(w, strings.HasSuffix(r.URL.Path, "/search"))
		}
		typ := ""
		for _, name := range []string{"type", "to"} {
			if raw := r.PathValue(name); raw != "" && e == nil {
				t, ok := typeName(raw)
				if !ok {
					e = invalid("Unable to infer object type from: " + raw)
				}
				r.SetPathValue(name, t)
			}
		}
		typ = r.PathValue("type")
		r.Pattern = strings.NewReplacer("{type}", typ, "{to}", r.PathValue("to")).Replace(r.Pattern) // the ledger tells types apart
		if e == nil {
			kind := typ
			if !slices.Contains(scoped, kind) {
				kind = "custom"
			}
			need := strings.Replace(scope, "*", kind, 1)
			if strings.HasPrefix(need, "crm.schemas.products.") {
				need = "e-commerce"
			}
			e = s.requires(need)
		}
		if e != nil {
			s.writeError(w, e)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		status, body, e := f(r, typ)
		switch {
		case e != nil:
			s.writeError(w, e)
		case body == nil:
			w.WriteHeader(status)
		default:
			sim.WriteJSON(w, status, body)
		}
	}
}

func (s *Sim) details(*http.Request, string) (int, any, *apiError) {
	return http.StatusOK, map[string]any{"portalId": s.app.portal, "accountType": "STANDARD", "timeZone": "Australia/Melbourne", "companyCurrency": "AUD",
		"additionalCurrencies": []string{}, "utcOffset": "+10:00", "utcOffsetMilliseconds": 36_000_000, "uiDomain": "app-au1.hubspot.com", "dataHostingLocation": "au1"}, nil
}

// input is one object in a request to write or read.
type input struct {
	ID           string         `json:"id"`
	IDProperty   string         `json:"idProperty"`
	TraceID      string         `json:"objectWriteTraceId"`
	Properties   map[string]any `json:"properties"`
	Associations []struct {
		To    struct{ ID string }
		Types []linkType
	} `json:"associations"`
}

func (in input) values() map[string]string {
	m := map[string]string{}
	for k, v := range in.Properties {
		m[k] = text(v)
	}
	return m
}

func csv(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' })
}

// queryList reads a list given as one comma-separated parameter or as several.
func queryList(r *http.Request, name string) []string {
	var all []string
	for _, v := range r.URL.Query()[name] {
		all = append(all, csv(v)...)
	}
	return all
}

func queryView(r *http.Request) view {
	return view{properties: queryList(r, "properties"), history: queryList(r, "propertiesWithHistory")}
}

func (s *Sim) api() writing { return writing{at: s.Now(), source: sourceAPI} }

func (s *Sim) list(r *http.Request, typ string) (int, any, *apiError) {
	q := r.URL.Query()
	limit := 10
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 100 {
			return 0, nil, invalid("limit must be between 1 and 100")
		}
		limit = n
	}
	archived := q.Get("archived") == "true"
	after := number(q.Get("after"))
	v, assoc := queryView(r), queryList(r, "associations")
	results := []any{}
	var next map[string]any
	for _, o := range s.sorted(typ) {
		if o.archived != archived || o.mergedInto != "" || number(o.id) <= after {
			continue
		}
		if len(results) == limit {
			last := results[limit-1].(map[string]any)["id"].(string)
			next = map[string]any{"next": map[string]string{"after": last, "link": "https://api.hubapi.com" + r.URL.Path + "?after=" + last}}
			break
		}
		m := s.show(o, v)
		if a := s.showLinks(o, assoc); len(a) > 0 {
			m["associations"] = a
		}
		results = append(results, m)
	}
	body := map[string]any{"results": results}
	if next != nil {
		body["paging"] = next
	}
	return http.StatusOK, body, nil
}

// target finds the object that a path names.
func (s *Sim) target(r *http.Request, typ string) (*object, *apiError) {
	o, e := s.findBy(typ, r.URL.Query().Get("idProperty"), r.PathValue("id"))
	if e != nil {
		return nil, e
	}
	if o == nil || o.archived != (r.URL.Query().Get("archived") == "true") {
		return nil, notFound(typ)
	}
	return o, nil
}

func (s *Sim) get(r *http.Request, typ string) (int, any, *apiError) {
	o, e := s.target(r, typ)
	if e != nil {
		return 0, nil, e
	}
	m := s.show(o, queryView(r))
	if a := s.showLinks(o, queryList(r, "associations")); len(a) > 0 {
		m["associations"] = a
	}
	return http.StatusOK, m, nil
}

func (s *Sim) createOne(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[input](r)
	if e != nil {
		return 0, nil, e
	}
	o, e := s.createFrom(typ, in, s.api())
	if e != nil {
		s.Wrote(r, 0, 0, 0)
		return 0, nil, e
	}
	s.Wrote(r, 1, 0, 0)
	return http.StatusCreated, s.shown(o, in.values()), nil
}

func (s *Sim) createFrom(typ string, in input, w writing) (*object, *apiError) {
	type pair struct {
		to    *object
		types []linkType
	}
	var links []pair
	for _, a := range in.Associations {
		if len(a.Types) == 0 {
			continue
		}
		to := s.find(a.Types[0].target(), a.To.ID)
		if to == nil || to.archived {
			return nil, invalid("The object to associate with does not exist: " + a.To.ID)
		}
		links = append(links, pair{to, a.Types})
	}
	o, e := s.create(typ, in.values(), w)
	for _, l := range links {
		if e == nil {
			s.connect(o, l.to, l.types, w)
		}
	}
	return o, e
}

func (s *Sim) patch(r *http.Request, typ string) (int, any, *apiError) {
	o, e := s.target(r, typ)
	if e != nil {
		return 0, nil, e
	}
	in, e := decode[input](r)
	if e != nil {
		return 0, nil, e
	}
	changed, e := s.update(o, in.values(), s.api())
	if e != nil {
		s.Wrote(r, 0, 0, 0)
		return 0, nil, e
	}
	s.wroteOne(r, changed)
	return http.StatusOK, s.shown(o, in.values()), nil
}

func (s *Sim) wroteOne(r *http.Request, changed bool) {
	if changed {
		s.Wrote(r, 0, 1, 0)
	} else {
		s.Wrote(r, 0, 0, 1)
	}
}

func (s *Sim) deleteOne(r *http.Request, typ string) (int, any, *apiError) {
	if o := s.find(typ, r.PathValue("id")); o != nil && !o.archived {
		s.archive(o, s.api())
		s.wroteOne(r, true)
	}
	return http.StatusNoContent, nil, nil
}

// purge erases a contact for good: its e-mail address cannot be used again, and it cannot be restored.
func (s *Sim) purge(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[struct{ ObjectID, IDProperty string }](r)
	if e != nil {
		return 0, nil, e
	}
	o, e := s.findBy(typ, in.IDProperty, in.ObjectID)
	switch {
	case e != nil:
		return 0, nil, e
	case typ != "contacts":
		return 0, nil, invalid("only contacts are deleted for privacy")
	case o == nil || o.archived:
		return 0, nil, notFound(typ)
	}
	w, email := s.api(), o.props["email"]
	s.event(o, "privacyDeletion", w, eventDetail{})
	s.archive(o, w)
	delete(s.objects[typ], o.id)
	if email != "" {
		s.purged[email] = true
	}
	s.wroteOne(r, true)
	return http.StatusNoContent, nil, nil
}

func (s *Sim) mergeTwo(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[struct{ PrimaryObjectID, ObjectIDToMerge string }](r)
	if e != nil {
		return 0, nil, e
	}
	o, e := s.merge(typ, in.PrimaryObjectID, in.ObjectIDToMerge, s.api())
	if e != nil {
		return 0, nil, e
	}
	s.wroteOne(r, true)
	return http.StatusOK, s.show(o, view{}), nil
}

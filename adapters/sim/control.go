package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Action is one thing that the control surface can do, as GET /_sim lists it.
type Action struct {
	Request string `json:"request"`
	Example any    `json:"example,omitempty"`
	Does    string `json:"does"`
}

// tolerance is what GET /_sim says about names.
const tolerance = "A member's case does not matter, nor do _ and - in it, and a type may be singular or plural. An array of objects does several at once where that makes sense."

func (s *Server) actions() []Action {
	typ := ""
	if ts := s.vendor.Types(); len(ts) > 0 {
		typ = ts[0]
	}
	type m = map[string]any
	return []Action{
		{"GET /_sim", nil, "this list, and the credentials to use"},
		{"GET /_sim/stats", nil, "the simulator's own ledger: requests, statuses, rateLimited, creates, updates, duplicates by external id, webhooks and more"},
		{"DELETE /_sim/stats", nil, "sets the ledger to nothing and leaves everything else"},
		{"GET /_sim/objects?type=" + typ, nil, "every object of a type, archived ones too; with &id=1 that one; types: " + strings.Join(s.vendor.Types(), ", ")},
		{"POST /_sim/objects", m{"type": typ, "id": "", "properties": m{}}, "a person creates (no id) or edits an object on the vendor's own screen; what is not given stays; properties may also be called fields, object or data, or stand beside type and id"},
		{"POST /_sim/merge", m{"type": typ, "winner": "1", "loser": "2"}, "a person merges the loser into the winner; also called survivor and merged, primary and secondary, into and from"},
		{"POST /_sim/delete", m{"type": typ, "id": "1"}, "a person deletes or archives an object"},
		{"POST /_sim/faults", m{"kind": "status", "path": "", "method": "", "status": 503, "retryAfter": 2, "count": 3}, faultHelp},
		{"GET /_sim/faults", nil, "the faults and how often each happened"},
		{"DELETE /_sim/faults", nil, "clears the faults; DELETE /_sim/faults/1 clears one"},
		{"POST /_sim/webhooks", m{"url": "http://127.0.0.1:8080/webhooks/crm"}, "sets the webhook receiver; \"\" is none"},
		{"POST /_sim/silence", m{"topic": ""}, "ends webhook subscriptions without a word, as a vendor does after failed deliveries; topic is one of them, \"\" is all"},
		{"POST /_sim/clock", m{"advance": "10m"}, "moves the clock forward; a number is seconds"},
		{"POST /_sim/expire", nil, "expires the access tokens; refresh tokens stay good"},
		{"POST /_sim/revoke", nil, "revokes all access: a person removed the app"},
		{"POST /_sim/authorise", nil, "a person authorises the app again; answers with the credentials to use from now on"},
		{"POST /_sim/reset", nil, "empties the account and clears counters, faults, clock and waiting webhooks; the webhook receiver, the account's set-up and the credentials stay, and refresh tokens are good again if they were revoked"},
	}
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := f(r)
			if err != nil {
				WriteJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
			WriteJSON(w, http.StatusOK, answer)
		})
	}
	ok := map[string]bool{"ok": true}

	list := func(*http.Request) (any, error) {
		return map[string]any{"vendor": s.vendor.Name(), "time": s.Now(), "webhook": s.WebhookURL(), "credentials": s.vendor.Credentials(),
			"names": tolerance, "actions": s.actions()}, nil
	}
	handle("GET /_sim", list)
	handle("GET /_sim/{$}", list)
	handle("GET /_sim/stats", func(*http.Request) (any, error) { return s.plainStats(), nil })
	handle("DELETE /_sim/stats", func(*http.Request) (any, error) { s.clearStats(); return ok, nil })
	handle("GET /_sim/objects", s.listObjects)
	handle("GET /_sim/objects/{type}", s.listObjects)
	handle("GET /_sim/objects/{type}/{id}", s.listObjects)
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		handle(method+" /_sim/objects", s.putObjects)
		handle(method+" /_sim/objects/{type}", s.putObjects)
		handle(method+" /_sim/objects/{type}/{id}", s.putObjects)
	}
	handle("POST /_sim/merge", s.mergeObjects)
	handle("POST /_sim/delete", s.deleteObject)
	handle("DELETE /_sim/objects/{type}/{id}", s.deleteObject)
	handle("POST /_sim/faults", s.postFaults)
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { s.ClearFaults(); return ok, nil })
	handle("DELETE /_sim/faults/{id}", func(r *http.Request) (any, error) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || !s.clearFault(id) {
			return nil, fmt.Errorf("there is no fault %s", r.PathValue("id"))
		}
		return ok, nil
	})
	handle("POST /_sim/webhooks", func(r *http.Request) (any, error) {
		f, err := readForm(r)
		if err != nil {
			return nil, err
		}
		url, err := f.text("url", "target", "receiver", "webhook", "webhookUrl")
		if err = errors.Join(err, f.done("url")); err != nil {
			return nil, err
		}
		if url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return nil, fmt.Errorf("url %q is not an absolute http or https URL", url)
		}
		return ok, s.SetWebhook(r.Context(), url)
	})
	handle("POST /_sim/silence", func(r *http.Request) (any, error) {
		f, err := readForm(r)
		if err != nil {
			return nil, err
		}
		topic, err := f.text("topic", "type", "subscription")
		if err = errors.Join(err, f.done("topic")); err != nil {
			return nil, err
		}
		if v, is := s.vendor.(Silencer); is {
			return map[string]int{"ended": v.Silence(topic)}, nil
		}
		if topic != "" {
			return nil, errors.New(s.vendor.Name() + " sends everything or nothing: leave topic out")
		}
		return map[string]int{"ended": 1}, s.SetWebhook(r.Context(), "")
	})
	handle("POST /_sim/clock", func(r *http.Request) (any, error) {
		f, err := readForm(r)
		if err != nil {
			return nil, err
		}
		d, err := f.duration(time.Second, "advance", "by", "duration", "seconds")
		if err = errors.Join(err, f.done("advance")); err != nil {
			return nil, err
		}
		if d <= 0 {
			return nil, errors.New("advance is missing or not a duration such as \"10m\"; the clock goes forward only")
		}
		return map[string]time.Time{"time": s.Advance(d)}, nil
	})
	handle("POST /_sim/expire", func(*http.Request) (any, error) { s.vendor.Expire(); return ok, nil })
	handle("POST /_sim/revoke", func(*http.Request) (any, error) { s.vendor.Revoke(); return ok, nil })
	consent := func(*http.Request) (any, error) {
		c, is := s.vendor.(Consenter)
		if !is {
			return nil, errors.New(s.vendor.Name() + " has no consent screen; POST /_sim/reset makes revoked credentials good again")
		}
		return c.Consent(), nil
	}
	handle("POST /_sim/authorise", consent)
	handle("POST /_sim/authorize", consent)
	handle("POST /_sim/reset", func(*http.Request) (any, error) { s.Reset(); return ok, nil })
	mux.HandleFunc("/_sim/", func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, http.StatusNotFound, map[string]string{"error": "there is no " + r.Method + " " + r.URL.Path + "; GET /_sim lists what there is"})
	})
	return mux
}

func (s *Server) listObjects(r *http.Request) (any, error) {
	q := r.URL.Query()
	objects, err := s.vendor.Objects(s.typeName(orElse(r.PathValue("type"), orElse(q.Get("type"), q.Get("objectType")))))
	if err != nil {
		return nil, err
	}
	if id := orElse(r.PathValue("id"), q.Get("id")); id != "" {
		i := slices.IndexFunc(objects, func(o any) bool { return strings.EqualFold(objectID(o), id) })
		if i < 0 {
			return nil, fmt.Errorf("there is no object %s of this type", id)
		}
		if r.PathValue("id") != "" {
			return objects[i], nil
		}
		return objects[i : i+1], nil
	}
	if objects == nil {
		objects = []any{}
	}
	return objects, nil
}

// objectID finds the id in an object as the vendor shows it: "id", or a type's own as Xero's "ContactID".
func objectID(o any) string {
	b, err := json.Marshal(o)
	if err != nil {
		return ""
	}
	var m map[string]any
	if json.Unmarshal(b, &m) != nil {
		return ""
	}
	for k, v := range m {
		if id, is := v.(string); is && (k == "id" || strings.HasSuffix(k, "ID") && !strings.HasPrefix(k, "MergedTo")) {
			return id
		}
	}
	return ""
}

// putObjects writes one object, or each of an array in turn until one is refused.
func (s *Server) putObjects(r *http.Request) (any, error) {
	forms, err := readForms(r)
	if err != nil {
		return nil, err
	}
	typ, many := r.PathValue("type"), len(forms) != 1
	if len(forms) == 1 {
		if list, is := forms[0]["objects"].([]any); is {
			if t, err := forms[0].text(typeNames...); err != nil {
				return nil, err
			} else if t != "" {
				typ = t
			}
			forms, many = nil, true
			for _, x := range list {
				m, is := x.(map[string]any)
				if !is {
					return nil, errors.New("objects holds something that is not an object")
				}
				forms = append(forms, m)
			}
		}
	}
	all := make([]any, 0, len(forms))
	for i, f := range forms {
		in, err := s.object(f, typ, r.PathValue("id"))
		var o any
		if err == nil {
			o, err = s.vendor.Put(in.typ, in.id, in.fields)
		}
		if err != nil {
			if many {
				err = fmt.Errorf("object %d of %d: %w", i+1, len(forms), err)
			}
			return nil, err
		}
		s.Count(func(st *Stats) { st.Edits++ })
		all = append(all, o)
	}
	if many {
		return all, nil
	}
	return all[0], nil
}

func (s *Server) mergeObjects(r *http.Request) (any, error) {
	f, err := readForm(r)
	if err != nil {
		return nil, err
	}
	typ, err := f.text(typeNames...)
	winner, err2 := f.text("winner", "winnerId", "survivor", "survivorId", "primary", "primaryId", "primaryObjectId", "into", "intoId", "to", "toId", "target", "keep")
	loser, err3 := f.text("loser", "loserId", "merged", "mergedId", "secondary", "secondaryId", "objectIdToMerge", "from", "fromId", "source", "duplicate")
	if err := errors.Join(err, err2, err3, f.done("type, winner and loser")); err != nil {
		return nil, err
	}
	if winner == "" || loser == "" || winner == loser {
		return nil, errors.New("winner and loser must be two different ids")
	}
	return s.vendor.Merge(s.typeName(typ), winner, loser)
}

func (s *Server) deleteObject(r *http.Request) (any, error) {
	f, err := readForm(r)
	if err != nil {
		return nil, err
	}
	in, err := s.object(f, r.PathValue("type"), r.PathValue("id"))
	if err = errors.Join(err, form(in.fields).done("type and id")); err != nil {
		return nil, err
	}
	return map[string]bool{"ok": true}, s.vendor.Delete(in.typ, in.id)
}

// postFaults arms one fault, or each of an array, and answers with what was understood.
func (s *Server) postFaults(r *http.Request) (any, error) {
	forms, err := readForms(r)
	if err != nil {
		return nil, err
	}
	faults := make([]Fault, len(forms))
	for i, f := range forms {
		if faults[i], err = readFault(f); err == nil {
			err = faults[i].check()
		}
		if err != nil {
			return nil, err
		}
	}
	for i, f := range faults {
		if faults[i].ID, err = s.AddFault(f); err != nil {
			return nil, err
		}
	}
	if len(faults) == 1 {
		return faults[0], nil
	}
	return faults, nil
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client is gone: nobody to tell
}

// CheckType returns an error that lists the types if typ is not one of them.
func CheckType(typ string, types []string) error {
	if slices.Contains(types, typ) {
		return nil
	}
	return fmt.Errorf("type %q is not one of %s", typ, strings.Join(types, ", "))
}

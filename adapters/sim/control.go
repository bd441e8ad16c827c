package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Action is one thing that the control surface can do, as GET /_sim lists it.
type Action struct {
	Request string `json:"request"`
	Example any    `json:"example,omitempty"`
	Does    string `json:"does"`
}

func (s *Server) actions() []Action {
	typ := ""
	if ts := s.vendor.Types(); len(ts) > 0 {
		typ = ts[0]
	}
	type m = map[string]any
	return []Action{
		{"GET /_sim", nil, "this list, and the credentials to use"},
		{"GET /_sim/stats", nil, "the simulator's own ledger"},
		{"GET /_sim/objects?type=" + typ, nil, "every object of a type, archived ones too; types: " + strings.Join(s.vendor.Types(), ", ")},
		{"POST /_sim/objects", m{"type": typ, "id": "", "properties": m{}}, "a person creates (no id) or edits an object on the vendor's own screen"},
		{"POST /_sim/merge", m{"type": typ, "winner": "1", "loser": "2"}, "a person merges two objects"},
		{"POST /_sim/delete", m{"type": typ, "id": "1"}, "a person deletes or archives an object"},
		{"POST /_sim/faults", m{"kind": "status", "path": "", "method": "", "status": 503, "retryAfter": 2, "count": 3},
			"arms a fault; kinds: " + strings.Join(faultKinds, ", ") + "; with count, or rate 0..1, or neither: every time; delay for slow and delay_webhook; afterCommit makes a status come after the work was done; body replaces the vendor's error"},
		{"GET /_sim/faults", nil, "the faults and how often each happened"},
		{"DELETE /_sim/faults", nil, "clears the faults"},
		{"POST /_sim/webhooks", m{"url": "http://127.0.0.1:8080/webhooks/crm"}, "sets the webhook receiver"},
		{"POST /_sim/clock", m{"advance": "10m"}, "moves the clock forward"},
		{"POST /_sim/expire", nil, "expires the access tokens"},
		{"POST /_sim/revoke", nil, "revokes all access"},
		{"POST /_sim/reset", nil, "empties the account and clears counters, faults and clock"},
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

	handle("GET /_sim", func(*http.Request) (any, error) {
		return map[string]any{"vendor": s.vendor.Name(), "time": s.Now(), "webhook": s.WebhookURL(), "credentials": s.vendor.Credentials(), "actions": s.actions()}, nil
	})
	handle("GET /_sim/stats", func(*http.Request) (any, error) { return s.Stats(), nil })
	handle("GET /_sim/objects", func(r *http.Request) (any, error) {
		objects, err := s.vendor.Objects(r.URL.Query().Get("type"))
		if objects == nil {
			objects = []any{}
		}
		return objects, err
	})
	handle("POST /_sim/objects", func(r *http.Request) (any, error) {
		in, err := read[struct {
			Type, ID   string
			Properties map[string]any
		}](r)
		if err != nil {
			return nil, err
		}
		o, err := s.vendor.Put(in.Type, in.ID, in.Properties)
		if err == nil {
			s.Count(func(st *Stats) { st.Edits++ })
		}
		return o, err
	})
	handle("POST /_sim/merge", func(r *http.Request) (any, error) {
		in, err := read[struct{ Type, Winner, Loser string }](r)
		if err != nil {
			return nil, err
		}
		if in.Winner == "" || in.Loser == "" || in.Winner == in.Loser {
			return nil, errors.New("winner and loser must be two different ids")
		}
		return s.vendor.Merge(in.Type, in.Winner, in.Loser)
	})
	handle("POST /_sim/delete", func(r *http.Request) (any, error) {
		in, err := read[struct{ Type, ID string }](r)
		if err != nil {
			return nil, err
		}
		return ok, s.vendor.Delete(in.Type, in.ID)
	})
	handle("POST /_sim/faults", func(r *http.Request) (any, error) {
		f, err := read[Fault](r)
		if err != nil {
			return nil, err
		}
		id, err := s.AddFault(f)
		return map[string]int{"id": id}, err
	})
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { s.ClearFaults(); return ok, nil })
	handle("POST /_sim/webhooks", func(r *http.Request) (any, error) {
		in, err := read[struct{ URL string }](r)
		if err != nil {
			return nil, err
		}
		if in.URL != "" && !strings.HasPrefix(in.URL, "http://") && !strings.HasPrefix(in.URL, "https://") {
			return nil, fmt.Errorf("url %q is not an absolute http or https URL", in.URL)
		}
		return ok, s.SetWebhook(r.Context(), in.URL)
	})
	handle("POST /_sim/clock", func(r *http.Request) (any, error) {
		in, err := read[struct{ Advance string }](r)
		if err != nil {
			return nil, err
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("advance %q is not a duration such as \"10m\"", in.Advance)
		}
		return map[string]time.Time{"time": s.Advance(d)}, nil
	})
	handle("POST /_sim/expire", func(*http.Request) (any, error) { s.vendor.Expire(); return ok, nil })
	handle("POST /_sim/revoke", func(*http.Request) (any, error) { s.vendor.Revoke(); return ok, nil })
	handle("POST /_sim/reset", func(*http.Request) (any, error) { s.Reset(); return ok, nil })
	return mux
}

// read decodes a control request strictly, so that a misspelt member is told and not ignored.
func read[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("the body is not the JSON object that GET /_sim shows for this request: %w", err)
	}
	return v, nil
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

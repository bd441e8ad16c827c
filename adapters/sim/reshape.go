package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Faults of shape: the vendor changes its API. Field names a member wherever it occurs in the body, or by the members that it
// stands in: "TaxNumber", "PaymentTerms.Sales". They hold for every answer until they are cleared.
const (
	FaultRename  = "rename_field"  // the member is called To from now on, in answers and in requests
	FaultOmit    = "drop_field"    // the member is left out of answers
	FaultRetype  = "retype_field"  // what the member says is To: object, list, number, text or null
	FaultAdd     = "add_field"     // objects that have the member Beside have Field, too, and it says Value
	FaultSet     = "set_field"     // the member says Value
	FaultRequire = "require_field" // writes without the member are refused in the vendor's words
	FaultHeader  = "header"        // answers bear the headers
)

var (
	shapeKinds   = []string{FaultRename, FaultOmit, FaultRetype, FaultAdd, FaultSet, FaultHeader}
	requireKinds = []string{FaultRequire}
)

// all returns the armed faults of the kinds that match a request.
func (s *Server) all(kinds []string, r *http.Request, body []byte) []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fs []Fault
	for _, f := range s.faults {
		if slices.Contains(kinds, f.Kind) && f.matches(r.Method, body, []string{r.URL.Path}) && (f.Rate == 0 || s.rand.Float64() < f.Rate) {
			f.Fired++
			s.stats.Faults[f.Kind]++
			fs = append(fs, *f)
		}
	}
	return fs
}

// reshaped serves a request with the faults of shape.
func (s *Server) reshaped(w http.ResponseWriter, r *http.Request, fs []Fault) {
	var renames []Fault
	for _, f := range fs {
		if f.Kind == FaultRename {
			renames = append(renames, Fault{Kind: FaultRename, Field: f.To, To: lastName(f.Field)})
		}
	}
	if body, err := io.ReadAll(r.Body); err == nil {
		if len(renames) > 0 {
			body = transform(body, renames)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	kept := &kept{header: http.Header{}}
	s.vendor.ServeVendor(kept, r)
	body := kept.body.Bytes()
	if kept.status < 300 {
		body = transform(body, fs)
	}
	for k, vs := range kept.header {
		if !strings.EqualFold(k, "Content-Length") {
			w.Header()[k] = vs
		}
	}
	for _, f := range fs {
		for k, v := range f.Header {
			w.Header().Set(k, v)
		}
	}
	if kept.status != 0 {
		w.WriteHeader(kept.status)
	}
	_, _ = w.Write(body)
}

type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header { return k.header }

func (k *kept) Write(b []byte) (int, error) {
	if k.status == 0 {
		k.status = http.StatusOK
	}
	return k.body.Write(b)
}

func (k *kept) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

// lacks reports whether a write lacks the member that a fault asks for.
func lacks(r *http.Request, field string) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	x, ok := decodeJSON(body)
	return err == nil && ok && !bears(x, field)
}

func bears(x any, field string) bool {
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			if k == field && v != nil && v != "" || bears(v, field) {
				return true
			}
		}
	case []any:
		for _, v := range x {
			if bears(v, field) {
				return true
			}
		}
	}
	return false
}

type wordsKey struct{}

// Words is what an injected refusal says, for a vendor's WriteFault; otherwise if the fault says nothing.
func Words(r *http.Request, otherwise string) string {
	if s, ok := r.Context().Value(wordsKey{}).(string); ok {
		return s
	}
	return otherwise
}

func withWords(r *http.Request, words string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), wordsKey{}, words))
}

func decodeJSON(body []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var x any
	return x, d.Decode(&x) == nil
}

// transform changes the members of a JSON body; one that is not JSON stays.
func transform(body []byte, fs []Fault) []byte {
	x, ok := decodeJSON(body)
	if !ok {
		return body
	}
	for i := range fs {
		if fs[i].Field != "" {
			x = fs[i].reshape(x, nil)
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(x) != nil {
		return body
	}
	return out.Bytes()
}

func (f *Fault) reshape(x any, within []string) any {
	switch x := x.(type) {
	case []any:
		for i := range x {
			// Names of fields that are asked for.
			if s, ok := x[i].(string); ok && f.Kind == FaultRename && s == f.Field {
				x[i] = f.To
				continue
			}
			x[i] = f.reshape(x[i], within)
		}
	case map[string]any:
		names := make([]string, 0, len(x))
		for k := range x {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			x[k] = f.reshape(x[k], append(within[:len(within):len(within)], k))
		}
		for _, k := range names {
			f.member(x, k, append(within[:len(within):len(within)], k))
		}
	}
	return x
}

func (f *Fault) member(o map[string]any, k string, path []string) {
	// Fields that are spoken of: a property's definition, a filter.
	if s, ok := o[k].(string); ok && f.Kind == FaultRename && s == f.Field && (k == "name" || k == "propertyName") {
		o[k] = f.To
	}
	if f.Kind == FaultAdd {
		if k == f.Beside {
			o[f.Field] = f.Value
		}
		return
	}
	if !strings.HasSuffix("."+strings.Join(path, "."), "."+f.Field) {
		return
	}
	switch f.Kind {
	case FaultRename:
		if f.To != k {
			o[f.To] = o[k]
			delete(o, k)
		}
	case FaultOmit:
		delete(o, k)
	case FaultSet:
		o[k] = f.Value
	case FaultRetype:
		if o[k] == nil {
			return
		}
		switch f.To {
		case "object":
			o[k] = map[string]any{"value": o[k]}
		case "list":
			o[k] = []any{o[k]}
		case "number":
			o[k] = len(strings.TrimSpace(jsonText(o[k])))
		case "text":
			o[k] = jsonText(o[k])
		case "null":
			o[k] = nil
		}
	}
}

func jsonText(x any) string {
	if s, ok := x.(string); ok {
		return s
	}
	b, _ := json.Marshal(x)
	return string(b)
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

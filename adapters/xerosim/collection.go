package xerosim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pagination is what a paged answer says of itself.
type pagination struct {
	Page      int `json:"page"`
	PageSize  int `json:"pageSize"`
	PageCount int `json:"pageCount"`
	ItemCount int `json:"itemCount"`
}

// listing is what a GET of a collection asks for, of whatever type the elements are.
type listing[T any] struct {
	want  func(T) bool // nil for all
	order func(a, b T) int
	since time.Time
}

// readListing reads where, order and If-Modified-Since; the answer is a refusal if one cannot be read.
func readListing[T any](r *http.Request, typ, id string, members map[string]func(T) any) (l listing[T], bad *answer) {
	q := r.URL.Query()
	var err error
	if l.want, err = parseWhere(q.Get("where"), typ, members); err == nil {
		if l.order, err = parseOrder(q.Get("order"), id, members); err == nil {
			l.since, err = parseSince(r.Header.Get("If-Modified-Since"))
		}
	}
	if err != nil {
		a := refusal(http.StatusBadRequest, 16, "QueryParseException", err.Error())
		return l, &a
	}
	return l, nil
}

// pick returns the elements asked for, in order.
func (l listing[T]) pick(all map[string]T, updated func(T) time.Time, also func(T) bool) []T {
	var found []T
	for _, x := range all {
		if (l.since.IsZero() || updated(x).After(l.since)) && (also == nil || also(x)) && (l.want == nil || l.want(x)) {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, l.order)
	return found
}

// paged cuts one page out of what was found, if the request asks for pages.
func paged[T any](r *http.Request, found []T) ([]T, *pagination) {
	q := r.URL.Query()
	if !q.Has("page") && !q.Has("pageSize") {
		return found, nil
	}
	p := &pagination{Page: max(1, number(q.Get("page"), 1)), PageSize: min(max(number(q.Get("pageSize"), 100), 1), 1000), ItemCount: len(found)}
	p.PageCount = (p.ItemCount + p.PageSize - 1) / p.PageSize
	from := min((p.Page-1)*p.PageSize, len(found))
	return found[from:min(from+p.PageSize, len(found))], p
}

// readIDs reads a comma-separated list of ids; nil if there is none.
func readIDs(r *http.Request, name string) (ids []string, bad *answer) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return nil, nil
	}
	ids = strings.Split(strings.ToLower(v), ",")
	for _, id := range ids {
		if !guid.MatchString(id) {
			a := refusal(http.StatusBadRequest, 16, "QueryParseException", "The value '"+id+"' in "+name+" is not a valid identifier")
			return nil, &a
		}
	}
	return ids, nil
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// What a write did.
type did int

const (
	didNothing did = iota
	didCreate
	didUpdate
)

// eventKind is Xero's word for it in webhooks: every accepted write is at least an update.
func eventKind(d did) string {
	if d == didCreate {
		return "CREATE"
	}
	return "UPDATE"
}

// outcome is what became of one element of a write: the element as it is now, or as it was asked for with what is wrong.
type outcome struct {
	shown  any
	msgs   []string
	did    did
	events []hookEvent
}

// decode reads the elements of a request: {"Contacts":[…]}, a list, or one element.
func decode(body []byte, name string) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil {
		return list, nil
	}
	var wrapped map[string]json.RawMessage
	if err := json.Unmarshal(body, &wrapped); err != nil {
		return nil, err
	}
	inner, ok := wrapped[name]
	if !ok {
		return []json.RawMessage{body}, nil
	}
	return list, json.Unmarshal(inner, &list)
}

// batch writes the elements of a request, each for itself with summarizeErrors=false and otherwise all or none. One element
// is expected if single is true. Put is called with the lock held.
func batch[In any](s *Sim, r *http.Request, body []byte, name string, single bool, put func(in *In) outcome) answer {
	if ct := r.Header.Get("Content-Type"); ct != "" && !strings.Contains(ct, "json") {
		return refusal(http.StatusUnsupportedMediaType, 17, "UnsupportedMediaType", "This simulator reads application/json, not "+ct)
	}
	raws, err := decode(body, name)
	if err != nil {
		return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "The string '"+clip(body)+"' is not valid JSON: "+err.Error())
	}
	if single && len(raws) != 1 {
		return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "One element of "+name+" is expected at this address")
	}
	ins := make([]In, len(raws))
	for i, raw := range raws {
		if err := json.Unmarshal(raw, &ins[i]); err != nil {
			return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "An element of "+name+" could not be read: "+err.Error())
		}
	}
	perElement := strings.EqualFold(r.URL.Query().Get("summarizeErrors"), "false")

	s.mu.Lock()
	defer s.mu.Unlock()
	undo := func() {}
	if !perElement {
		undo = s.snapshot()
	}
	results := make([]any, len(ins))
	var refused []any
	counts := map[did]int{}
	var events []hookEvent
	for i := range ins {
		o := put(&ins[i])
		if len(o.msgs) > 0 {
			results[i] = withStatus(o.shown, "ERROR", o.msgs)
			refused = append(refused, withStatus(o.shown, "", o.msgs))
			continue
		}
		results[i] = withStatus(o.shown, "OK", nil)
		counts[o.did]++
		events = append(events, o.events...)
	}
	if len(refused) > 0 && !perElement {
		undo()
		s.Wrote(r, 0, 0, 0)
		return refusal(http.StatusBadRequest, 10, "ValidationException", "A validation exception occurred", refused...)
	}
	s.Wrote(r, counts[didCreate], counts[didUpdate], counts[didNothing])
	s.notify(events...)
	return s.envelope(name, results, nil)
}

// withStatus adds to an element how its write went.
func withStatus(shown any, status string, msgs []string) any {
	var errs any
	if len(msgs) > 0 {
		list := make([]validationError, len(msgs))
		for i, m := range msgs {
			list[i] = validationError{m}
		}
		errs = list
	}
	b, err := marshal(shown)
	if err == nil {
		var extra []byte
		if extra, err = marshal(object{{"StatusAttributeString", filled(status)}, {"ValidationErrors", errs}}); err == nil && len(extra) > 2 {
			sep := ","
			if len(b) == 2 {
				sep = ""
			}
			b = append(append(b[:len(b)-1], sep...), extra[1:]...)
		}
	}
	if err != nil {
		panic("xerosim: " + err.Error())
	}
	return json.RawMessage(b)
}

func clip(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), 100)]), "") }

// byUpdated is Xero's default order. Contacts of one millisecond keep a stable order among themselves.
func byUpdated(a, b *contact) int {
	return cmp.Or(a.UpdatedDateUTC.Compare(b.UpdatedDateUTC.Time), cmp.Compare(a.ContactID, b.ContactID))
}

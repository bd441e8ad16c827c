package memory_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters/sim"
)

// Sim is the server of the reference vendor: one type of object, kept in memory, with rotating tokens, idempotency keys,
// a change sequence and signed webhooks.
type Sim struct {
	*sim.Server
	mux *http.ServeMux

	mu       sync.Mutex
	seq      int
	objects  map[string]*thing
	aliases  map[string]string // id of a merged object -> survivor
	keys     map[string]string // idempotency key of a creation -> id
	access   string
	refresh  string
	expired  bool
	revoked  bool
	rotation int
}

// thing is one customer at the vendor.
type thing struct {
	ID         string                     `json:"id"`
	Ref        string                     `json:"ref"` // our id
	Seq        int                        `json:"seq"` // of its last change
	ModifiedAt time.Time                  `json:"modifiedAt"`
	Archived   bool                       `json:"archived"`
	Fields     map[string]json.RawMessage `json:"fields"`
}

const webhookKey = "memory-webhook-key"

// NewSim starts a simulator with an empty account.
func NewSim() *Sim {
	s := &Sim{}
	s.Server = sim.New(s, sim.Options{Seed: 1})
	s.Reset()
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("GET /v1/account", s.authorised(func(http.ResponseWriter, *http.Request) (any, int) {
		return map[string]string{"name": "Reference Pty Ltd"}, http.StatusOK
	}))
	s.mux.HandleFunc("GET /v1/customers/{id}", s.authorised(s.one))
	s.mux.HandleFunc("GET /v1/customers", s.authorised(s.list))
	s.mux.HandleFunc("POST /v1/customers/find", s.authorised(s.find))
	s.mux.HandleFunc("POST /v1/customers/batch", s.authorised(s.batch))
	return s
}

// Name is the vendor's word.
func (s *Sim) Name() string { return "memory" }

// Types lists the object types.
func (s *Sim) Types() []string { return []string{"customers"} }

// ServeVendor answers the vendor's API.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// WriteFault answers an injected status.
func (s *Sim) WriteFault(w http.ResponseWriter, _ *http.Request, status int) {
	sim.WriteJSON(w, status, problem{Message: "injected"})
}

type problem struct {
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	if id != "memory-client" || secret != "memory-client-secret" || r.PostFormValue("refresh_token") != s.refresh || s.revoked {
		s.Count(func(st *sim.Stats) { st.InvalidRefreshes++ })
		sim.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	s.Count(func(st *sim.Stats) { st.TokenRefreshes++ })
	s.rotate()
	sim.WriteJSON(w, http.StatusOK, map[string]any{"access_token": s.access, "refresh_token": s.refresh, "expires_in": 1800})
}

// rotate issues a new pair; the caller holds the lock.
func (s *Sim) rotate() {
	s.rotation++
	s.access, s.refresh, s.expired = fmt.Sprintf("memory-access-%04d", s.rotation), fmt.Sprintf("memory-refresh-%04d", s.rotation), false
}

// authorised checks the token and answers with what f returns.
func (s *Sim) authorised(f func(w http.ResponseWriter, r *http.Request) (any, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+s.access || s.expired || s.revoked {
			sim.WriteJSON(w, http.StatusUnauthorized, problem{Message: "token expired or revoked"})
			return
		}
		answer, status := f(w, r)
		sim.WriteJSON(w, status, answer)
	}
}

func (s *Sim) one(_ http.ResponseWriter, r *http.Request) (any, int) {
	id := r.PathValue("id")
	if to := s.aliases[id]; to != "" {
		return map[string]any{"id": id, "mergedInto": to, "modifiedAt": s.objects[to].ModifiedAt}, http.StatusOK
	}
	t := s.objects[id]
	if t == nil {
		return problem{Message: "no such customer"}, http.StatusNotFound
	}
	return t, http.StatusOK
}

// list pages by change sequence (after) or by id (from); an object that changes moves to the end of the first and stays
// where it is in the second. ids lists the ones named.
func (s *Sim) list(_ http.ResponseWriter, r *http.Request) (any, int) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		return problem{Message: "limit must be 1 to 100"}, http.StatusBadRequest
	}
	all := slices.Collect(maps.Values(s.objects))
	switch {
	case q.Has("ids"):
		ids := strings.Split(q.Get("ids"), ",")
		all = slices.DeleteFunc(all, func(t *thing) bool { return !slices.Contains(ids, t.ID) })
	case q.Has("from"):
		all = slices.DeleteFunc(all, func(t *thing) bool { return t.ID <= q.Get("from") })
		slices.SortFunc(all, func(a, b *thing) int { return strings.Compare(a.ID, b.ID) })
	default:
		after, _ := strconv.Atoi(q.Get("after")) // "" is from the start
		all = slices.DeleteFunc(all, func(t *thing) bool { return t.Seq <= after })
		slices.SortFunc(all, func(a, b *thing) int { return a.Seq - b.Seq })
	}
	more := len(all) > limit
	return map[string]any{"customers": all[:min(limit, len(all))], "more": more}, http.StatusOK
}

func (s *Sim) find(_ http.ResponseWriter, r *http.Request) (any, int) {
	var in struct {
		Queries []struct {
			Ref    string                     `json:"ref"`
			Fields map[string]json.RawMessage `json:"fields"`
		} `json:"queries"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		return problem{Message: "not JSON"}, http.StatusBadRequest
	}
	answers := make([][]*thing, len(in.Queries))
	for i, q := range in.Queries {
		answers[i] = []*thing{}
		for _, t := range s.objects {
			if q.Ref != "" && t.Ref == q.Ref {
				answers[i] = []*thing{t}
				break
			}
			for f, v := range q.Fields {
				if bytes.Equal(t.Fields[f], v) {
					answers[i] = append(answers[i], t)
					break
				}
			}
		}
	}
	return map[string]any{"answers": answers}, http.StatusOK
}

func (s *Sim) batch(_ http.ResponseWriter, r *http.Request) (any, int) {
	var in struct {
		Items []struct {
			ID, Ref, Key string
			Set          map[string]json.RawMessage
		}
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in.Items) > 20 {
		return problem{Message: "not a batch of at most 20"}, http.StatusBadRequest
	}
	results := make([]any, len(in.Items))
	created, updated, noop := 0, 0, 0
	for i, it := range in.Items {
		if p := validate(it.Set); p != nil {
			results[i] = map[string]any{"problem": p}
			continue
		}
		t := s.objects[it.ID]
		if id := s.keys[it.Key]; it.ID == "" && id != "" {
			t = s.objects[id]
			results[i] = map[string]any{"customer": t, "created": true}
			continue
		}
		switch {
		case t == nil && it.ID != "":
			results[i] = map[string]any{"problem": problem{Message: "no such customer"}}
			continue
		case t == nil:
			t = s.add()
			s.keys[it.Key] = t.ID
			created++
		}
		if it.Ref != "" {
			t.Ref = it.Ref
		}
		if s.apply(t, it.Set) || it.ID == "" {
			updated += 1 - btoi(it.ID == "")
			s.changed(t)
		} else {
			noop++
		}
		results[i] = map[string]any{"customer": t, "created": it.ID == ""}
	}
	s.Wrote(r, created, updated, noop)
	return map[string]any{"results": results}, http.StatusOK
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// validate is the vendor's own opinion: a legal name must not be taken away, and notes are at most 1000 bytes of JSON.
func validate(set map[string]json.RawMessage) *problem {
	switch {
	case string(set["legalName"]) == "null":
		return &problem{Message: "a customer needs a legal name", Field: "legalName"}
	case len(set["notes"]) > 1000:
		return &problem{Message: "notes are too long", Field: "notes"}
	}
	return nil
}

func (s *Sim) add() *thing {
	t := &thing{ID: fmt.Sprintf("m%06d", 10*(len(s.objects)+len(s.aliases)+1)), Fields: map[string]json.RawMessage{}}
	for s.objects[t.ID] != nil {
		t.ID += "1"
	}
	s.objects[t.ID] = t
	return t
}

// apply sets fields and reports whether that changed anything.
func (s *Sim) apply(t *thing, set map[string]json.RawMessage) bool {
	changed := false
	for f, v := range set {
		old, had := t.Fields[f]
		switch {
		case string(v) == "null":
			delete(t.Fields, f)
			changed = changed || had
		case !bytes.Equal(old, v):
			t.Fields[f] = v
			changed = true
		}
	}
	return changed
}

func (s *Sim) changed(t *thing) {
	s.seq++
	t.Seq, t.ModifiedAt = s.seq, s.Now()
	s.Emit(sim.Event{Name: "customer.changed", Payload: map[string]any{"id": t.ID, "seq": t.Seq, "at": t.ModifiedAt}})
}

// Objects returns every object.
func (s *Sim) Objects(typ string) ([]any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	for _, id := range slices.Sorted(maps.Keys(s.objects)) {
		c := *s.objects[id]
		c.Fields = maps.Clone(c.Fields)
		all = append(all, c)
	}
	return all, nil
}

// Put is a person's edit.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	set := map[string]json.RawMessage{}
	for k, v := range properties {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		set[k] = b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.objects[id]
	if t == nil && id != "" {
		return nil, fmt.Errorf("no customer %q", id)
	}
	if t == nil {
		t = s.add()
	}
	s.apply(t, set)
	s.changed(t)
	c := *t
	c.Fields = maps.Clone(t.Fields)
	return c, nil
}

// Merge merges loser into winner.
func (s *Sim) Merge(_, winner, loser string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, l := s.objects[winner], s.objects[loser]
	if w == nil || l == nil {
		return nil, fmt.Errorf("no customers %q and %q", winner, loser)
	}
	for f, v := range l.Fields {
		if w.Fields[f] == nil {
			w.Fields[f] = v
		}
	}
	delete(s.objects, loser)
	s.aliases[loser] = winner
	s.changed(w)
	return *w, nil
}

// Delete deletes an object for good.
func (s *Sim) Delete(_, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[id] == nil {
		return fmt.Errorf("no customer %q", id)
	}
	delete(s.objects, id)
	return nil
}

// Expire ends the access token.
func (s *Sim) Expire() { s.mu.Lock(); defer s.mu.Unlock(); s.expired = true }

// Revoke ends all access.
func (s *Sim) Revoke() { s.mu.Lock(); defer s.mu.Unlock(); s.revoked = true }

// Reset empties the account.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq, s.rotation, s.revoked = 0, 0, false
	s.objects, s.aliases, s.keys = map[string]*thing{}, map[string]string{}, map[string]string{}
	s.rotate()
}

// Credentials are enough to connect.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{"clientId": "memory-client", "clientSecret": "memory-client-secret", "accessToken": s.access,
		"refreshToken": s.refresh, "webhookKey": webhookKey}
}

// Duplicates counts surplus objects with one ref.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	refs, n := map[string]bool{}, 0
	for _, t := range s.objects {
		n += btoi(t.Ref != "" && refs[t.Ref])
		refs[t.Ref] = true
	}
	return n
}

// Envelope signs the time and the body.
func (s *Sim) Envelope(_ string, events []sim.Event, _ int) (http.Header, []byte) {
	payloads := make([]any, len(events))
	for i, e := range events {
		payloads[i] = e.Payload
	}
	body, err := json.Marshal(payloads)
	if err != nil {
		return nil, nil
	}
	at := strconv.FormatInt(s.Now().UnixMilli(), 10)
	return http.Header{"X-Memory-Time": {at}, "X-Memory-Signature": {sign(webhookKey, at, body)}, "Content-Type": {"application/json"}}, body
}

func sign(key, at string, body []byte) string {
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(m, "%s.%s", at, body)
	return hex.EncodeToString(m.Sum(nil))
}

// Package memory is the reference adapter: the smallest honest one that passes the conformance suite. It speaks HTTP to
// a tiny vendor that its test keeps in memory, and shows what each method has to do; real adapters have real vendors' trouble on
// top. It is for tests and for reading.
package memory

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	batch  = 20
	maxAge = 5 * time.Minute // of a webhook
)

// Vendor describes the reference vendor.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "memory", Title: "Reference", Mapping: []adapters.Mapping{mapping()},
		Auth: adapters.AuthOAuth2, OAuth: &adapters.OAuth{TokenURL: "http://127.0.0.1/token", BasicAuth: true},
		Batch: batch, Timeout: 10 * time.Second,
		Settings: []adapters.Setting{{Name: "pageSize", Help: "customers in one page, 1 to 100", Default: "100"}},
		Open:     open,
	}
}

// mapping carries every field of a customer, each as a member in canonical form.
func mapping() adapters.Mapping {
	m := adapters.Mapping{Kind: domain.KindCustomer, Object: "customers", IDField: "ref", Known: []string{"colour"}, Sparse: true,
		Flat: func(o adapters.Object) adapters.Object { in, _ := o["fields"].(map[string]any); return in }}
	ki, _ := m.Kind.Info()
	for _, fi := range ki.Fields {
		key := string(fi.Name)
		m.Rows = append(m.Rows, adapters.Row{Field: fi.Name, Paths: []string{key},
			Get: func(o adapters.Object) domain.Value {
				if o[key] == nil {
					return domain.Null
				}
				return domain.ValueOf(o[key])
			},
			Set: func(o adapters.Object, v domain.Value) error { o[key] = json.RawMessage(v); return nil },
		})
	}
	return m
}

type adapter struct {
	s    adapters.Session
	m    adapters.Mapping
	size string
}

func open(s adapters.Session) (adapters.Adapter, error) {
	if n, err := strconv.Atoi(s.Settings["pageSize"]); err != nil || n < 1 || n > 100 {
		return nil, &domain.Error{Code: domain.Invalid, System: s.System, Op: "memory.Open", Message: "the setting pageSize must be a number from 1 to 100"}
	}
	return &adapter{s: s, m: mapping(), size: s.Settings["pageSize"]}, nil
}

// call sends one request and decodes the answer into out.
func (a *adapter) call(ctx context.Context, c adapters.Call, in, out any) (*adapters.Response, error) {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, a.err(domain.Internal, "the request cannot be written as JSON")
		}
		c.Body = b
	}
	resp, err := a.s.HTTP.Do(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(resp.Body, out); err != nil {
		code := domain.Unavailable
		if c.Write && !c.Safe {
			code = domain.Unknown
		}
		return nil, a.err(code, "the answer is not the JSON it should be")
	}
	return resp, nil
}

func (a *adapter) err(code domain.Code, format string, args ...any) *domain.Error {
	e := domain.Errorf(code, format, args...)
	e.System = a.s.System
	return e
}

// customer is one object as the vendor sends it.
type customer struct {
	ID         string          `json:"id"`
	Ref        string          `json:"ref"`
	Seq        int             `json:"seq"`
	ModifiedAt time.Time       `json:"modifiedAt"`
	MergedInto string          `json:"mergedInto"`
	Fields     adapters.Object `json:"fields"`
}

func (a *adapter) record(raw json.RawMessage, sent time.Time) (domain.Record, error) {
	var c customer
	if err := json.Unmarshal(raw, &c); err != nil || c.ID == "" {
		return domain.Record{}, a.err(domain.Internal, "a customer in the answer cannot be read")
	}
	r := domain.Record{Kind: domain.KindCustomer, ExternalID: c.ID, CanonicalID: c.Ref, MergedInto: c.MergedInto,
		Version: strconv.Itoa(c.Seq), ModifiedAt: c.ModifiedAt.UTC(), FetchedAt: sent, Raw: raw}
	r.Values, r.Issues, r.Unknown = a.m.Read(c.Fields)
	return r, nil
}

func (a *adapter) records(raws []json.RawMessage, sent time.Time) ([]domain.Record, error) {
	rs := make([]domain.Record, len(raws))
	for i, raw := range raws {
		var err error
		if rs[i], err = a.record(raw, sent); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

func (a *adapter) carries(kind domain.Kind) error {
	if kind != domain.KindCustomer {
		return a.err(domain.Unsupported, "the reference vendor does not carry %s", kind)
	}
	return nil
}

// Fetch reads one customer.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (r domain.Record, err error) {
	defer domain.Wrap(&err, "memory.Fetch")
	if err := a.carries(kind); err != nil {
		return r, err
	}
	var raw json.RawMessage
	resp, err := a.call(ctx, adapters.Call{Method: http.MethodGet, Path: "/v1/customers/" + url.PathEscape(externalID)}, nil, &raw)
	if err != nil {
		return r, err
	}
	return a.record(raw, resp.SentAt)
}

// Changes follows the vendor's change sequence, which has no gaps and no ties: nothing needs to overlap.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cursor string) (p adapters.Page, err error) {
	defer domain.Wrap(&err, "memory.Changes")
	p, err = a.page(ctx, kind, url.Values{"after": {cursor}})
	if p.Cursor = cursor; err == nil && len(p.Records) > 0 {
		p.Cursor = p.Records[len(p.Records)-1].Version
	}
	return p, err
}

// List goes by id: who is there all the time keeps their place, so the last page completes it.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cursor string) (p adapters.Page, err error) {
	defer domain.Wrap(&err, "memory.List")
	p, err = a.page(ctx, kind, url.Values{"from": {cursor}})
	if p.Cursor = cursor; err == nil && len(p.Records) > 0 {
		p.Cursor = p.Records[len(p.Records)-1].ExternalID
	}
	p.Complete = err == nil && !p.More
	return p, err
}

// FetchMany reads customers a page at a time.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (rs []domain.Record, err error) {
	defer domain.Wrap(&err, "memory.FetchMany")
	size, _ := strconv.Atoi(a.size) // checked by open
	for len(externalIDs) > 0 {
		n := min(len(externalIDs), size)
		p, err := a.page(ctx, kind, url.Values{"ids": {strings.Join(externalIDs[:n], ",")}})
		if err != nil {
			return nil, err
		}
		rs, externalIDs = append(rs, p.Records...), externalIDs[n:]
	}
	return rs, nil
}

func (a *adapter) page(ctx context.Context, kind domain.Kind, q url.Values) (p adapters.Page, err error) {
	if err := a.carries(kind); err != nil {
		return p, err
	}
	q.Set("limit", a.size)
	var out struct {
		Customers []json.RawMessage
		More      bool
	}
	resp, err := a.call(ctx, adapters.Call{Method: http.MethodGet, Path: "/v1/customers?" + q.Encode()}, nil, &out)
	if err != nil {
		return p, err
	}
	p.More = out.More
	p.Records, err = a.records(out.Customers, resp.SentAt)
	return p, err
}

// problem is why the vendor refuses one write.
type problem struct{ Message, Field string }

type item struct {
	ID  string          `json:"id,omitempty"`
	Ref string          `json:"ref,omitempty"`
	Key string          `json:"key,omitempty"`
	Set adapters.Object `json:"set"`
}

// Write sends all writes in one call. What the mapping cannot write is not sent.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	var items []item
	var at []int
	safe := true
	for i, w := range writes {
		it := item{ID: w.ExternalID, Ref: w.CanonicalID, Key: w.Key, Set: adapters.Object{}}
		err := a.carries(w.Kind)
		if err == nil {
			err = a.m.Write(it.Set, w.Values)
		}
		if err != nil {
			outs[i].Err = err
			continue
		}
		items, at = append(items, it), append(at, i)
		safe = safe && w.ExternalID != "" // setting fields twice is harmless, creating twice is not
	}
	if len(items) > 0 {
		a.send(ctx, items, at, safe, outs)
	}
	for i := range outs {
		domain.Wrap(&outs[i].Err, "memory.Write")
	}
	return outs
}

func (a *adapter) send(ctx context.Context, items []item, at []int, safe bool, outs []adapters.Outcome) {
	var answer struct {
		Results []struct {
			Customer json.RawMessage
			Created  bool
			Problem  *problem
		}
	}
	resp, err := a.call(ctx, adapters.Call{Method: http.MethodPost, Path: "/v1/customers/batch", Write: true, Safe: safe}, map[string]any{"items": items}, &answer)
	if err == nil && len(answer.Results) != len(items) {
		err = a.err(domain.Unknown, "the vendor answered %d of %d writes; they are looked up", len(answer.Results), len(items))
	}
	for j, i := range at {
		if err != nil {
			outs[i].Err = err
			continue
		}
		x := answer.Results[j]
		if x.Problem != nil {
			e := a.err(domain.Invalid, "%s", x.Problem.Message)
			e.Field = domain.Field(x.Problem.Field)
			outs[i].Err = e
			continue
		}
		outs[i].Created = x.Created
		outs[i].Record, outs[i].Err = a.record(x.Customer, resp.SentAt)
	}
}

// Find asks for our id, and for those not found by it for e-mail, ABN or name.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "memory.Find")
	found = make([][]domain.Record, len(queries))
	if err := a.carries(kind); err != nil || len(queries) == 0 {
		return found, err
	}
	type question struct {
		Ref    string          `json:"ref,omitempty"`
		Fields adapters.Object `json:"fields,omitempty"`
	}
	ask := func(questions []question) ([][]domain.Record, error) {
		var out struct{ Answers [][]json.RawMessage }
		resp, err := a.call(ctx, adapters.Call{Method: http.MethodPost, Path: "/v1/customers/find"}, map[string]any{"queries": questions}, &out)
		if err != nil {
			return nil, err
		}
		if len(out.Answers) != len(questions) {
			return nil, a.err(domain.Unavailable, "the vendor answered %d of %d questions", len(out.Answers), len(questions))
		}
		answers := make([][]domain.Record, len(out.Answers))
		for i, raws := range out.Answers {
			if answers[i], err = a.records(raws, resp.SentAt); err != nil {
				return nil, err
			}
		}
		return answers, nil
	}
	questions := make([]question, len(queries))
	for i, q := range queries {
		questions[i].Ref = q.CanonicalID
	}
	if found, err = ask(questions); err != nil {
		return nil, err
	}
	var missing []int
	questions = nil
	for i, q := range queries {
		fields := adapters.Object{}
		for _, f := range []domain.Field{"email", "abn", "legalName"} {
			if v := q.Values[f]; !v.Empty() {
				fields[string(f)] = json.RawMessage(v)
			}
		}
		if len(found[i]) == 0 && len(fields) > 0 {
			missing, questions = append(missing, i), append(questions, question{Fields: fields})
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	second, err := ask(questions)
	if err != nil {
		return nil, err
	}
	for j, i := range missing {
		found[i] = second[j]
	}
	return found, nil
}

// Receive verifies the signature over time and body and refuses what is older than 5 minutes.
func (a *adapter) Receive(hook adapters.Webhook, secrets []string) (n adapters.Notification, err error) {
	defer domain.Wrap(&err, "memory.Receive")
	at := hook.Header.Get("X-Memory-Time")
	good := false
	for _, s := range secrets {
		m := hmac.New(sha256.New, []byte(s))
		m.Write(append([]byte(at+"."), hook.Body...))
		sent, err := hex.DecodeString(hook.Header.Get("X-Memory-Signature"))
		good = good || err == nil && s != "" && hmac.Equal(m.Sum(nil), sent)
	}
	ms, parseErr := strconv.ParseInt(at, 10, 64)
	if age := hook.At.Sub(time.UnixMilli(ms)); !good || parseErr != nil || age > maxAge || age < -maxAge {
		return n, a.err(domain.Unauthentic, "the webhook's signature does not verify or is too old; check the webhook key")
	}
	var events []struct {
		ID  string
		Seq int64
		At  time.Time
	}
	if json.Unmarshal(hook.Body, &events) != nil {
		return n, a.err(domain.Invalid, "the webhook's body is not the JSON it should be")
	}
	for _, x := range events {
		n.Signals = append(n.Signals, adapters.Signal{Kind: domain.KindCustomer, ExternalID: x.ID, OccurredAt: x.At, DedupeKey: strconv.FormatInt(x.Seq, 10)})
	}
	return n, nil
}

// Check names the account.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "memory.Check")
	var out struct{ Name string }
	if _, err := a.call(ctx, adapters.Call{Method: http.MethodGet, Path: "/v1/account"}, nil, &out); err != nil {
		return h, err
	}
	return adapters.Health{Account: out.Name}, nil
}

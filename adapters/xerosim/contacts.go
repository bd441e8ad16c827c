package xerosim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const noID = "00000000-0000-0000-0000-000000000000"

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

type pagination struct {
	Page      int `json:"page"`
	PageSize  int `json:"pageSize"`
	PageCount int `json:"pageCount"`
	ItemCount int `json:"itemCount"`
}

func (s *Sim) listContacts(r *http.Request, _ []byte) answer {
	q := r.URL.Query()
	want, err := parseWhere(q.Get("where"))
	if err != nil {
		return refusal(http.StatusBadRequest, 16, "QueryParseException", err.Error())
	}
	order, err := parseOrder(q.Get("order"))
	if err != nil {
		return refusal(http.StatusBadRequest, 16, "QueryParseException", err.Error())
	}
	since, err := parseSince(r.Header.Get("If-Modified-Since"))
	if err != nil {
		return refusal(http.StatusBadRequest, 16, "QueryParseException", err.Error())
	}
	var ids []string
	if v := q.Get("IDs"); v != "" {
		ids = strings.Split(strings.ToLower(v), ",")
		for _, id := range ids {
			if !guid.MatchString(id) {
				return refusal(http.StatusBadRequest, 16, "QueryParseException", "The value '"+id+"' in IDs is not a valid identifier")
			}
		}
	}
	archived, summary, term := q.Get("includeArchived") == "true", q.Get("summaryOnly") == "true", strings.ToLower(q.Get("searchTerm"))

	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*contact
	for _, c := range s.contacts {
		switch {
		case c.ContactStatus != "ACTIVE" && !archived,
			!since.IsZero() && !c.UpdatedDateUTC.After(since),
			ids != nil && !slices.Contains(ids, c.ContactID),
			term != "" && !c.mentions(term),
			want != nil && !want(c):
			continue
		}
		found = append(found, c)
	}
	slices.SortFunc(found, order)

	var page *pagination
	if q.Has("page") || q.Has("pageSize") {
		page = &pagination{Page: max(1, number(q.Get("page"), 1)), PageSize: min(max(number(q.Get("pageSize"), 100), 1), 1000), ItemCount: len(found)}
		page.PageCount = (page.ItemCount + page.PageSize - 1) / page.PageSize
		from := min((page.Page-1)*page.PageSize, len(found))
		found = found[from:min(from+page.PageSize, len(found))]
	}
	list := make([]any, len(found))
	for i, c := range found {
		list[i] = view(c, page != nil, summary)
	}
	return s.envelope("Contacts", list, page)
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

func (c *contact) mentions(term string) bool {
	for _, v := range []string{c.Name, c.FirstName, c.LastName, c.ContactNumber, c.EmailAddress} {
		if strings.Contains(strings.ToLower(v), term) {
			return true
		}
	}
	return false
}

// view returns a copy of c as a list shows it: unpaged lists leave out the members that only pages have, summaries the
// ones that Xero has to compute.
func view(c *contact, paged, summary bool) any {
	n := c.clone()
	if !paged {
		n.MergedToContactID, n.PaymentTerms, n.Website = "", nil, ""
	}
	if !summary {
		return n
	}
	b, err := marshal(n)
	if err != nil {
		panic("xerosim: " + err.Error())
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic("xerosim: " + err.Error())
	}
	for _, k := range []string{"ContactGroups", "ContactPersons", "Balances", "IsSupplier", "IsCustomer", "HasAttachments", "PaymentTerms"} {
		delete(m, k)
	}
	return m
}

// parseSince reads If-Modified-Since, to the second. Xero takes an HTTP date and ISO 8601 with or without a zone.
func parseSince(h string) (time.Time, error) {
	if h == "" {
		return time.Time{}, nil
	}
	if t, err := http.ParseTime(h); err == nil {
		return t.UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, h); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("the If-Modified-Since header %q is not a date", h)
}

// find returns the contact by id or, for anything that is no id, by ContactNumber. The caller holds the lock.
func (s *Sim) find(key string) *contact {
	if guid.MatchString(key) {
		return s.contacts[strings.ToLower(key)]
	}
	return s.contacts[s.byNumber[key]]
}

func (s *Sim) getContact(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(r.PathValue("id"))
	if c == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("Contacts", []any{view(c, true, false)}, nil)
}

// result is one element of an answer to a write.
type result struct {
	*contact
	StatusAttributeString string            `json:",omitempty"`
	ValidationErrors      []validationError `json:",omitempty"`
}

func (s *Sim) putContacts(r *http.Request, body []byte) answer  { return s.writeContacts(r, body, "") }
func (s *Sim) postContacts(r *http.Request, body []byte) answer { return s.writeContacts(r, body, "") }

func (s *Sim) postContact(r *http.Request, body []byte) answer {
	s.mu.Lock()
	c := s.find(r.PathValue("id"))
	s.mu.Unlock()
	if c == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.writeContacts(r, body, c.ContactID)
}

func (s *Sim) writeContacts(r *http.Request, body []byte, only string) answer {
	if ct := r.Header.Get("Content-Type"); ct != "" && !strings.Contains(ct, "json") {
		return refusal(http.StatusUnsupportedMediaType, 17, "UnsupportedMediaType", "This simulator reads application/json, not "+ct)
	}
	raws, err := decode(body)
	if err != nil {
		return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "The string '"+clip(body)+"' is not valid JSON: "+err.Error())
	}
	if only != "" && len(raws) != 1 {
		return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "One contact is expected at this address")
	}
	perElement := strings.EqualFold(r.URL.Query().Get("summarizeErrors"), "false")

	s.mu.Lock()
	defer s.mu.Unlock()
	undo := s.snapshot()
	results := make([]result, len(raws))
	failed := 0
	var created, updated, noop int
	var events []hookEvent
	for i, raw := range raws {
		var in incoming
		if err := json.Unmarshal(raw, &in); err != nil {
			undo()
			return refusal(http.StatusBadRequest, 14, "PostDataInvalidException", "A contact could not be read: "+err.Error())
		}
		if only != "" {
			in.ContactID = &only
		}
		c, msgs, kind := s.put(&in, r.Method == http.MethodPut)
		results[i] = result{contact: c, StatusAttributeString: "OK"}
		if len(msgs) > 0 {
			failed++
			c.HasValidationErrors = true
			results[i].StatusAttributeString = "ERROR"
			for _, m := range msgs {
				results[i].ValidationErrors = append(results[i].ValidationErrors, validationError{m})
			}
			continue
		}
		switch kind {
		case didCreate:
			created++
			events = append(events, hookEvent{c.ContactID, "CREATE", c.UpdatedDateUTC.Time})
		case didUpdate:
			updated++
			events = append(events, hookEvent{c.ContactID, "UPDATE", c.UpdatedDateUTC.Time})
		case didNothing:
			noop++
			events = append(events, hookEvent{c.ContactID, "UPDATE", c.UpdatedDateUTC.Time})
		}
	}
	if failed > 0 && !perElement {
		undo()
		s.Wrote(r, 0, 0, 0)
		elements := make([]any, 0, failed)
		for _, res := range results {
			if len(res.ValidationErrors) > 0 {
				res.StatusAttributeString = ""
				elements = append(elements, res)
			}
		}
		return refusal(http.StatusBadRequest, 10, "ValidationException", "A validation exception occurred", elements...)
	}
	s.Wrote(r, created, updated, noop)
	s.notify(events...)
	return s.envelope("Contacts", results, nil)
}

func clip(b []byte) string {
	if len(b) > 100 {
		b = b[:100]
	}
	return strings.ToValidUTF8(string(b), "")
}

// snapshot returns a function that puts the contacts back as they are now. The caller holds the lock.
func (s *Sim) snapshot() func() {
	contacts, numbers := make(map[string]*contact, len(s.contacts)), make(map[string]string, len(s.byNumber))
	for k, v := range s.contacts {
		contacts[k] = v
	}
	for k, v := range s.byNumber {
		numbers[k] = v
	}
	return func() { s.contacts, s.byNumber = contacts, numbers }
}

// What a write did.
type did int

const (
	didNothing did = iota
	didCreate
	didUpdate
)

// put creates or updates one contact. With messages nothing was written and the contact is what was asked for. The
// caller holds the lock.
func (s *Sim) put(in *incoming, createOnly bool) (*contact, []string, did) {
	var old *contact
	switch id, no := text(in.ContactID), text(in.ContactNumber); {
	case id != "" && id != noID && !createOnly:
		if old = s.contacts[strings.ToLower(id)]; old == nil {
			c, _ := in.apply(emptyContact(id))
			return c, []string{"The contact with the ContactID " + id + " could not be found."}, didNothing
		}
	case no != "":
		old = s.contacts[s.byNumber[no]]
		if old != nil && createOnly {
			c, _ := in.apply(emptyContact(noID))
			return c, []string{"The contact number " + no + " is already assigned to another contact."}, didNothing
		}
	}
	base := old
	if base == nil {
		base = emptyContact(noID)
	}
	c, msgs := in.apply(base)
	if old != nil && old.MergedToContactID != "" {
		msgs = append(msgs, "The contact has been merged into another contact and cannot be updated.")
	}
	msgs = append(msgs, s.clashes(c)...)
	if len(msgs) > 0 {
		return c, msgs, didNothing
	}
	kind := didUpdate
	switch {
	case old == nil:
		kind = didCreate
		c.ContactID = s.UUID()
	case c.same(old):
		kind = didNothing
	}
	s.store(c)
	return c.clone(), nil, kind
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// clashes lists what other contacts already have. The caller holds the lock.
func (s *Sim) clashes(c *contact) []string {
	var msgs []string
	if id := s.byNumber[c.ContactNumber]; c.ContactNumber != "" && id != "" && id != c.ContactID {
		msgs = append(msgs, "The contact number "+c.ContactNumber+" is already assigned to another contact.")
	}
	name, account := false, false
	for _, o := range s.contacts {
		if o.ContactID == c.ContactID || o.ContactStatus != "ACTIVE" || c.ContactStatus != "ACTIVE" {
			continue
		}
		name = name || strings.EqualFold(o.Name, c.Name)
		account = account || c.AccountNumber != "" && o.AccountNumber == c.AccountNumber
	}
	if name {
		msgs = append(msgs, "The contact name "+c.Name+" is already assigned to another contact. The contact name must be unique across all active contacts.")
	}
	if account {
		msgs = append(msgs, "The Account Number already exists. Please enter a different Account Number.")
	}
	return msgs
}

// store keeps c and stamps it. The caller holds the lock.
func (s *Sim) store(c *contact) {
	now := s.Now().Truncate(time.Millisecond)
	c.UpdatedDateUTC, c.UpdatedDateUTCString = msTime{now}, now.Format("2006-01-02T15:04:05.999")
	if old := s.contacts[c.ContactID]; old != nil && old.ContactNumber != c.ContactNumber && s.byNumber[old.ContactNumber] == c.ContactID {
		delete(s.byNumber, old.ContactNumber)
	}
	if c.ContactNumber != "" && s.byNumber[c.ContactNumber] == "" {
		s.byNumber[c.ContactNumber] = c.ContactID
	}
	s.contacts[c.ContactID] = c
}

// byUpdated is Xero's default order. Contacts of one millisecond keep a stable order among themselves.
func byUpdated(a, b *contact) int {
	return cmp.Or(a.UpdatedDateUTC.Compare(b.UpdatedDateUTC.Time), cmp.Compare(a.ContactID, b.ContactID))
}

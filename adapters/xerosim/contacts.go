package xerosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const noID = "00000000-0000-0000-0000-000000000000"

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

func (s *Sim) listContacts(r *http.Request, _ []byte) answer {
	q := r.URL.Query()
	l, bad := readListing(r, "Contact", "ContactID", contactMembers)
	if bad != nil {
		return *bad
	}
	ids, bad := readIDs(r, "IDs")
	if bad != nil {
		return *bad
	}
	archived, summary, term := q.Get("includeArchived") == "true", q.Get("summaryOnly") == "true", strings.ToLower(q.Get("searchTerm"))

	s.mu.Lock()
	defer s.mu.Unlock()
	found, page := paged(r, l.pick(s.contacts, func(c *contact) time.Time { return c.UpdatedDateUTC.Time }, func(c *contact) bool {
		return (c.ContactStatus == "ACTIVE" || archived) && (ids == nil || slices.Contains(ids, c.ContactID)) && (term == "" || c.mentions(term))
	}))
	list := make([]any, len(found))
	for i, c := range found {
		list[i] = view(c, page != nil, summary)
	}
	return s.envelope("Contacts", list, page)
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
	return batch(s, r, body, "Contacts", only != "", func(in *incoming) outcome {
		if only != "" {
			in.ContactID = &only
		}
		c, msgs, did := s.put(in, r.Method == http.MethodPut)
		c.HasValidationErrors = len(msgs) > 0
		o := outcome{shown: c, msgs: msgs, did: did}
		o.events = []hookEvent{{category: "CONTACT", id: c.ContactID, kind: eventKind(did), at: c.UpdatedDateUTC.Time}}
		return o
	})
}

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

package xerosim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"datum/adapters/sim"
)

const contactType = "contacts"

// Types lists the types of objects: "contacts".
func (s *Sim) Types() []string { return []string{contactType} }

// shown is a contact as the control surface shows it.
type shown struct {
	*contact
	Archived bool `json:"archived"`
}

// Objects returns every contact, in the order of creation as far as UpdatedDateUTC tells it.
func (s *Sim) Objects(typ string) ([]any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*contact, 0, len(s.contacts))
	for _, c := range s.contacts {
		all = append(all, c)
	}
	slices.SortFunc(all, byUpdated)
	out := make([]any, len(all))
	for i, c := range all {
		out[i] = shown{c.clone(), c.ContactStatus != "ACTIVE"}
	}
	return out, nil
}

// Put is a person in Xero's own screens: beside what the API takes they can set Website, and make the contact a supplier
// or a customer (IsSupplier, IsCustomer) as entering a bill or an invoice would, which does not move UpdatedDateUTC.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	var in struct {
		incoming
		Website                *string
		IsSupplier, IsCustomer *bool
	}
	if err := readScreen(properties, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := emptyContact("")
	if id != "" {
		if old = s.contacts[strings.ToLower(id)]; old == nil {
			return nil, fmt.Errorf("there is no contact %s", id)
		}
	}
	c, msgs := in.apply(old)
	if in.Website != nil {
		c.Website = *in.Website
	}
	if msgs = append(msgs, s.clashes(c)...); len(msgs) > 0 {
		return nil, errors.New(strings.Join(msgs, " "))
	}
	unseen := c.same(old)
	c.IsSupplier, c.IsCustomer = or(in.IsSupplier, c.IsSupplier), or(in.IsCustomer, c.IsCustomer)
	switch {
	case id == "":
		c.ContactID = s.UUID()
		s.store(c)
		s.notify(hookEvent{c.ContactID, "CREATE", c.UpdatedDateUTC.Time})
	case unseen:
		s.contacts[c.ContactID] = c
	default:
		s.store(c)
		s.notify(hookEvent{c.ContactID, "UPDATE", c.UpdatedDateUTC.Time})
	}
	return shown{c.clone(), c.ContactStatus != "ACTIVE"}, nil
}

// readScreen decodes what a person entered. What the screen shows and nobody can enter may be there and is left alone; a
// member that no contact has is an error.
func readScreen(properties map[string]any, in any) error {
	properties = maps.Clone(properties)
	maps.DeleteFunc(properties, func(name string, _ any) bool {
		return slices.ContainsFunc(shownOnly, func(s string) bool { return strings.EqualFold(s, name) })
	})
	b, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return fmt.Errorf("the properties are not those of a Xero contact such as Name, EmailAddress, TaxNumber, Addresses, Phones: %w", err)
	}
	return nil
}

var shownOnly = []string{"archived", "UpdatedDateUTC", "UpdatedDateUTCString", "MergedToContactID", "Balances", "ContactGroups",
	"HasAttachments", "HasValidationErrors"}

func or(p *bool, otherwise bool) bool {
	if p == nil {
		return otherwise
	}
	return *p
}

// Merge archives the loser and points it at the winner.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, l := s.contacts[strings.ToLower(winner)], s.contacts[strings.ToLower(loser)]
	switch {
	case w == nil || l == nil:
		return nil, errors.New("winner and loser must be two contacts")
	case w.MergedToContactID != "" || l.MergedToContactID != "":
		return nil, errors.New("a contact that was merged away cannot be merged again")
	}
	w, l = w.clone(), l.clone()
	l.ContactStatus, l.MergedToContactID = "ARCHIVED", w.ContactID
	w.IsCustomer, w.IsSupplier = w.IsCustomer || l.IsCustomer, w.IsSupplier || l.IsSupplier
	s.store(l)
	s.store(w)
	s.notify(hookEvent{l.ContactID, "UPDATE", l.UpdatedDateUTC.Time}, hookEvent{w.ContactID, "UPDATE", w.UpdatedDateUTC.Time})
	return shown{w.clone(), w.ContactStatus != "ACTIVE"}, nil
}

// Delete archives: Xero's contacts cannot be deleted.
func (s *Sim) Delete(typ, id string) error {
	_, err := s.Put(typ, cmp.Or(id, noID), map[string]any{"ContactStatus": "ARCHIVED"})
	return err
}

// Duplicates counts the surplus active contacts of one ContactNumber.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, surplus := map[string]bool{}, 0
	for _, c := range s.contacts {
		if c.ContactNumber == "" || c.ContactStatus != "ACTIVE" {
			continue
		}
		if seen[c.ContactNumber] {
			surplus++
		}
		seen[c.ContactNumber] = true
	}
	return surplus
}

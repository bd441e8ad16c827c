package myobsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"datum/adapters/sim"
)

// Types lists the types of objects that people work with.
func (s *Sim) Types() []string {
	var types []string
	for _, r := range resources() {
		if r.readOnly {
			continue
		}
		types = append(types, r.typ)
		if r.credits != "" {
			types = append(types, r.credits)
		}
	}
	return types
}

// tableOf finds the table of a type. The caller holds the lock.
func (s *Sim) tableOf(typ string) *table {
	for _, t := range s.tables {
		if t.resource.typ == typ || t.resource.credits == typ {
			return t
		}
	}
	return nil
}

// Objects returns every object of the type as the API shows it, in the order of creation; an inactive one is archived.
func (s *Sim) Objects(typ string) ([]any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tableOf(typ)
	out := []any{}
	for _, x := range t.sorted() {
		if t.resource.typeOf(x.object) == typ {
			out = append(out, s.onScreen(t, x))
		}
	}
	return out, nil
}

func (s *Sim) onScreen(t *table, x *row) object {
	o := s.show(x.object, t.resource, "", false)
	o["archived"] = o["IsActive"] == false
	return o
}

// Put is a person in MYOB's own screens. What is given is laid over what is there, member by member; lists are replaced. A
// new card gets the file's tax code. CurrentBalance may be given as entering an invoice would change it: that moves
// RowVersion and not LastModified.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	return s.enter(typ, id, "", properties)
}

// Seed is Put of a new object whose UID is known beforehand, for tests that need to name it.
func (s *Sim) Seed(typ, uid string, properties map[string]any) error {
	_, err := s.enter(typ, "", strings.ToLower(uid), properties)
	return err
}

// enter puts an object under the id, or a new one under uid or a UID that is drawn.
func (s *Sim) enter(typ, id, uid string, properties map[string]any) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tableOf(typ)
	properties, err := plain(properties)
	if err != nil {
		return nil, err
	}
	old := object{}
	if id != "" {
		x := t.rows[strings.ToLower(id)]
		if x == nil {
			return nil, fmt.Errorf("there is no %s %s", t.resource.name, id)
		}
		old = x.object
	}
	for name := range properties {
		switch {
		case find(own, name) != nil || name == "archived": // shown, and not to be entered
			delete(properties, name)
		case find(t.resource.schema, name) == nil:
			return nil, fmt.Errorf("a %s has no member %s", t.resource.name, name)
		}
	}
	before, err := plain(copyOf(old, t.resource.schema, "", false))
	if err != nil {
		return nil, err
	}
	if id != "" && t.resource.fixed {
		return nil, fmt.Errorf("a %s cannot be changed", t.resource.name)
	}
	if id == "" {
		before = object{}
		if t.resource.blank != nil {
			before = t.resource.blank(s)
		}
		before = t.resource.assume(before)
	} else if p := t.resource.frozen(s, old); p != nil {
		return nil, errors.New(p.Message)
	}
	given := lay(before, properties)
	if t.resource.enter != nil {
		t.resource.enter(s, given)
	}
	kept := lay(object{}, old)
	for _, name := range t.resource.computed {
		if v, ok := properties[name]; ok {
			kept[name] = v
		}
	}
	o, refused := s.read(t, given, kept)
	if refused != nil {
		var msgs []string
		for _, p := range refused.body.(map[string]any)["Errors"].([]problem) {
			msgs = append(msgs, p.Message)
		}
		return nil, errors.New(strings.Join(msgs, "; "))
	}
	if id != "" {
		uid = strings.ToLower(id)
	} else if uid == "" {
		uid = s.UUID()
	}
	stamped := id == "" || touches(properties, t.resource.computed)
	return s.onScreen(t, s.keep(t, uid, o, stamped)), nil
}

// touches reports whether a person entered anything but computed members.
func touches(properties object, computed []string) bool {
	for name := range properties {
		if !slices.Contains(computed, name) {
			return true
		}
	}
	return false
}

// plain returns o as JSON would bring it.
func plain(o object) (object, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	in, refused := decode(b)
	if refused != nil {
		return nil, errors.New("the properties are no object")
	}
	return in, nil
}

// lay returns over laid on under.
func lay(under, over object) object {
	out := object{}
	for k, v := range under {
		out[k] = v
	}
	for k, v := range over {
		a, okA := out[k].(object)
		b, okB := v.(object)
		if okA && okB {
			v = lay(a, b)
		}
		out[k] = v
	}
	return out
}

// taxCode returns a link to the code. The caller holds the lock.
func (s *Sim) taxCode(code string) object {
	for uid, x := range s.tables["GeneralLedger/TaxCode"].rows {
		if x.object["Code"] == code {
			return object{"UID": uid}
		}
	}
	return nil
}

// Merge combines two customers' cards: the loser is gone, and its balance is the winner's.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ != "customers" {
		return nil, fmt.Errorf("MYOB combines customers, not %s", typ)
	}
	t := s.tableOf(typ)
	w, l := t.rows[strings.ToLower(winner)], t.rows[strings.ToLower(loser)]
	if w == nil || l == nil {
		return nil, fmt.Errorf("winner and loser must be two %s", typ)
	}
	o := lay(object{}, w.object)
	o["CurrentBalance"] = sum(w.object["CurrentBalance"], l.object["CurrentBalance"])
	delete(t.rows, strings.ToLower(loser))
	s.rename("Customer", l.object["UID"], w.object["UID"])
	return s.onScreen(t, s.store(t, strings.ToLower(winner), o, true)), nil
}

// Delete removes an object for good.
func (s *Sim) Delete(typ, id string) error {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tableOf(typ)
	x := t.rows[strings.ToLower(id)]
	if x == nil {
		return fmt.Errorf("there is no %s %s", t.resource.name, id)
	}
	if t.resource.removable != nil {
		if p := t.resource.removable(s, x.object); p != nil {
			return errors.New(p.Message)
		}
	}
	s.drop(t, strings.ToLower(id))
	return nil
}

// foreignID is an id of the kind that integrations leave in memos: a word, an underscore and 26 letters and digits.
var foreignID = regexp.MustCompile(`\b[a-z]{3}_[0-9a-z]{26}\b`)

// Duplicates counts the surplus objects with one foreign id: cards and items by their custom field, transactions by their memo.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, surplus := map[any]bool{}, 0
	for _, t := range s.tables {
		for _, x := range t.rows {
			f, _ := x.object[s.opts.IDField].(object)
			v := f["Value"]
			for _, memo := range []string{"JournalMemo", "Memo"} {
				if text, _ := x.object[memo].(string); foreignID.MatchString(text) {
					v = foreignID.FindString(text)
				}
			}
			if v == nil {
				continue
			}
			if seen[v] {
				surplus++
			}
			seen[v] = true
		}
	}
	return surplus
}

package myobsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"datum/adapters/sim"
)

// Types lists the types of objects that people work with.
func (s *Sim) Types() []string {
	var types []string
	for _, r := range resources() {
		if !r.readOnly {
			types = append(types, r.typ)
		}
	}
	return types
}

// tableOf finds the table of a type. The caller holds the lock.
func (s *Sim) tableOf(typ string) *table {
	for _, t := range s.tables {
		if t.resource.typ == typ {
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
		out = append(out, s.onScreen(t, x))
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
	if id == "" {
		before = object{"IsActive": true, "SellingDetails": object{"TaxCode": s.taxCode("GST"), "FreightTaxCode": s.taxCode("GST")}}
	}
	given := lay(before, properties)
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
	uid := strings.ToLower(id)
	if id == "" {
		uid = s.UUID()
	}
	stamped := id == "" || touches(properties, t.resource.computed)
	return s.onScreen(t, s.store(t, uid, o, stamped)), nil
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

// Merge combines two cards: the loser is gone, and its balance is the winner's.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tableOf(typ)
	w, l := t.rows[strings.ToLower(winner)], t.rows[strings.ToLower(loser)]
	if w == nil || l == nil {
		return nil, fmt.Errorf("winner and loser must be two %s", typ)
	}
	o := lay(object{}, w.object)
	o["CurrentBalance"] = sum(w.object["CurrentBalance"], l.object["CurrentBalance"])
	delete(t.rows, strings.ToLower(loser))
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
		if p := t.resource.removable(x.object); p != nil {
			return errors.New(p.Message)
		}
	}
	delete(t.rows, strings.ToLower(id))
	return nil
}

// Duplicates counts the surplus cards with one value of the custom field that holds our id.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, surplus := map[any]bool{}, 0
	for _, x := range s.tableOf("customers").rows {
		f, _ := x.object[s.opts.IDField].(object)
		v := f["Value"]
		if v == nil {
			continue
		}
		if seen[v] {
			surplus++
		}
		seen[v] = true
	}
	return surplus
}

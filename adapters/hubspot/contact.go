package hubspot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/domain"
)

// place is one contact on a company's list: who is wanted, and the object that is or becomes that person.
type place struct {
	j    *job
	want domain.Contact
	o    object // without an ID until it is found or created
	link bool   // it is not yet associated with the company
}

// roster is what a company's contacts are to become.
type roster struct {
	j      *job
	places []*place
	leave  []object // to be taken off
	stay   []object // without any data: not contacts in our eyes, and left alone
}

// writeContacts makes the contacts of companies equal to the lists wanted. The steps are ordered so that a failure
// between two of them is repaired by repeating all.
func (a *Adapter) writeContacts(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	var rosters []*roster
	for _, j := range jobs {
		rosters = append(rosters, a.match(j))
	}
	a.lookUp(ctx, rosters)
	if a.writePeople(ctx, rosters) {
		a.lookUp(ctx, rosters)
		a.writePeople(ctx, rosters)
	}
	a.link(ctx, rosters)
	a.unlink(ctx, rosters)
	a.order(ctx, rosters)
}

// canonical is a contact as normalisation would have it, for comparison.
func canonical(c domain.Contact) domain.Contact {
	ki, _ := domain.KindCustomer.Info()
	fi, _ := ki.Field("contacts")
	v, _ := domain.Normalize(fi, domain.ValueOf([]domain.Contact{c}))
	var list []domain.Contact
	if v.Decode(&list) != nil || len(list) != 1 {
		return domain.Contact{}
	}
	return list[0]
}

func sameName(a, b domain.Contact) bool {
	return a.FirstName+a.LastName != "" && strings.EqualFold(a.FirstName, b.FirstName) && strings.EqualFold(a.LastName, b.LastName)
}

// match pairs the wanted contacts with those that are there: the same in every way, else by e-mail, else by name.
func (a *Adapter) match(j *job) *roster {
	r := &roster{j: j}
	free := ordered(j.after)
	for _, c := range j.people {
		r.places = append(r.places, &place{j: j, want: c, link: true})
	}
	for _, same := range []func(want, have domain.Contact) bool{
		func(w, h domain.Contact) bool { return w == h },
		func(w, h domain.Contact) bool { return w.Email != "" && strings.EqualFold(w.Email, h.Email) },
		sameName,
	} {
		for _, p := range r.places {
			if p.o.ID != "" {
				continue
			}
			i := slices.IndexFunc(free, func(o object) bool { return same(p.want, canonical(person(o))) })
			if i >= 0 {
				p.o, p.link = free[i], false
				free = slices.Delete(free, i, i+1)
			}
		}
	}
	for _, o := range free {
		if canonical(person(o)) == (domain.Contact{}) {
			r.stay = append(r.stay, o)
		} else {
			r.leave = append(r.leave, o)
		}
	}
	return r
}

// lookUp finds people who are in HubSpot already, by e-mail, before they are created.
func (a *Adapter) lookUp(ctx context.Context, rosters []*roster) {
	byEmail := map[string][]*place{}
	for _, r := range rosters {
		for _, p := range r.places {
			if p.o.ID == "" && p.want.Email != "" {
				e := strings.ToLower(p.want.Email)
				byEmail[e] = append(byEmail[e], p)
			}
		}
	}
	found, err := a.objectsWith(ctx, contacts, "email", slices.Collect(maps.Keys(byEmail)), personKeys)
	for _, ps := range byEmail {
		for _, p := range ps {
			p.j.fail(err, "contacts")
		}
	}
	for _, o := range found.objects {
		for _, p := range byEmail[strings.ToLower(o.Properties["email"])] {
			p.o = o
		}
	}
}

// writePeople updates the contacts that differ, marks those that are taken off, and creates the rest. It reports whether
// a contact that two companies want was created for one of them: the other one has to look it up.
func (a *Adapter) writePeople(ctx context.Context, rosters []*roster) (again bool) {
	var updates, creates []input
	var updated, created []*place
	making := map[string]bool{} // e-mails of those being created
	for _, r := range rosters {
		if r.j.err != nil {
			continue
		}
		taken := map[string]bool{}
		for _, p := range r.places {
			taken[p.o.Properties[contactKey]] = true
		}
		for _, p := range r.places {
			set := personProperties(p.want)
			if e := strings.ToLower(p.want.Email); p.o.ID == "" && e != "" && making[e] {
				again = true
				continue
			} else if p.o.ID == "" {
				making[e] = true
				key := keyFor(r.j, p.want, taken)
				set[formerCompany] = ""
				creates, created = append(creates, input{ID: key, IDProperty: contactKey, Properties: set}), append(created, p)
				continue
			}
			have := personProperties(canonical(person(p.o)))
			maps.DeleteFunc(set, func(k, v string) bool { return have[k] == v })
			if p.o.Properties[formerCompany] != "" {
				set[formerCompany] = ""
			}
			if len(set) > 0 {
				updates, updated = append(updates, input{ID: p.o.ID, Properties: set}), append(updated, p)
			}
		}
		for i := range r.leave {
			if r.leave[i].Properties[formerCompany] == r.j.after.ID {
				continue
			}
			p := &place{j: r.j, o: r.leave[i]}
			r.leave[i].Properties = maps.Clone(p.o.Properties)
			r.leave[i].Properties[formerCompany] = r.j.after.ID
			updates, updated = append(updates, input{ID: p.o.ID, Properties: map[string]string{formerCompany: r.j.after.ID}}), append(updated, p)
		}
	}
	take := func(places []*place, results []result) {
		for i, res := range results {
			p := places[i]
			if res.err != nil {
				p.j.fail(res.err, "contacts")
				continue
			}
			properties := maps.Clone(p.o.Properties)
			if properties == nil {
				properties = map[string]string{}
			}
			maps.Copy(properties, res.o.Properties)
			p.o = object{Type: contacts, ID: res.o.ID, Properties: properties, CreatedAt: res.o.CreatedAt, UpdatedAt: res.o.UpdatedAt}
			p.j.at(res.sent)
		}
	}
	take(updated, a.batch(ctx, contacts, "update", updates))
	take(created, a.batch(ctx, contacts, "upsert", creates))
	return again
}

func (j *job) at(sent time.Time) {
	if sent.After(j.sent) {
		j.sent = sent
	}
}

// keyFor is the unique key of a new contact of a company: the same whenever the same creation is tried again, and not
// that of another contact on the list.
func keyFor(j *job, c domain.Contact, taken map[string]bool) string {
	h := sha256.Sum256([]byte(strings.ToLower(strings.Join([]string{c.FirstName, c.LastName, c.Email, c.Phone}, "\x00"))))
	owner := j.w.CanonicalID
	if owner == "" {
		owner = j.after.ID
	}
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s/%s/%d", owner, hex.EncodeToString(h[:8]), n)
		if !taken[key] {
			taken[key] = true
			return key
		}
	}
}

// link associates the new ones with their company.
func (a *Adapter) link(ctx context.Context, rosters []*roster) {
	var pairs []pair
	var jobs []*job
	for _, r := range rosters {
		for _, p := range r.places {
			if r.j.err == nil && p.link && p.o.ID != "" {
				pairs, jobs = append(pairs, pair{From: ref{r.j.after.ID}, To: ref{p.o.ID}}), append(jobs, r.j)
			}
		}
	}
	a.associate(ctx, companies, contacts, pairs, jobs, "contacts")
}

// unlink takes the leaving ones off. They were marked before, so that no poll takes them for customers of their own.
func (a *Adapter) unlink(ctx context.Context, rosters []*roster) {
	var list []separation
	var jobs []*job
	for _, r := range rosters {
		if r.j.err != nil || len(r.leave) == 0 {
			continue
		}
		s := separation{From: ref{r.j.after.ID}}
		for _, o := range r.leave {
			s.To = append(s.To, ref{o.ID})
		}
		list, jobs = append(list, s), append(jobs, r.j)
	}
	a.separate(ctx, companies, contacts, list, jobs, "contacts")
}

// order puts the contacts into the records, and stores their order where ids would give another.
func (a *Adapter) order(ctx context.Context, rosters []*roster) {
	var inputs []input
	var jobs []*job
	for _, r := range rosters {
		if r.j.err != nil {
			continue
		}
		var want []string
		o := &r.j.after
		o.Contacts = nil
		for _, p := range r.places {
			want = append(want, p.o.ID)
			o.Contacts = append(o.Contacts, p.o)
		}
		o.Contacts = append(o.Contacts, r.stay...)
		got := idsOf(ordered(*o))
		got = slices.DeleteFunc(got, func(id string) bool { return !slices.Contains(want, id) })
		if !slices.Equal(got, want) {
			inputs, jobs = append(inputs, input{ID: o.ID, Properties: map[string]string{contactOrder: strings.Join(want, ";")}}), append(jobs, r.j)
		}
	}
	for i, res := range a.batch(ctx, companies, "update", inputs) {
		if res.err != nil {
			jobs[i].fail(res.err, "contacts")
			continue
		}
		jobs[i].took(res)
	}
}

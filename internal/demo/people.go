package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"datum/adapters/sim"
)

// people edit in both vendors' screens, sometimes the same customer in both.
type people struct {
	crm, accounting Simulator
	r               *rand.Rand

	mu     sync.Mutex
	edits  int
	latest string
	spared []string // ids that they leave alone
}

// spare keeps people away from the customer of the story.
func (p *people) spare(ids ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spared = ids
}

// faults make webhooks come twice, late, out of order or never, and vendor calls fail now and then.
func (p *people) faults(sims ...Simulator) error {
	for _, s := range sims {
		for _, f := range []sim.Fault{
			{Kind: sim.FaultDrop, Rate: 0.15}, {Kind: sim.FaultDuplicate, Rate: 0.2}, {Kind: sim.FaultDelay, Rate: 0.15, Delay: sim.Duration(2 * time.Second)},
			{Kind: sim.FaultReorder, Rate: 0.1},
			{Kind: sim.FaultReset, Method: "POST", Path: "Contacts", Rate: 0.05}, {Kind: sim.FaultReset, Method: "POST", Path: "batch", Rate: 0.02},
			{Kind: sim.FaultStatus, Status: 503, Rate: 0.02, Method: "GET"}, {Kind: sim.FaultSlow, Rate: 0.05, Delay: sim.Duration(300 * time.Millisecond)},
		} {
			if _, err := s.AddFault(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// edit runs until ctx ends: about two edits a second in the CRM and one every two seconds in accounting.
func (p *people) edit(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.editCRM()
		if n%4 == 0 {
			p.editAccounting()
		}
		if n%10 == 9 {
			p.newCustomer(n)
		}
	}
}

func (p *people) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.edits++
	p.latest = fmt.Sprintf(format, args...)
}

func (p *people) count() (int, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edits, p.latest
}

// someone picks a live object of the type and returns its id and a name.
func (p *people) someone(s Simulator, typ string) (id, name string) {
	objects, err := s.Objects(typ)
	if err != nil || len(objects) == 0 {
		return "", ""
	}
	for range 20 {
		o := plain(objects[p.r.IntN(len(objects))])
		if !live(o) {
			continue
		}
		id, ok := o["ContactID"].(string)
		name = fmt.Sprint(o["Name"])
		if !ok {
			props, _ := o["properties"].(map[string]any)
			id, name = fmt.Sprint(o["id"]), fmt.Sprint(props["name"])
		}
		p.mu.Lock()
		spared := slices.Contains(p.spared, id)
		p.mu.Unlock()
		if !spared {
			return id, name
		}
	}
	return "", ""
}

func plain(o any) map[string]any {
	b, _ := json.Marshal(o)
	var m map[string]any
	_ = json.Unmarshal(b, &m)
	return m
}

func live(o map[string]any) bool {
	return o["archived"] != true && o["ContactStatus"] != "ARCHIVED" && o["ContactStatus"] != "GDPRREQUEST"
}

func (p *people) editCRM() {
	id, name := p.someone(p.crm, "companies")
	if id == "" {
		return
	}
	place := pick(p.r, places)
	var props map[string]any
	switch p.r.IntN(5) {
	case 0:
		props = map[string]any{"phone": fmt.Sprintf("%s 5550 %04d", place.area, p.r.IntN(10000))}
	case 1:
		props = map[string]any{"description": fmt.Sprintf("called on a %s, wants a quote by the %dth", time.Weekday(p.r.IntN(7)), 4+p.r.IntN(17))}
	case 2:
		props = map[string]any{"city": place.suburb, "state": place.state, "zip": place.postcode} // accounting owns it: will be restored
	case 3:
		props = map[string]any{"name": name + " Holdings"} // accounting owns it: becomes a proposal
		if len(name) > 80 {
			props = map[string]any{"lifecyclestage": "customer"}
		}
	default:
		props = map[string]any{"trading_name": strings.TrimSuffix(pick(p.r, firstWords)+" "+pick(p.r, trades), " ")}
	}
	if _, err := p.crm.Put("companies", id, props); err == nil {
		p.note("sales changed %s of %s", keysOf(props), strings.TrimSpace(name))
	}
}

func (p *people) editAccounting() {
	id, name := p.someone(p.accounting, "contacts")
	if id == "" {
		return
	}
	place := pick(p.r, places)
	var props map[string]any
	switch p.r.IntN(3) {
	case 0:
		props = map[string]any{"Addresses": []any{map[string]any{"AddressType": "POBOX", "AddressLine1": fmt.Sprintf("PO Box %d", p.r.IntN(999)), "City": place.suburb,
			"Region": place.state, "PostalCode": place.postcode, "Country": "Australia"}}}
	case 1:
		props = map[string]any{"PaymentTerms": map[string]any{"Sales": map[string]any{"Day": 7 * (1 + p.r.IntN(4)), "Type": "DAYSAFTERBILLDATE"}}}
	default:
		props = map[string]any{"EmailAddress": fmt.Sprintf("payables%d@%s.example", p.r.IntN(1000), "customer")} // the CRM owns it: a proposal
	}
	if _, err := p.accounting.Put("contacts", id, props); err == nil {
		p.note("accounting changed %s of %s", keysOf(props), name)
	}
}

func (p *people) newCustomer(n int) {
	b := businesses(p.r, 16)[p.r.IntN(16)]
	b.Name = strings.TrimSpace(b.Name) + fmt.Sprintf(" %d", 1000+n)
	b.Email = fmt.Sprintf("new%d@walkin.example", n)
	if n%20 == 9 {
		if _, err := p.accounting.Put("contacts", "", b.xero()); err == nil {
			p.note("accounting entered a new customer, %s", b.Name)
		}
		return
	}
	typ, props := b.hubspot()
	if _, err := p.crm.Put(typ, "", props); err == nil {
		p.note("sales entered a new customer, %s", b.Name)
	}
}

func keysOf(m map[string]any) string {
	for k := range m {
		return k
	}
	return "nothing"
}

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// story follows one ugly customer through every system, step by step, and prints the summary beside it, until ctx ends.
type story struct {
	*watch
	hero    business
	id      string // of the customer
	company string // its id in the simulated CRM
	contact string // and in accounting
	told    map[int64]bool
}

func (w *watch) story(ctx context.Context, bs []business) {
	s := &story{watch: w, told: map[int64]bool{}}
	for _, b := range bs {
		if b.XeroSuburb != "" {
			s.hero = b
			break
		}
	}
	summary, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for pause(summary, 5*time.Second) {
			if st, err := w.read(summary); err == nil {
				w.print(st)
			}
		}
	}()
	for _, step := range []func(context.Context) bool{s.meet, s.phone, s.order, s.restore, s.propose, s.outage} {
		if !step(ctx) {
			break
		}
		if !pause(ctx, 2*time.Second) {
			return
		}
	}
	<-ctx.Done()
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%5.1fs  > %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// until waits for ok as long as the demo lasts, at most 20 s.
func (s *story) until(ctx context.Context, ok func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if ok() {
			return true
		}
		if !pause(ctx, 10*time.Millisecond) {
			return false
		}
	}
	return false
}

// meet finds the customer and tells how it came together.
func (s *story) meet(ctx context.Context) bool {
	if !s.until(ctx, func() bool {
		cs, err := store.ListViews(ctx, s.d.Pool, domain.KindCustomer, store.ViewFilter{Is: map[domain.Field][]string{"abn": {s.hero.ABN}}}, store.ViewPage{Order: store.ByID, Limit: 1})
		if err != nil || len(cs) == 0 {
			return false
		}
		s.id = cs[0].ID
		recs, err := store.RecordsOf(ctx, s.d.Pool, []string{s.id})
		if err != nil {
			return false
		}
		for _, r := range recs {
			switch r.System {
			case "crm":
				_, s.company, _ = strings.Cut(r.ExternalID, "/")
			case "accounting":
				s.contact = r.ExternalID
			}
		}
		return s.company != "" && s.contact != ""
	}) {
		return false
	}
	s.p.spare(s.company, s.contact)
	s.say("follow %s, ABN %s: HubSpot has it in %s, Xero in %s. To Datum it is one customer (%s):", s.hero.Name, spaced(s.hero.ABN), s.hero.Suburb, s.hero.XeroSuburb, s.id)
	s.tell(ctx, true)
	s.why(ctx, "billingAddress")
	return true
}

// phone is an edit by the owner of a field: it travels.
func (s *story) phone(ctx context.Context) bool {
	at := time.Now()
	s.say("sales changes its phone number in HubSpot, and the CRM owns phone numbers ...")
	if _, err := s.s.CRM.Put("companies", s.company, map[string]any{"phone": "03 5550 7777"}); err != nil {
		return false
	}
	if !s.until(ctx, func() bool {
		return strings.Contains(fmt.Sprint(s.inXero()), "5550 7777") || strings.Contains(fmt.Sprint(s.inXero()), "55507777")
	}) {
		return ctx.Err() == nil
	}
	late := ""
	if time.Since(at) > 2*time.Second {
		late = "; its webhook was one of those that are late or lost, and the next look, every 10 s here, makes up for them"
	}
	s.say("... and after %d ms it is in Xero%s", time.Since(at).Milliseconds(), late)
	return true
}

// order is a sale in the shop: it becomes an invoice, a payment, a copy in the other books, a job for the warehouse, less stock.
func (s *story) order(ctx context.Context) bool {
	s.say("somebody buys a kettle and tea in the shop (Shopify) and pays by card ...")
	at := time.Now()
	o, err := s.s.Shop.Put("order", "", map[string]any{"financialStatus": "paid", "customerId": s.shopper(),
		"lines": []any{map[string]any{"sku": "KET-17", "quantity": 1}, map[string]any{"sku": "TEA-250", "quantity": 2}}})
	if err != nil {
		s.say("the order failed: %v", err)
		return true
	}
	name := path(plain(o), "name")
	var number string
	for _, step := range []struct {
		system, typ string
		is          func(x map[string]any) string
	}{
		{"accounting", "invoices", func(x map[string]any) string {
			if path(x, "Reference") != name {
				return ""
			}
			number = path(x, "InvoiceNumber")
			return fmt.Sprintf("invoice %s over %s, of which %s is GST (tea has none), is in Xero", number, path(x, "Total"), path(x, "TotalTax"))
		}},
		{"accounting", "invoices", func(x map[string]any) string {
			if path(x, "Reference") != name || path(x, "Status") != "PAID" {
				return ""
			}
			return "its payment is booked there and the invoice is paid"
		}},
		{"branch", "invoices", func(x map[string]any) string {
			if number == "" || path(x, "Number") != number {
				return ""
			}
			return "MYOB has the same invoice under the same number"
		}},
		{"warehouse", "sales", func(x map[string]any) string {
			id := path(x, "ExternalID")
			ids, err := orderIDs(ctx, s.d)
			if err != nil || id == "" || ids[name] != id {
				return ""
			}
			return "Cin7 Core has the order and has set the goods aside"
		}},
	} {
		found := ""
		s.until(ctx, func() bool {
			list, err := listOf(s.s.of(step.system), step.typ)
			for _, x := range list {
				if err == nil && found == "" {
					found = step.is(x)
				}
			}
			return found != ""
		})
		if found == "" {
			s.say("... %s takes its time: its calls a minute are used up, and the order waits its turn", vendorOf(step.system))
			return ctx.Err() == nil
		}
		s.say("... after %.1f s %s", time.Since(at).Seconds(), found)
	}
	return true
}

// shopper enters a customer in the shop and returns the id.
func (s *story) shopper() string {
	o, err := s.s.Shop.Put("customer", "", map[string]any{"name": "Edith Walker", "email": "edith.walker@shoppers.example"})
	if err != nil {
		return ""
	}
	return path(plain(o), "id")
}

// restore is an edit by a system that does not own the field, where the policy says: put it back.
func (s *story) restore(ctx context.Context) bool {
	s.say("sales types a billing address in Perth into HubSpot, but accounting (Xero) owns billing addresses ...")
	if _, err := s.s.CRM.Put("companies", s.company, map[string]any{"city": "Perth", "state": "WA", "zip": "6000"}); err != nil {
		return false
	}
	s.until(ctx, func() bool { return s.tell(ctx, false) > 0 })
	s.why(ctx, "billingAddress")
	return true
}

// propose is such an edit where the policy says: ask a person. The person accepts.
func (s *story) propose(ctx context.Context) bool {
	name := strings.TrimSpace(s.hero.Trading) + " Australia Pty Ltd"
	s.say("sales renames it %q in HubSpot; the legal name is accounting's too, but this one the policy wants a person to decide ...", name)
	if _, err := s.s.CRM.Put("companies", s.company, map[string]any{"name": name}); err != nil {
		return false
	}
	var c *store.Case
	if !s.until(ctx, func() bool {
		cases, err := store.CasesOf(ctx, s.d.Pool, []string{s.id})
		for i := range cases {
			if err == nil && cases[i].Kind == store.CaseConflict && cases[i].Field == "legalName" {
				c = &cases[i]
			}
		}
		return c != nil
	}) {
		return ctx.Err() == nil
	}
	s.say("a case is open: %s. What to do: %s", strings.TrimSuffix(c.Detail.Message, "."), c.Detail.Next)
	if !pause(ctx, 2*time.Second) {
		return false
	}
	at := time.Now()
	if _, err := s.d.Engine.Applier().Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceAccept, Cause: change.Cause{Actor: "Jo in finance", CorrelationID: domain.NewID("cor")}}); err != nil {
		s.say("the case could not be decided: %v", err)
		return true
	}
	s.say("Jo in finance accepts; it is written to Xero, which owns it ...")
	if s.until(ctx, func() bool { return strings.Contains(fmt.Sprint(s.inXero()), name) }) {
		s.say("... and is there after %d ms", time.Since(at).Milliseconds())
	}
	s.tell(ctx, false)
	s.why(ctx, "legalName")
	return true
}

// outage is a vendor that does not answer while somebody edits.
func (s *story) outage(ctx context.Context) bool {
	s.say("now Xero stops answering (503) ...")
	if _, err := s.s.Accounting.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 503}); err != nil {
		return false
	}
	restored := false
	restore := func() {
		if !restored {
			restored = true
			s.s.Accounting.ClearFaults()
			_ = s.p.faults(s.s.Accounting)
		}
	}
	defer restore()
	if _, err := s.s.CRM.Put("companies", s.company, map[string]any{"phone": "03 5550 8888"}); err != nil {
		return false
	}
	s.say("... and sales changes the phone number again")
	said := s.until(ctx, func() bool {
		ps, err := store.ProjectionsOf(ctx, s.d.Pool, []string{s.id})
		for _, p := range ps {
			if err == nil && p.System == "accounting" && p.Status == store.Pending && p.Error != "" {
				s.say("Datum says: Xero is behind by %s (last answer: %s); it is tried again by itself", p.Diff, p.Error)
				return true
			}
		}
		return false
	})
	if !pause(ctx, 3*time.Second) || !said {
		return ctx.Err() == nil
	}
	restore()
	at := time.Now()
	s.say("Xero answers again ...")
	if s.until(ctx, func() bool { return strings.Contains(strings.ReplaceAll(fmt.Sprint(s.inXero()), " ", ""), "55508888") }) {
		s.say("... and %.1f s later the new number is there: nothing was lost, nothing was written twice", time.Since(at).Seconds())
	}
	return true
}

func (s *story) inXero() any {
	objects, err := s.s.Accounting.Objects("contacts")
	if err != nil {
		return nil
	}
	for _, o := range objects {
		if m := plain(o); m["ContactID"] == s.contact {
			return m
		}
	}
	return nil
}

// why explains one golden value from Datum's own state.
func (s *story) why(ctx context.Context, f domain.Field) {
	es, err := store.Entities(ctx, s.d.Pool, []string{s.id})
	if err != nil || len(es) != 1 {
		return
	}
	p := es[0].Provenance[f]
	s.say("why is its %s %s? %s", words(f), short(es[0].Golden[f]), map[string]string{
		"owner":    fmt.Sprintf("because %s says so, and it owns it", vendorOf(p.System)),
		"fallback": fmt.Sprintf("because %s says so; %s owns it and has no value", vendorOf(p.System), vendorOf(p.Owner)),
		"pin":      fmt.Sprintf("because a person decided so; it is on its way to %s, which owns it", vendorOf(p.Owner)),
		"none":     "because nobody has a value"}[p.Why])
}

// tell prints the history rows that have not been told yet, or their decisions only, and returns how many there were.
func (s *story) tell(ctx context.Context, all bool) int {
	rows, err := store.HistoryOf(ctx, s.d.Pool, s.id, 0, 500)
	if err != nil {
		return 0
	}
	n := 0
	line := func(format string, args ...any) {
		n++
		fmt.Fprintf(s.out, "          %s\n", fmt.Sprintf(format, args...))
	}
	for _, h := range rows {
		if s.told[h.ID] {
			continue
		}
		s.told[h.ID] = true
		switch h.Action {
		case store.ActionLinked:
			line("%s's record belongs to it: %s", vendorOf(h.System), h.Note)
		case store.ActionSet:
			if all && h.Field == "billingAddress" {
				line("its %s becomes %s: the word of %s", words(h.Field), short(h.New), vendorOf(h.System))
			}
		case store.ActionRestored:
			line("%s said the %s is %s; put back to %s, because %s owns it", vendorOf(h.System), words(h.Field), short(h.Old), short(h.New), vendorOf(h.Owner))
		case store.ActionProposed:
			line("%s said the %s is %s; a person decides, because %s owns it", vendorOf(h.System), words(h.Field), short(h.Old), vendorOf(h.Owner))
		case store.ActionPinned:
			line("%s", h.Note)
		case store.ActionUnpinned:
			line("the new %s is %s", words(h.Field), strings.Replace(h.Note, h.Owner, vendorOf(h.Owner), 1))
		}
	}
	return n
}

// vendorOf is what people call a system of the demo.
func vendorOf(system string) string {
	return map[string]string{"crm": "HubSpot", "accounting": "Xero", "shop": "Shopify", "warehouse": "Cin7 Core", "branch": "MYOB", "database": "the database", "ops": "Datum"}[system]
}

// words takes a field's name apart: "billing address".
func words(f domain.Field) string {
	var b strings.Builder
	for _, r := range string(f) {
		if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// short is a value as people write it.
func short(v domain.Value) string {
	s := string(v)
	var a domain.Address
	if strings.HasPrefix(s, "{") && v.Decode(&a) == nil && a.Suburb+a.Postcode != "" {
		s = strings.TrimSpace(strings.Join(append(a.Lines, strings.Join([]string{a.Suburb, a.State, a.Postcode}, " ")), ", "))
	}
	if r := []rune(s); len(r) > 110 {
		return string(r[:110]) + "…"
	}
	return s
}

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/store"
)

// trouble makes one case of every kind come about as they do in a business, and decides one of each over GraphQL, as people
// do in the console: first the preview, then the decision, then a look into the vendor's own books.
type trouble struct {
	*watch
	url, key string            // of the API; the key is an admin's
	hero     string            // a company in HubSpot that is left alone
	sheet    map[string]string // telephone numbers by company in HubSpot, from a spreadsheet
	revoked  bool
}

const (
	walkIn   = "Fenceline Rural Supplies Pty Ltd" // entered in MYOB, which may not make customers
	beans    = "BEA-1"                            // HubSpot does not take its new price
	dearer   = "41.35"
	spoons   = "SPO-6" // sold and then not found
	shelf    = 45      // spoons that are there in truth
	rightABN = "51 824 753 556"
)

// make brings the troubles about. Kinds that come about by themselves (conflict, possible duplicate, refused, invalid data, gap)
// are in what was seeded and in what people do.
func (t *trouble) make(ctx context.Context) error {
	type step struct {
		what string
		do   func() error
	}
	for _, st := range []step{
		{"somebody enters a customer in MYOB, which by the policy may not make customers", func() error {
			_, err := t.s.Branch.Put("customers", "", map[string]any{"CompanyName": walkIn, "IsIndividual": false,
				"SellingDetails": map[string]any{"TaxCode": map[string]any{"Code": "GST"}, "FreightTaxCode": map[string]any{"Code": "GST"}}})
			return err
		}},
		{"MYOB's answers about customers have a new member, LoyaltyTier, that no mapping knows", func() error {
			_, err := t.s.Branch.AddFault(sim.Fault{Kind: sim.FaultAdd, Path: "Contact/Customer", Beside: "CompanyName", Field: "LoyaltyTier", Value: "GOLD"})
			return err
		}},
		{"beans cost more in the shop from now on, and HubSpot answers 500 whenever it is told the new price", t.poison},
		{"somebody imports a spreadsheet into HubSpot that changes the telephone numbers of a good part of all customers", t.spreadsheet},
		{"six spoons are sold, and the warehouse finds two", t.lose},
	} {
		t.say("trouble: %s", st.what)
		if err := st.do(); err != nil {
			return fmt.Errorf("trouble: %s: %w", st.what, err)
		}
		if !pause(ctx, 300*time.Millisecond) {
			return nil
		}
	}
	if pause(ctx, 18*time.Second) {
		t.say("trouble: somebody switches off the key of Cin7 Core")
		t.revoked = true
		t.s.Warehouse.(interface{ Revoke() }).Revoke()
	}
	return nil
}

func (t *trouble) say(format string, args ...any) {
	fmt.Fprintf(t.out, "%5.1fs  ! %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

func (t *trouble) poison() error {
	if _, err := t.s.CRM.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 500, Path: "products", Holds: dearer}); err != nil {
		return err
	}
	vs, err := listOf(t.s.Shop, "variant")
	if err != nil {
		return err
	}
	for _, v := range vs {
		if path(v, "sku") == beans {
			_, err = t.s.Shop.Put("variant", path(v, "id"), map[string]any{"price": dearer})
		}
	}
	return err
}

func (t *trouble) spreadsheet() error {
	companies, err := listOf(t.s.CRM, "companies")
	if err != nil {
		return err
	}
	t.sheet = map[string]string{}
	for i, c := range companies {
		id := path(c, "id")
		if !live(c) || id == t.hero || i%3 != 0 || len(t.sheet) == 100 {
			continue
		}
		number := fmt.Sprintf("02 5550 %04d", 2000+i)
		if _, err := t.s.CRM.Put("companies", id, map[string]any{"phone": number}); err != nil {
			return err
		}
		t.sheet[id] = number
	}
	return nil
}

func (t *trouble) lose() error {
	c := commerce{s: t.s}
	customer, err := c.shopper("Ivy Spooner", "ivy.spooner@shoppers.example", nil)
	if err != nil {
		return err
	}
	if _, err := t.s.Shop.Put("order", "", map[string]any{"customerId": customer, "financialStatus": "paid", "lines": []any{map[string]any{"sku": spoons, "quantity": 6}}}); err != nil {
		return err
	}
	return t.count(2)
}

// count is a stocktake of the spoons.
func (t *trouble) count(n int) error {
	_, err := t.s.Warehouse.Put("availability", "", map[string]any{"SKU": spoons, "Location": mainWarehouse, "OnHand": n})
	return err
}

// gqlCase is a case as the API shows it.
type gqlCase struct {
	ID, Kind, Title, System, Field string
	EntityID                       string `json:"-"`
	Entity                         *struct{ ID string }
	Choices                        []string
	Detail                         struct{ Theirs, Ours any }
}

// ask sends one GraphQL request.
func (t *trouble) ask(ctx context.Context, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+t.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var in struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&in); err != nil {
		return err
	}
	if len(in.Errors) > 0 {
		return domain.Errorf(domain.Internal, "the API says: %s", in.Errors[0].Message)
	}
	return json.Unmarshal(in.Data, out)
}

// open returns the open cases of a kind, newest first.
func (t *trouble) open(ctx context.Context, kind string) ([]gqlCase, error) {
	var out struct{ Cases struct{ Nodes []gqlCase } }
	err := t.ask(ctx, `query Open($kind: CaseKind!) { cases(first: 100, filter: {kind: $kind}) { nodes { id kind title system field entity { id } choices detail } } }`,
		map[string]any{"kind": strings.ToUpper(kind)}, &out)
	for i := range out.Cases.Nodes {
		if e := out.Cases.Nodes[i].Entity; e != nil {
			out.Cases.Nodes[i].EntityID = e.ID
		}
	}
	return out.Cases.Nodes, err
}

// decided is what became of one kind of case in the demo.
type decided struct {
	Kind   string `json:"kind"`
	Opened int64  `json:"opened"` // since the beginning
	Choice string `json:"choice,omitempty"`
	Effect string `json:"effect,omitempty"` // what was then seen in the vendor's books
}

// answer is how people decide one kind of case.
type answer struct {
	kind   string
	choice string
	which  func(c gqlCase) bool                                // nil is any
	look   map[string]domain.Kind                              // systems that are looked through if there is no case yet: webhooks get lost
	before func() error                                        // what is put right in the vendor first
	with   func(c gqlCase) map[string]any                      // field, value
	seen   func(ctx context.Context, c gqlCase) (string, bool) // what the vendor's own books show then
}

// decide decides one case of each kind over GraphQL and looks at the vendor. It returns what became of each kind.
func (t *trouble) decide(ctx context.Context) (all []decided, err error) {
	for _, a := range t.answers() {
		d := decided{Kind: a.kind}
		if a.choice != "" {
			if d.Choice, d.Effect, err = t.give(ctx, a); err != nil {
				return nil, fmt.Errorf("deciding a case of kind %s: %w", a.kind, err)
			}
		}
		all = append(all, d)
	}
	opened, err := store.CountOpened(ctx, t.d.Pool)
	for i := range all {
		all[i].Opened = opened[all[i].Kind]
	}
	return all, err
}

// first returns the first case that the answer is for. If there is none yet it has the systems looked through whose webhooks about
// its cause may have got lost, and waits for a minute; nil if there is none even then.
func (t *trouble) first(ctx context.Context, a answer) (*gqlCase, error) {
	var looked time.Time
	for end := time.Now().Add(time.Minute); ; {
		cases, err := t.open(ctx, a.kind)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(cases, func(c gqlCase) bool { return slices.Contains(c.Choices, a.choice) && (a.which == nil || a.which(c)) })
		if i >= 0 {
			return &cases[i], nil
		}
		if len(a.look) == 0 || time.Now().After(end) {
			return nil, nil
		}
		if time.Since(looked) > 20*time.Second { // one that is under way may have passed it already
			looked = time.Now()
			for system, kind := range a.look {
				if err := t.d.Engine.Sweep(ctx, system, kind); err != nil {
					return nil, err
				}
			}
		}
		if !pause(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
}

// give decides the first case that the answer is for; without one it says nothing.
func (t *trouble) give(ctx context.Context, a answer) (choice, effect string, err error) {
	found, err := t.first(ctx, a)
	if err != nil || found == nil {
		return "", "", err
	}
	c := *found
	if a.before != nil {
		if err := a.before(); err != nil {
			return "", "", err
		}
	}
	input := map[string]any{"id": c.ID, "choice": a.choice, "comment": "decided in the demo"}
	if a.with != nil {
		for k, v := range a.with(c) {
			input[k] = v
		}
	}
	var ahead struct {
		PreviewCase struct {
			Writes     []struct{ System, Name string }
			UserErrors []struct{ Message string }
		}
	}
	if err := t.ask(ctx, `query Ahead($input: ResolveCaseInput!) { previewCase(input: $input) { writes { system name } userErrors { message } } }`,
		map[string]any{"input": input}, &ahead); err != nil {
		return "", "", err
	}
	var out struct {
		ResolveCase struct{ UserErrors []struct{ Message string } }
	}
	if err := t.ask(ctx, `mutation Decide($input: ResolveCaseInput!) { resolveCase(input: $input) { userErrors { message } } }`, map[string]any{"input": input}, &out); err != nil {
		return "", "", err
	}
	for _, e := range out.ResolveCase.UserErrors {
		return "", "", domain.Errorf(domain.Invalid, "%s: %s", c.Title, e.Message)
	}
	effect = "nothing is written"
	if a.seen != nil {
		effect = ""
		for end := time.Now().Add(3 * time.Minute); effect == ""; {
			if saw, ok := a.seen(ctx, c); ok {
				effect = saw
			} else if time.Now().After(end) {
				return "", "", domain.Errorf(domain.Unavailable, "%s: decided with %s, and the effect is not in the vendor's books after 3 minutes", c.Title, a.choice)
			}
			if !pause(ctx, 100*time.Millisecond) {
				return "", "", ctx.Err()
			}
		}
	}
	t.say("%s: %s. Decided over GraphQL: %s (the preview said %d writes) ... %s", strings.ReplaceAll(a.kind, "_", " "), c.Title, a.choice, len(ahead.PreviewCase.Writes), effect)
	return a.choice, effect, nil
}

// answers are the decisions, one for each kind.
func (t *trouble) answers() []answer {
	const shorter = "The Extended Family Discretionary Trust"
	holds := func(s Simulator, typ, what string, is func(o map[string]any) bool) func(context.Context, gqlCase) (string, bool) {
		return func(context.Context, gqlCase) (string, bool) {
			list, err := listOf(s, typ)
			return what, err == nil && slices.ContainsFunc(list, is)
		}
	}
	crmProperty := func(name, value string) func(o map[string]any) bool {
		return func(o map[string]any) bool {
			return live(o) && strings.ReplaceAll(path(o, "properties", name), " ", "") == strings.ReplaceAll(value, " ", "")
		}
	}
	return []answer{
		{kind: store.CaseConflict, choice: "keep_ours", which: func(c gqlCase) bool { return c.System == "crm" && c.Field == "legalName" && c.EntityID != "" },
			seen: func(ctx context.Context, c gqlCase) (string, bool) {
				es, err := store.Entities(ctx, t.d.Pool, []string{c.EntityID})
				if err != nil || len(es) != 1 {
					return "", false
				}
				name := es[0].Golden["legalName"].Text()
				_, ok := holds(t.s.CRM, "companies", "", crmProperty("name", name))(ctx, c)
				return fmt.Sprintf("HubSpot says %q again", name), ok
			}},
		{kind: store.CaseDuplicate, choice: "different", which: func(c gqlCase) bool { return c.EntityID != "" }, seen: func(ctx context.Context, c gqlCase) (string, bool) {
			rs, err := store.RecordsOf(ctx, t.d.Pool, []string{c.EntityID})
			i := slices.IndexFunc(rs, func(r *store.Record) bool { return r.System == "accounting" && !r.Deleted })
			if err != nil || i < 0 {
				return "", false
			}
			return holds(t.s.Accounting, "contacts", "the second one is in Xero, too", func(o map[string]any) bool { return path(o, "ContactID") == rs[i].ExternalID })(ctx, c)
		}},
		{kind: store.CaseRefused, choice: "edit", which: func(c gqlCase) bool { return c.System == "accounting" && strings.Contains(c.Title, "legalName") },
			with: func(gqlCase) map[string]any { return map[string]any{"field": "legalName", "value": shorter} },
			seen: holds(t.s.Accounting, "contacts", "Xero has it under the shorter name", func(o map[string]any) bool { return path(o, "Name") == shorter })},
		{kind: store.CaseInvalid, choice: "edit", which: func(c gqlCase) bool { return c.System == "crm" && c.Field == "abn" },
			with: func(gqlCase) map[string]any {
				return map[string]any{"field": "abn", "value": strings.ReplaceAll(rightABN, " ", "")}
			},
			seen: holds(t.s.CRM, "companies", "HubSpot has the right ABN", crmProperty("abn", rightABN))},
		{kind: store.CaseUnlinked, choice: "create", which: func(c gqlCase) bool { return c.System == "branch" && strings.Contains(c.Title, walkIn) },
			seen: holds(t.s.CRM, "companies", "the customer of MYOB is in HubSpot", crmProperty("name", walkIn))},
		{kind: store.CaseReauth, choice: "retry", which: func(c gqlCase) bool { return c.System == "warehouse" },
			before: func() error { t.s.Warehouse.(interface{ SwitchOn() }).SwitchOn(); return nil },
			seen: func(ctx context.Context, _ gqlCase) (string, bool) {
				open, err := t.open(ctx, store.CaseReauth)
				return "Cin7 Core is read and written again", err == nil && len(open) == 0
			}},
		{kind: store.CaseDrift, choice: "ignore"},
		{kind: store.CaseMassChange, choice: "approve", which: func(c gqlCase) bool { return c.System == "crm" },
			seen: func(ctx context.Context, _ gqlCase) (string, bool) {
				contacts, err := listOf(t.s.Accounting, "contacts")
				if err != nil {
					return "", false
				}
				all := fmt.Sprint(contacts)
				n := 0
				for _, number := range t.sheet {
					if strings.Contains(all, number[len(number)-4:]) {
						n++
					}
				}
				return fmt.Sprintf("%d of the spreadsheet's numbers are in Xero", n), n > len(t.sheet)*3/4
			}},
		{kind: store.CaseStuck, choice: "retry", which: func(c gqlCase) bool { return c.System == "crm" && c.EntityID != "" },
			look:   map[string]domain.Kind{"shop": domain.KindProduct},
			before: func() error { t.s.CRM.ClearFaults(); return nil },
			seen:   holds(t.s.CRM, "products", "HubSpot has the new price", func(o map[string]any) bool { return path(o, "properties", "price") == dearer })},
		{kind: store.CaseGap}, // closes by itself once what was missed has been read
		{kind: store.CaseFlow, choice: "ignore", which: func(c gqlCase) bool { return strings.Contains(c.Title, "oversold") },
			look: map[string]domain.Kind{"shop": domain.KindOrder, "warehouse": domain.KindStockLevel},
			seen: func(context.Context, gqlCase) (string, bool) {
				return "somebody finds the spoons and counts them", t.count(shelf) == nil
			}},
	}
}

// finish puts right what the decisions have left wrong in the vendors, so that everything can come to rest.
func (t *trouble) finish() {
	if t.revoked {
		t.s.Warehouse.(interface{ SwitchOn() }).SwitchOn()
	}
}

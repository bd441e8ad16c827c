package shopifysim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type customer struct {
	meta
	first, last, email, phone, note string
	tags                            []string
	taxExempt                       bool
	state                           string
	addresses                       []*address
	def                             int64 // id of the default address, 0 if there is none
	metafields                      metafields
}

type address struct {
	id                                                                            int64
	first, last, company, address1, address2, city, province, zip, country, phone string
}

// provinces are the names of those that the simulator knows, by country.
var provinces = map[string]map[string]string{
	"AU": {"ACT": "Australian Capital Territory", "NSW": "New South Wales", "NT": "Northern Territory", "QLD": "Queensland", "SA": "South Australia", "TAS": "Tasmania", "VIC": "Victoria", "WA": "Western Australia"},
	"NZ": {"AUK": "Auckland", "BOP": "Bay of Plenty", "CAN": "Canterbury", "WGN": "Wellington", "OTA": "Otago", "WKO": "Waikato"},
	"US": {"CA": "California", "NY": "New York", "TX": "Texas", "WA": "Washington"},
}

var countries = map[string]string{"AU": "Australia", "NZ": "New Zealand", "PL": "Poland", "US": "United States", "GB": "United Kingdom", "SG": "Singapore"}

var emailForm = regexp.MustCompile(`^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$`)
var phoneForm = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)

func (c *customer) name() string { return strings.TrimSpace(c.first + " " + c.last) }

// cleanPhone is a number as Shopify keeps it: E.164, read as Australian if it has no country; "" if it is none.
func cleanPhone(p string) string {
	p = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(p)
	if rest, ok := strings.CutPrefix(p, "0"); ok {
		p = "+61" + rest
	} else if p != "" && p[0] != '+' {
		p = "+61" + p
	}
	if !phoneForm.MatchString(p) {
		return ""
	}
	return p
}

// cleanTags is a list of tags as Shopify keeps it: split at commas, once each whatever their case, in alphabetical order.
func cleanTags(in []string) ([]string, *problem) {
	var out []string
	for _, list := range in {
		for _, t := range strings.Split(list, ",") {
			t = strings.TrimSpace(t)
			if t == "" || slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, t) }) {
				continue
			}
			if len([]rune(t)) > 255 {
				return nil, &problem{[]string{"tags"}, "Tags is too long (maximum is 255 characters)", "TOO_LONG"}
			}
			out = append(out, t)
		}
	}
	if len(out) > 250 {
		return nil, &problem{[]string{"tags"}, "Tags cannot be more than 250", "INVALID"}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return out, nil
}

// apply sets the members that an input gives; what it lacks stays. It leaves the customer alone if it finds problems.
func (s *Sim) apply(c *customer, in args) (ps []problem) {
	n := *c
	bad := func(field, message, code string) {
		ps = append(ps, problem{[]string{field}, message, code})
	}
	for _, m := range []struct {
		key, label string
		dst        *string
		most       int
	}{{"firstName", "First name", &n.first, 255}, {"lastName", "Last name", &n.last, 255}, {"note", "Note", &n.note, 5000}} {
		if in.has(m.key) {
			*m.dst = strings.TrimSpace(in.str(m.key))
			if len([]rune(*m.dst)) > m.most {
				bad(m.key, m.label+" is too long (maximum is "+strconv.Itoa(m.most)+" characters)", "TOO_LONG")
			}
		}
	}
	if in.has("email") {
		n.email = strings.ToLower(strings.TrimSpace(in.str("email")))
		if n.email != "" && !emailForm.MatchString(n.email) {
			bad("email", "Email is invalid", "INVALID")
		}
	}
	if in.has("phone") {
		if n.phone = cleanPhone(in.str("phone")); n.phone == "" && in.str("phone") != "" {
			bad("phone", "Phone is invalid", "INVALID")
		}
	}
	if in.has("tags") {
		tags, p := cleanTags(in.strs("tags"))
		if p != nil {
			ps = append(ps, *p)
		}
		n.tags = tags
	}
	if in.has("taxExempt") {
		n.taxExempt = in.bool("taxExempt")
	}
	for _, o := range s.customers {
		if o.id != c.id && n.email != "" && o.email == n.email {
			bad("email", "Email has already been taken", "TAKEN")
		}
		if o.id != c.id && n.phone != "" && o.phone == n.phone {
			bad("phone", "Phone has already been taken", "TAKEN")
		}
	}
	if n.first == "" && n.last == "" && n.email == "" && n.phone == "" {
		ps = append(ps, problem{nil, "A name, phone number, or email address must be present", "INVALID"})
	}
	if in.has("addresses") {
		n.addresses, n.def = nil, 0
		for i, a := range in.objs("addresses") {
			ad, p := s.readAddress(a, address{})
			if p != nil {
				p.field = append([]string{"addresses", strconv.Itoa(i)}, p.field...)
				ps = append(ps, *p)
				continue
			}
			if !slices.ContainsFunc(n.addresses, func(o *address) bool { return sameAddress(*o, ad) }) {
				for _, old := range c.addresses { // an address that stays keeps its id
					if sameAddress(*old, ad) {
						ad.id = old.id
					}
				}
				n.addresses = append(n.addresses, &ad)
			}
		}
		if len(n.addresses) > 0 {
			n.def = n.addresses[0].id
		}
	}
	if len(ps) == 0 {
		*c = n
	}
	return ps
}

func sameAddress(a, b address) bool {
	a.id, b.id = 0, 0
	return a == b
}

// readAddress reads an address over what there was.
func (s *Sim) readAddress(in args, a address) (address, *problem) {
	for k, dst := range map[string]*string{"firstName": &a.first, "lastName": &a.last, "company": &a.company, "address1": &a.address1,
		"address2": &a.address2, "city": &a.city, "zip": &a.zip, "phone": &a.phone, "countryCode": &a.country, "provinceCode": &a.province} {
		if in.has(k) {
			*dst = strings.TrimSpace(in.str(k))
			if len([]rune(*dst)) > 255 {
				return a, &problem{[]string{k}, "is too long (maximum is 255 characters)", "TOO_LONG"}
			}
		}
	}
	for code, name := range countries {
		if strings.EqualFold(in.str("country"), name) {
			a.country = code
		}
	}
	for code, name := range provinces[a.country] {
		if strings.EqualFold(in.str("province"), name) {
			a.province = code
		}
	}
	if a.country == "" {
		a.country = "AU"
	}
	if known := provinces[a.country]; a.province != "" && known[a.province] == "" {
		return a, &problem{[]string{"province"}, "Province is invalid", "INVALID"}
	}
	if a.phone != "" {
		if a.phone = cleanPhone(a.phone); a.phone == "" {
			return a, &problem{[]string{"phone"}, "Phone is invalid", "INVALID"}
		}
	}
	if a.id == 0 {
		a.id = s.made().id
	}
	return a, nil
}

// changedCustomer moves the stamp and tells the receiver.
func (s *Sim) changedCustomer(c *customer, topic string) {
	c.touch(s.Now())
	s.tell(topic, s.customerBody(c))
}

func (s *Sim) customerNode(c *customer) *node {
	if c == nil {
		return nil
	}
	f := fields{"id": gid("Customer", c.id), "legacyResourceId": text(c.id), "firstName": orNull(c.first), "lastName": orNull(c.last), "displayName": displayName(c),
		"email": orNull(c.email), "phone": orNull(c.phone), "note": orNull(c.note), "tags": c.tags, "taxExempt": c.taxExempt, "state": c.state,
		"createdAt": when(c.created), "updatedAt": when(c.updated), "verifiedEmail": true, "validEmailAddress": c.email != "", "locale": "en-AU",
		"lifetimeDuration": "about a year"}
	f["canDelete"] = lazy(func(args) (any, *failure) { return len(s.ordersOf(c.id)) == 0, nil })
	f["numberOfOrders"] = lazy(func(args) (any, *failure) { return text(int64(len(s.ordersOf(c.id)))), nil })
	if c.email != "" {
		f["defaultEmailAddress"] = &node{"CustomerEmailAddress", fields{"emailAddress": c.email, "validFormat": true, "marketingState": "NOT_SUBSCRIBED", "marketingUnsubscribeUrl": "https://" + domainName + "/unsubscribe"}}
	}
	if c.phone != "" {
		f["defaultPhoneNumber"] = &node{"CustomerPhoneNumber", fields{"phoneNumber": c.phone, "marketingState": "NOT_SUBSCRIBED"}}
	}
	var list []*node
	var c2 conn
	for _, a := range c.addresses {
		n := a.node()
		list = append(list, n)
		c2 = append(c2, item{id: a.id, make: func() *node { return n }})
		if a.id == c.def {
			f["defaultAddress"] = n
		}
	}
	f["addresses"], f["addressesV2"] = list, c2
	f["amountSpent"] = lazy(func(args) (any, *failure) {
		var spent int64
		for _, o := range s.ordersOf(c.id) {
			spent += o.received() - o.refunded()
		}
		return moneyNode(spent), nil
	})
	f["orders"] = lazy(func(a args) (any, *failure) { return s.findOrders(s.ordersOf(c.id), a), nil })
	return metafieldMembers(&node{"Customer", f}, "CUSTOMER", c.metafields)
}

func displayName(c *customer) string {
	for _, n := range []string{c.name(), c.email, c.phone} {
		if n != "" {
			return n
		}
	}
	return ""
}

func (a *address) node() *node {
	if a == nil {
		return nil
	}
	f := fields{"id": gid("MailingAddress", a.id), "firstName": orNull(a.first), "lastName": orNull(a.last), "name": orNull(strings.TrimSpace(a.first + " " + a.last)),
		"company": orNull(a.company), "address1": orNull(a.address1), "address2": orNull(a.address2), "city": orNull(a.city), "zip": orNull(a.zip),
		"countryCodeV2": orNull(a.country), "countryCode": orNull(a.country), "country": orNull(countries[a.country]), "provinceCode": orNull(a.province),
		"province": orNull(provinces[a.country][a.province]), "phone": orNull(a.phone)}
	var lines []string
	for _, l := range []string{a.address1, a.address2, strings.TrimSpace(a.city + " " + a.province + " " + a.zip), countries[a.country]} {
		if l != "" {
			lines = append(lines, l)
		}
	}
	f["formatted"] = lines
	return &node{"MailingAddress", f}
}

func matchCustomer(c *customer, t term) (found, known bool) {
	switch t.field {
	case "email":
		return t.text(c.email), true
	case "phone":
		return t.text(c.phone) || cleanPhone(t.value) == c.phone && c.phone != "", true
	case "first_name":
		return t.text(c.first), true
	case "last_name":
		return t.text(c.last), true
	case "tag":
		return t.text(c.tags...), true
	case "state":
		return t.text(c.state), true
	case "":
		words := append(strings.Fields(c.name()), c.email, c.phone, c.name())
		return t.text(words...), true
	}
	return false, false
}

func listCustomers(x *exec, a args) (any, *failure) {
	return find(x.s, sorted(x.s.customers), a, "Customer", matchCustomer, x.s.customerNode), nil
}

func customerByIdentifier(x *exec, a args) (any, *failure) {
	c, fail := x.s.identifyCustomer(a.obj("identifier"))
	return x.s.customerNode(c), fail
}

func (s *Sim) identifyCustomer(in args) (*customer, *failure) {
	switch {
	case in.has("id"):
		return s.customers[idOf("Customer", in.str("id"))], nil
	case in.has("customId"):
		id, fail := s.byCustomID("CUSTOMER", in.obj("customId"))
		return s.customers[id], fail
	}
	for _, c := range sorted(s.customers) {
		for _, k := range []string{"email", "emailAddress"} {
			if in.has(k) && strings.EqualFold(c.email, in.str(k)) && c.email != "" {
				return c, nil
			}
		}
		for _, k := range []string{"phone", "phoneNumber"} {
			if in.has(k) && c.phone == cleanPhone(in.str(k)) && c.phone != "" {
				return c, nil
			}
		}
	}
	return nil, nil
}

func setCustomer(x *exec, a args) (any, *failure) {
	s, ident, in := x.s, a.obj("identifier"), a.obj("input")
	answer := func(c *customer, ps []problem) (any, *failure) {
		for i := range ps {
			ps[i].field = append([]string{"input"}, ps[i].field...)
		}
		f := fields{}
		if c != nil {
			f["customer"] = later(func() *node { return s.customerNode(s.customers[c.id]) })
		}
		return payload("CustomerSet", ps, f), nil
	}
	c, fail := s.identifyCustomer(ident)
	if fail != nil {
		return nil, fail
	}
	if c == nil && ident.has("id") {
		return answer(nil, []problem{{[]string{"identifier"}, "Customer does not exist", "NOT_FOUND"}})
	}
	for _, k := range []string{"email", "phone"} {
		if ident.has(k) && !in.has(k) {
			in = args(mergeArgs(in, map[string]any{k: ident[k]}))
		}
	}
	if c == nil {
		c, ps := s.newCustomer(in)
		if len(ps) > 0 {
			return answer(nil, ps)
		}
		if id := ident.obj("customId"); id != nil {
			if _, p := s.setMetafield(holder{"CUSTOMER", c.id, &c.metafields}, id, []string{"identifier", "customId"}); p != nil {
				delete(s.customers, c.id)
				return answer(nil, []problem{*p})
			}
		}
		x.created++
		s.tell("customers/create", s.customerBody(c))
		return answer(c, nil)
	}
	return answer(c, x.editCustomer(c, in))
}

func mergeArgs(a args, b map[string]any) map[string]any {
	m := map[string]any{}
	for k, v := range a {
		m[k] = v
	}
	for k, v := range b {
		m[k] = v
	}
	return m
}

func (s *Sim) newCustomer(in args) (*customer, []problem) {
	c := &customer{meta: s.made(), state: "DISABLED"}
	if ps := s.apply(c, in); len(ps) > 0 {
		return nil, ps
	}
	s.customers[c.id] = c
	return c, nil
}

// editCustomer changes a customer through the API and counts what came of it.
func (x *exec) editCustomer(c *customer, in args) []problem {
	before := x.s.customerBody(c)
	ps := x.s.apply(c, in)
	if len(ps) > 0 {
		return ps
	}
	changed := !equalJSON(before, x.s.customerBody(c))
	for i, m := range in.objs("metafields") {
		ch, p := x.s.setMetafield(holder{"CUSTOMER", c.id, &c.metafields}, m, []string{"metafields", strconv.Itoa(i)})
		if p != nil {
			return []problem{*p}
		}
		changed = changed || ch
	}
	if !changed {
		x.noop++
		return nil
	}
	x.updated++
	x.s.changedCustomer(c, "customers/update")
	return nil
}

func createCustomer(x *exec, a args) (any, *failure) {
	in := a.obj("input")
	c, ps := x.s.newCustomer(in)
	if c != nil {
		for i, m := range in.objs("metafields") {
			if _, p := x.s.setMetafield(holder{"CUSTOMER", c.id, &c.metafields}, m, []string{"metafields", strconv.Itoa(i)}); p != nil {
				ps = append(ps, *p)
			}
		}
		if len(ps) > 0 {
			delete(x.s.customers, c.id)
			c = nil
		}
	}
	f := fields{}
	if c != nil {
		x.created++
		x.s.tell("customers/create", x.s.customerBody(c))
		f["customer"] = later(func() *node { return x.s.customerNode(c) })
	}
	return payload("CustomerCreate", ps, f), nil
}

func updateCustomer(x *exec, a args) (any, *failure) {
	in := a.obj("input")
	c := x.s.customers[idOf("Customer", in.str("id"))]
	if c == nil {
		return payload("CustomerUpdate", []problem{{[]string{"id"}, "Customer does not exist", ""}}, fields{}), nil
	}
	ps := x.editCustomer(c, in)
	f := fields{}
	if len(ps) == 0 {
		f["customer"] = later(func() *node { return x.s.customerNode(c) })
	}
	return payload("CustomerUpdate", ps, f), nil
}

func deleteCustomer(x *exec, a args) (any, *failure) {
	id := idOf("Customer", a.obj("input").str("id"))
	if x.s.customers[id] == nil {
		return payload("CustomerDelete", []problem{{[]string{"id"}, "Customer can't be found", ""}}, fields{}), nil
	}
	if len(x.s.ordersOf(id)) > 0 {
		return payload("CustomerDelete", []problem{{[]string{"id"}, "Customer can’t be deleted because they have associated orders", ""}}, fields{}), nil
	}
	delete(x.s.customers, id)
	x.s.tell("customers/delete", map[string]any{"id": id, "admin_graphql_api_id": gid("Customer", id)})
	x.updated++
	return payload("CustomerDelete", nil, fields{"deletedCustomerId": gid("Customer", id)}), nil
}

func mergeCustomers(x *exec, a args) (any, *failure) {
	s := x.s
	one, two := s.customers[idOf("Customer", a.str("customerOneId"))], s.customers[idOf("Customer", a.str("customerTwoId"))]
	if one == nil || two == nil || one == two {
		return payload("CustomerMerge", []problem{{[]string{"customerOneId"}, "Customers must be two that exist", "INVALID_CUSTOMER_ID"}}, fields{}), nil
	}
	s.join(one, two)
	x.updated++
	return payload("CustomerMerge", nil, fields{"resultingCustomerId": gid("Customer", one.id), "job": s.job()}), nil
}

// join merges the loser into the winner: what the winner lacks comes from the loser, whose id names nobody from then on.
func (s *Sim) join(winner, loser *customer) {
	for _, m := range []struct{ to, from *string }{{&winner.first, &loser.first}, {&winner.last, &loser.last}, {&winner.email, &loser.email}, {&winner.phone, &loser.phone}} {
		if *m.to == "" {
			*m.to = *m.from
		}
	}
	winner.note = strings.TrimSpace(winner.note + "\n" + loser.note)
	winner.tags, _ = cleanTags(append(winner.tags, loser.tags...))
	winner.addresses = append(winner.addresses, loser.addresses...)
	if winner.def == 0 {
		winner.def = loser.def
	}
	for _, m := range loser.metafields {
		if winner.metafields.find(m.namespace, m.key) == nil {
			winner.metafields = append(winner.metafields, m)
		}
	}
	for _, o := range s.ordersOf(loser.id) {
		o.customer = winner.id
		s.changedOrder(o, "orders/updated")
	}
	delete(s.customers, loser.id)
	s.merged[loser.id] = winner.id
	winner.touch(s.Now())
	s.tell("customers/merge", map[string]any{"admin_graphql_api_customer_kept_id": gid("Customer", winner.id), "admin_graphql_api_customer_deleted_id": gid("Customer", loser.id), "status": "completed"})
	s.tell("customers/update", s.customerBody(winner))
}

// addressMutation runs one of the mutations of addresses.
func addressMutation(mutation string, change func(s *Sim, c *customer, a args) (*address, *problem)) resolver {
	return func(x *exec, a args) (any, *failure) {
		c := x.s.customers[idOf("Customer", a.str("customerId"))]
		if c == nil {
			return payload(mutation, []problem{{[]string{"customerId"}, "Customer does not exist", ""}}, fields{}), nil
		}
		before := x.s.customerBody(c)
		ad, p := change(x.s, c, a)
		if p != nil {
			return payload(mutation, []problem{*p}, fields{}), nil
		}
		if equalJSON(before, x.s.customerBody(c)) {
			x.noop++
		} else {
			x.updated++
			x.s.changedCustomer(c, "customers/update")
		}
		f := fields{"customer": later(func() *node { return x.s.customerNode(c) })}
		if mutation == "CustomerAddressDelete" {
			f["deletedAddressId"] = gid("MailingAddress", ad.id)
		} else {
			f["address"] = ad.node()
		}
		return payload(mutation, nil, f), nil
	}
}

func addAddress(s *Sim, c *customer, a args) (*address, *problem) {
	ad, p := s.readAddress(a.obj("address"), address{})
	if p != nil {
		p.field = append([]string{"address"}, p.field...)
		return nil, p
	}
	if slices.ContainsFunc(c.addresses, func(o *address) bool { return sameAddress(*o, ad) }) {
		return nil, &problem{[]string{"address"}, "Address has already been taken", ""}
	}
	c.addresses = append(slices.Clone(c.addresses), &ad)
	if a.bool("setAsDefault") || c.def == 0 {
		c.def = ad.id
	}
	return &ad, nil
}

func editAddress(s *Sim, c *customer, a args) (*address, *problem) {
	for i, old := range c.addresses {
		if old.id != idOf("MailingAddress", strings.Split(a.str("addressId"), "?")[0]) {
			continue
		}
		ad, p := s.readAddress(a.obj("address"), *old)
		if p != nil {
			p.field = append([]string{"address"}, p.field...)
			return nil, p
		}
		c.addresses = slices.Clone(c.addresses)
		c.addresses[i] = &ad
		if a.bool("setAsDefault") {
			c.def = ad.id
		}
		return &ad, nil
	}
	return nil, &problem{[]string{"addressId"}, "Address does not exist", ""}
}

func removeAddress(s *Sim, c *customer, a args) (*address, *problem) {
	for i, old := range c.addresses {
		if old.id == idOf("MailingAddress", strings.Split(a.str("addressId"), "?")[0]) {
			c.addresses = slices.Delete(slices.Clone(c.addresses), i, i+1)
			if c.def == old.id { // the next one takes its place
				c.def = 0
				if len(c.addresses) > 0 {
					c.def = c.addresses[0].id
				}
			}
			return old, nil
		}
	}
	return nil, &problem{[]string{"addressId"}, "Address does not exist", ""}
}

func defaultAddress(_ *Sim, c *customer, a args) (*address, *problem) {
	for _, ad := range c.addresses {
		if ad.id == idOf("MailingAddress", a.str("addressId")) {
			c.def = ad.id
			return ad, nil
		}
	}
	return nil, &problem{[]string{"addressId"}, "Address does not exist", ""}
}

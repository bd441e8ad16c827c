// Package cin7core speaks the Cin7 Core API v2 (formerly DEAR): customers, products, locations, stock levels, and sales as
// orders.
//
// It maps, reads and writes. Authentication, budgets, retries and the exchange log are its session's; matching, ownership
// and the memory of what was intended are the caller's.
//
// Cin7 Core has no batches, no idempotency keys, no versions to lock on, 60 calls a minute and lists that name no order. So a
// pass over a list notes whom it has seen and counts; a create relies on what is unique there (a customer's name, a
// product's SKU) or on a look-up by our id (a sale's ExternalID); an update sends the members that change and lists whole, as
// they have just been read. Stock has no trace of changes: it is read whole, location by location, and what has no row is 0.
package cin7core

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

const (
	maxPage         = 1000
	defaultSalePage = 25 // a sale is read by a call of its own
	defaultLap      = 5 * time.Minute
)

// Vendor describes Cin7 Core. The limit is for one application key, which is the account's access token; make one for Datum
// alone.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "cin7core", Title: "Cin7 Core", BaseURL: "https://inventory.dearsystems.com", Mapping: defaults().mappings(),
		Hooks: adapters.Hooks{Kinds: []domain.Kind{domain.KindCustomer, domain.KindProduct, domain.KindOrder, domain.KindStockLevel},
			Help: "in Cin7 Core open Integrations & API, Webhooks (the Automation module): each must be active, go to the address below and have the webhookKey as its bearer token"},
		Limits: []adapters.Limit{{Name: "minute", Calls: 60, Per: time.Minute}},
		Auth:   adapters.AuthToken, TokenHeader: "api-auth-applicationkey", Meaning: meaning,
		Batch: 1, Timeout: 25 * time.Second, Rehearse: rehearse,
		Settings: []adapters.Setting{
			{Name: "accountId", Help: "the account's id, from Integrations & API; its application key is the accessToken", Required: true, Secret: true},
			{Name: "currency", Help: "the account's base currency, in which its prices are", Default: "AUD"},
			{Name: "taxRules", Help: "names of tax rules that differ from an Australian account's own, such as GST=GST 10%, EXPORT=GST Export"},
			{Name: "paymentTerm", Help: "payment term of new customers", Default: "30 days"},
			{Name: "accountReceivable", Help: "accounts receivable account of new customers", Default: "610"},
			{Name: "revenueAccount", Help: "revenue account of new customers", Default: "200"},
			{Name: "adjustmentAccount", Help: "account to which stock adjustments are posted", Default: "403"},
			{Name: "category", Help: "category of products that have none", Default: "Other"},
			{Name: "unit", Help: "unit of measure of products that have none", Default: "Item"},
			{Name: "weightUnit", Help: "the account's default unit of weight: kg, g, mg, lb or oz", Default: "kg"},
			{Name: "shippingCharge", Help: "service product for the delivery lines of orders", Default: "Shipping"},
			{Name: "discountCharge", Help: "service product for the discount lines of orders", Default: "Discount"},
			{Name: "roundingCharge", Help: "service product for the rounding lines of orders", Default: "Rounding"},
			{Name: "otherCharge", Help: "service product for order lines without a product", Default: "Miscellaneous"},
			{Name: "overlap", Help: "how far each poll reaches back before the last one", Default: defaultLap.String()},
			{Name: "pageSize", Help: "customers, products or stock rows in one page, 2 to 1000", Default: strconv.Itoa(maxPage)},
			{Name: "salePageSize", Help: "sales in one page, 1 to 1000; each is read by a call of its own", Default: strconv.Itoa(defaultSalePage)},
		},
		Configure: func(settings map[string]string) ([]adapters.Mapping, error) {
			h, err := habitsOf(settings)
			return h.mappings(), err
		},
		Open: open,
	}
}

var guidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// habits are what the mappings need to know of an account.
type habits struct {
	currency       string
	category, unit string
	weightUnit     string
	rules          rules
	charges        map[string]string // service products by kind of line; "" is a line without a product
}

func defaults() habits {
	return habits{currency: "AUD", category: "Other", unit: "Item", weightUnit: "kg", rules: rules{},
		charges: map[string]string{domain.LineShipping: "Shipping", domain.LineDiscount: "Discount", domain.LineRounding: "Rounding", "": "Miscellaneous"}}
}

func (h habits) mappings() []adapters.Mapping {
	return []adapters.Mapping{customerMapping(h), productMapping(h), locationMapping(), stockMapping(), orderMapping(h)}
}

// adapter is one connected account. It is safe for concurrent use.
type adapter struct {
	s        adapters.Session
	habits   habits
	mapped   []adapters.Mapping
	overlap  time.Duration
	size     int
	saleSize int

	mu    sync.Mutex
	sites map[string]string // names of locations by id; nil until they are read
	wrote map[string]string // LastModifiedOn of sales as the last write left and showed them, by id
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Notifier     = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
)

// habitsOf reads the settings of which the mappings are made.
func habitsOf(settings map[string]string) (habits, error) {
	h := defaults()
	for name, into := range map[string]*string{"currency": &h.currency, "category": &h.category, "unit": &h.unit, "weightUnit": &h.weightUnit} {
		if v := settings[name]; v != "" {
			*into = v
		}
	}
	for kind, name := range map[string]string{domain.LineShipping: "shippingCharge", domain.LineDiscount: "discountCharge", domain.LineRounding: "roundingCharge", "": "otherCharge"} {
		if v := settings[name]; v != "" {
			h.charges[kind] = v
		}
	}
	var err error
	switch h.rules, err = parseRules(settings["taxRules"]); {
	case err != nil:
		return defaults(), bad("taxRules", fmt.Sprintf(`must be like "GST=GST on Income, EXPORT=GST Free Exports": %v`, err))
	case !money.Known(h.currency):
		return defaults(), bad("currency", `must be an ISO 4217 code such as "AUD"`)
	case weights[h.weightUnit].IsZero():
		return defaults(), bad("weightUnit", "must be kg, g, mg, lb or oz")
	}
	return h, nil
}

func bad(setting, why string) *domain.Error {
	return &domain.Error{Code: domain.Invalid, Op: "cin7core.Open", Message: "the setting " + setting + " " + why}
}

func open(s adapters.Session) (_ adapters.Adapter, err error) {
	defer func() {
		if e := domain.AsError(err); e != nil {
			e.System = s.System
		}
	}()
	set := func(name, otherwise string) string {
		if v := s.Settings[name]; v != "" {
			return v
		}
		return otherwise
	}
	if !guidForm.MatchString(strings.ToLower(s.Settings["accountId"])) {
		return nil, bad("accountId", "must be the account's id from Integrations & API, 36 letters and digits with hyphens")
	}
	a := &adapter{s: s}
	if a.habits, err = habitsOf(s.Settings); err != nil {
		return nil, err
	}
	if a.overlap, err = time.ParseDuration(set("overlap", defaultLap.String())); err != nil || a.overlap < time.Second {
		return nil, bad("overlap", `must be a duration of a second or more, such as "5m"`)
	}
	if a.size, err = strconv.Atoi(set("pageSize", strconv.Itoa(maxPage))); err != nil || a.size < 2 || a.size > maxPage {
		return nil, bad("pageSize", "must be a number from 2 to 1000")
	}
	if a.saleSize, err = strconv.Atoi(set("salePageSize", strconv.Itoa(defaultSalePage))); err != nil || a.saleSize < 1 || a.saleSize > maxPage {
		return nil, bad("salePageSize", "must be a number from 1 to 1000")
	}
	if a.mapped, err = adapters.Configured(s.Settings, a.habits.mappings()); err != nil {
		return nil, err
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	return a, nil
}

// setting is an account setting, with the default that Vendor gives it.
func (a *adapter) setting(name string) string {
	if v := a.s.Settings[name]; v != "" {
		return v
	}
	for _, s := range Vendor().Settings {
		if s.Name == name {
			return s.Default
		}
	}
	return ""
}

// mapping is the table of a kind, or an Unsupported error.
func (a *adapter) mapping(kind domain.Kind) (*adapters.Mapping, error) {
	for i := range a.mapped {
		if a.mapped[i].Kind == kind {
			return &a.mapped[i], nil
		}
	}
	return nil, a.err(domain.Unsupported, "Cin7 Core does not carry %s", kind)
}

// Package shopify speaks Shopify's Admin GraphQL API, version 2026-07: customers, variants as products, locations, stock
// levels, orders, refunds as credit notes and transactions as payments.
//
// It maps, reads and writes. Authentication, budgets, retries and the exchange log are its session's; matching, ownership
// and the memory of what was intended are the caller's.
//
// Changes come from searches in the order of updatedAt, whose index trails behind writes: every poll reaches back. Listings
// are in the order of ids, which never change: new objects come at the end and none is skipped. Shopify answers what it
// cannot do with status 200, so every answer is looked into. The first reading of many objects is a bulk operation. Our id is a unique metafield, by which a customer or product
// that an earlier, unanswered create has made is found and written again instead of made twice.
//
// An adapter remembers the shop's settings for ten minutes and how many points are left: keep one per account, not one
// per call.
package shopify

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	version    = "2026-07"
	path       = "/admin/api/" + version + "/graphql.json"
	maxPage    = 100
	defaultLap = 5 * time.Minute
	remembered = 10 * time.Minute
	// defaultBulk is where reading by pages starts to take longer than a bulk operation, which costs no points but has to be waited for.
	defaultBulk = 1000
)

var scopes = []string{"read_customers", "write_customers", "read_products", "write_products", "read_inventory", "write_inventory", "read_locations",
	"read_orders", "write_orders", "read_all_orders"}

// Vendor describes Shopify. Its limit is a bucket of points and not a number of calls: 2,000 that refill by 100 a second on
// the standard plan. A live fetch or write takes 5 to 40 points, some 25 at a time, so four a second keep within it; a page of
// a backfill takes more, and the adapter then waits by what the last answer said is left. Raise limit.second on a larger plan
// (Advanced 8, Plus 40).
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "shopify", Title: "Shopify", BaseURL: "https://your-shop.myshopify.com", Mapping: mappings("AUD"),
		Hooks: adapters.Hooks{Kinds: []domain.Kind{domain.KindCustomer, domain.KindProduct, domain.KindLocation, domain.KindStockLevel, domain.KindOrder, domain.KindCreditNote, domain.KindPayment},
			Help: "in Shopify's admin open Settings, Apps: the app must be installed with the scopes to read what it is told of"},
		Limits: []adapters.Limit{{Name: "second", Calls: 4, Per: time.Second}},
		Auth:   adapters.AuthOAuth2, TokenHeader: "X-Shopify-Access-Token", Meaning: meaning,
		OAuth: &adapters.OAuth{AuthorizeURL: "https://your-shop.myshopify.com/admin/oauth/authorize", TokenURL: "https://your-shop.myshopify.com/admin/oauth/access_token", Scopes: scopes},
		Batch: 1, Timeout: 25 * time.Second, Rehearse: rehearse, Notices: notices,
		Settings: []adapters.Setting{
			{Name: "shop", Help: "the shop's domain, such as hartley-trade.myshopify.com; webhooks of other shops of the same app are ignored"},
			{Name: "currency", Help: "the shop's currency, in which its prices are", Default: "AUD"},
			{Name: "testOrders", Help: "true reads test orders too", Default: "false"},
			{Name: "overlap", Help: "how far each poll reaches back before the last one", Default: defaultLap.String()},
			{Name: "bulkFrom", Help: "how many objects of a kind there must be for the first reading to be one bulk operation instead of pages", Default: strconv.Itoa(defaultBulk)},
			{Name: "pageSize", Help: "objects in one page, 1 to 100; orders and products come in smaller ones", Default: strconv.Itoa(maxPage)},
		},
		Open: open,
		Configure: func(settings map[string]string) ([]adapters.Mapping, error) {
			return mappings(currencyOf(settings)), nil
		},
	}
}

func currencyOf(settings map[string]string) string {
	if c := settings["currency"]; c != "" {
		return c
	}
	return "AUD"
}

// mappings are the tables of all kinds. The currency is the shop's.
func mappings(currency string) []adapters.Mapping {
	return []adapters.Mapping{customerMapping(), productMapping(currency), locationMapping(), stockMapping(), orderMapping(), creditNoteMapping(), paymentMapping()}
}

// adapter is one connected shop. It is safe for concurrent use.
type adapter struct {
	s        adapters.Session
	mapped   []adapters.Mapping
	overlap  time.Duration
	size     int
	bulkFrom int
	tests    bool
	shopName string

	mu     sync.Mutex
	shop   shop
	shopAt time.Time
	left   bucket
	costs  map[string]float64 // what an operation of one size was last charged for at most
	warned bool
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Notifier     = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
	_ adapters.Provisioner  = (*adapter)(nil)
)

func open(s adapters.Session) (adapters.Adapter, error) {
	mapped, err := adapters.Configured(s.Settings, mappings(currencyOf(s.Settings)))
	if err != nil {
		return nil, err
	}
	a := &adapter{s: s, mapped: mapped, overlap: defaultLap, size: maxPage, bulkFrom: defaultBulk, tests: s.Settings["testOrders"] == "true", shopName: s.Settings["shop"], costs: map[string]float64{}}
	bad := func(setting, why string) error {
		return &domain.Error{Code: domain.Invalid, System: s.System, Op: "shopify.Open", Message: "the setting " + setting + " " + why}
	}
	if v := s.Settings["overlap"]; v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second {
			return nil, bad("overlap", `must be a duration of a second or more, such as "5m"`)
		}
		a.overlap = d
	}
	if v := s.Settings["pageSize"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPage {
			return nil, bad("pageSize", "must be a number from 1 to 100")
		}
		a.size = n
	}
	if v := s.Settings["bulkFrom"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 10_000 {
			return nil, bad("bulkFrom", "must be a number from 1 to 10000")
		}
		a.bulkFrom = n
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	return a, nil
}

// mapping returns the table of a kind, or Unsupported.
func (a *adapter) mapping(kind domain.Kind) (*adapters.Mapping, error) {
	for i := range a.mapped {
		if a.mapped[i].Kind == kind {
			return &a.mapped[i], nil
		}
	}
	return nil, a.err(domain.Unsupported, "Shopify does not carry %s", kind)
}

func (a *adapter) err(code domain.Code, format string, args ...any) *domain.Error {
	return &domain.Error{Code: code, System: a.s.System, Message: fmt.Sprintf(format, args...)}
}

// notices reads which version answered: one that has expired silently becomes the oldest that is supported.
func notices(call adapters.Call, h http.Header) []adapters.Notice {
	var ns []adapters.Notice
	if served := h.Get("X-Shopify-API-Version"); served != "" && served != version && strings.HasPrefix(call.Path, "/admin/api/") {
		ns = append(ns, adapters.Notice{Sort: adapters.VersionFell, Asked: version, Says: served})
	}
	if why := h.Get("X-Shopify-API-Deprecated-Reason"); why != "" {
		ns = append(ns, adapters.Notice{Sort: adapters.Deprecated, Says: why})
	}
	return ns
}

// meaning says what Shopify's own statuses mean. The limit on points comes with status 200 and how long to wait in the body,
// so the adapter reads that itself.
func meaning(r *adapters.Response) domain.Code {
	switch r.Status {
	case http.StatusPaymentRequired:
		return domain.Forbidden // the shop is frozen
	case 430:
		return domain.Unavailable // Shopify's own, for callers that look harmful
	}
	return ""
}

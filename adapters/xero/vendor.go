// Package xero speaks Xero's accounting API: contacts of one organisation as customers, items as products, quotes, invoices
// and credit notes of sales, the payments of both, and overpayments, which are payments of several invoices or with a rest.
//
// It maps, reads and writes. Authentication, budgets, retries and the exchange log are its session's; matching, ownership
// and the memory of what was intended are the caller's. Xero has no optimistic locking: the last write wins.
//
// Pages are read in the order of the objects' ids, which never change. Contacts and payments never leave a listing (Xero
// archives, merges and marks them deleted), so a page can only shift towards the end: objects repeat, none is skipped. Deleted
// drafts and quotes do leave it; a pass during which one did is read again. Items come all at once.
//
// Our id is stored in a contact's ContactNumber and in an invoice's Url; in the reference of quotes, credit notes and payments,
// in square brackets, and in the text and link of overpayments; and not in items, which are known by their code.
package xero

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	batch      = 50 // objects in one write: Xero's advice
	maxPage    = 1000
	keyLimit   = 50 // our id in ContactNumber
	defaultLap = 5 * time.Minute
)

// Vendor describes Xero.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "xero", Title: "Xero", BaseURL: "https://api.xero.com", Mapping: mappings(nil),
		Hooks: adapters.Hooks{Kinds: []domain.Kind{domain.KindCustomer, domain.KindInvoice, domain.KindCreditNote},
			Help: "at developer.xero.com open My Apps, the app, Webhooks: Xero switches them off after a day of failed deliveries. Check that the delivery URL is the one below and the webhook key the one given here, press Save and then Send 'Intent to receive' until the status is OK"},
		Configure: func(settings map[string]string) ([]adapters.Mapping, error) { return mappings(settings), nil },
		Limits: []adapters.Limit{
			{Name: "minute", Calls: 60, Per: time.Minute},
			{Name: "day", Calls: 5000, Per: 24 * time.Hour},
			{Name: "concurrent", Calls: 5},
		},
		ReadLimits: readLimits,
		Auth:       adapters.AuthOAuth2,
		OAuth: &adapters.OAuth{
			AuthorizeURL: "https://login.xero.com/identity/connect/authorize", TokenURL: "https://identity.xero.com/connect/token", BasicAuth: true,
			Scopes: []string{"offline_access", "accounting.contacts", "accounting.invoices", "accounting.payments", "accounting.banktransactions", "accounting.settings.read"},
		},
		Batch: batch, Timeout: 20 * time.Second, Rehearse: rehearse,
		Settings: append([]adapters.Setting{
			{Name: "tenantId", Help: "the organisation's id in Xero, from GET /connections", Required: true},
			{Name: "overlap", Help: "how far each poll reaches back before the last one", Default: defaultLap.String()},
			{Name: "pageSize", Help: "objects in one page, 1 to 1000", Default: strconv.Itoa(maxPage)},
		}, defaultSettings...),
		Discover: discover, Open: open,
	}
}

// mappings are the tables of an account with the settings.
func mappings(settings map[string]string) []adapters.Mapping {
	var ms []adapters.Mapping
	for _, k := range newKinds(defaultsOf(settings)) {
		if k.prefix == "" {
			ms = append(ms, k.mapping)
		}
	}
	return ms
}

// adapter is one connected organisation. It is safe for concurrent use.
type adapter struct {
	s       adapters.Session
	kinds   []*kind
	known   known
	overlap time.Duration
	size    int
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Notifier     = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
)

func open(s adapters.Session) (adapters.Adapter, error) {
	a := &adapter{s: s, kinds: newKinds(defaultsOf(s.Settings)), overlap: defaultLap, size: maxPage}
	for _, k := range a.kinds {
		ms, err := adapters.Configured(s.Settings, []adapters.Mapping{k.mapping})
		if err != nil {
			return nil, err
		}
		k.mapping = ms[0]
	}
	bad := func(setting, why string) error {
		return &domain.Error{Code: domain.Invalid, System: s.System, Op: "xero.Open", Message: "the setting " + setting + " " + why}
	}
	if s.Settings["tenantId"] == "" {
		return nil, bad("tenantId", "is missing; it is the organisation's id in Xero")
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
			return nil, bad("pageSize", "must be a number from 1 to 1000")
		}
		a.size = n
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	return a, nil
}

// readLimits reads what Xero says is left. On a 429 the problem header names the limit; its spelling varies.
func readLimits(h http.Header) []adapters.LimitReading {
	left := map[string]int{}
	for name, header := range map[string]string{"minute": "X-MinLimit-Remaining", "day": "X-DayLimit-Remaining"} {
		if n, err := strconv.Atoi(h.Get(header)); err == nil {
			left[name] = n
		}
	}
	problem := strings.ToLower(h.Get("X-Rate-Limit-Problem"))
	var rs []adapters.LimitReading
	for _, name := range []string{"minute", "day", "concurrent"} {
		if strings.HasPrefix(problem, name) {
			left[name] = 0
		}
		if n, ok := left[name]; ok {
			rs = append(rs, adapters.LimitReading{Name: name, Remaining: n})
		}
	}
	return rs
}

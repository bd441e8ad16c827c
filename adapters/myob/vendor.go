// Package myob speaks the MYOB Business API (AccountRight v2): customers, items, sale invoices, credit notes and payments of one
// company file.
//
// It maps, reads and writes. Authentication, budgets, retries and the exchange log are its session's; matching, ownership
// and the memory of what was intended are the caller's.
//
// MYOB has no webhooks, no batches, no idempotency keys, no field for another system's id and no trace of what was
// deleted. So changes are polled by LastModified; our id lives in one of the three custom fields of cards and items and in
// the memo of transactions; an update reads the object, lays its values on and sends it whole with its RowVersion; a create
// looks for its own earlier attempt first; and only a sweep finds deletions. A card that was combined with another is gone
// like a deleted one.
//
// Nor has it drafts or voided documents: what is there is AUTHORISED, and to void is to delete. A credit note is an invoice
// with a negative total. Documents are written in the layout Item, where every line has an item; all layouts are read.
package myob

import (
	"encoding/base64"
	"slices"
	"strconv"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

const (
	maxPage    = 1000
	defaultLap = 5 * time.Minute
)

// Vendor describes MYOB. The limit of 8 calls a second and 1,000,000 a day is on the app's key, whatever the number of
// files; 6 a second leave room for calls that bunch up on the way.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "myob", Title: "MYOB", BaseURL: "https://api.myob.com", Mapping: mappings(nil),
		Limits: []adapters.Limit{
			{Name: "second", Calls: 6, Per: time.Second},
			{Name: "day", Calls: 1_000_000, Per: 24 * time.Hour},
		},
		Auth: adapters.AuthOAuth2,
		OAuth: &adapters.OAuth{
			// Only with prompt=consent does MYOB say which company file was chosen.
			AuthorizeURL: "https://secure.myob.com/oauth2/account/authorize?prompt=consent", TokenURL: "https://secure.myob.com/oauth2/v1/authorize",
			Scopes: []string{"sme-company-file", "sme-company-settings", "sme-contacts-customer", "sme-general-ledger", "sme-inventory", "sme-sales"},
		},
		Batch: 1, Timeout: 25 * time.Second, Rehearse: rehearse,
		Settings: settingsList(), Meaning: meaning,
		Configure: func(settings map[string]string) ([]adapters.Mapping, error) { return mappings(settings), nil },
		Discover:  discover, Open: open,
	}
}

func settingsList() []adapters.Setting {
	return []adapters.Setting{
		{Name: "apiKey", Help: "the app's API key, which is also its clientId", Required: true},
		{Name: "businessId", Help: "the company file's id; MYOB adds it to the address it returns to after consent", Required: true},
		{Name: "companyFileUser", Help: "user of the company file itself, for files that have their own login; leave out otherwise"},
		{Name: "companyFilePassword", Help: "password of companyFileUser; may be empty", Secret: true},
		{Name: "idField", Help: "custom field of customers and items that holds Datum's id: CustomField1, CustomField2 or CustomField3", Default: idFields[2]},
		{Name: "taxCode", Help: "tax code of new customers and of new items that have none, as in the file's tax code list", Default: "GST"},
		{Name: "freightTaxCode", Help: "tax code for freight of new customers", Default: "GST"},
		{Name: "currency", Help: "the file's own currency", Default: "AUD"},
		{Name: "overlap", Help: "how far each poll reaches back before the last one", Default: defaultLap.String()},
		{Name: "pageSize", Help: "objects in one page, 2 to 1000; invoices at most 100", Default: strconv.Itoa(maxPage)},
		{Name: "otherItem", Help: "number of the item for lines of invoices that name no product, such as rounding or a discount"},
		{Name: "salesAccount", Help: "income account of new items that have none", Default: "4-1000"},
		{Name: "purchaseAccount", Help: "expense or cost of sales account of new items that have none"},
		{Name: "stockAccount", Help: "asset account of new items whose stock is tracked"},
		{Name: "depositAccount", Help: "account for payments and refunds that name none; payments else go to undeposited funds"},
	}
}

var idFields = []string{"CustomField1", "CustomField2", "CustomField3"}

// adapter is one connected company file. It is safe for concurrent use.
type adapter struct {
	s       adapters.Session
	file    string // path of the company file
	key     string
	login   string // x-myobapi-cftoken, "" for none
	books   []*book
	overlap time.Duration
	size    int

	mu   sync.Mutex
	uids map[string]string // of tax codes, accounts and items, by path and value
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
)

func open(s adapters.Session) (adapters.Adapter, error) {
	bad := func(setting, why string) error {
		return &domain.Error{Code: domain.Invalid, System: s.System, Op: "myob.Open", Message: "the setting " + setting + " " + why}
	}
	a := &adapter{s: s, file: "/accountright/" + s.Settings["businessId"], key: s.Settings["apiKey"], uids: map[string]string{}}
	if a.key == "" {
		return nil, bad("apiKey", "is missing; it is the app's API key, which is also its clientId")
	}
	if !uuidForm.MatchString(s.Settings["businessId"]) {
		return nil, bad("businessId", "must be the company file's id, 36 letters and digits with hyphens")
	}
	if user := s.Settings["companyFileUser"]; user != "" {
		a.login = base64.StdEncoding.EncodeToString([]byte(user + ":" + s.Settings["companyFilePassword"]))
	}
	idField, currency := a.setting("idField"), a.setting("currency")
	if !slices.Contains(idFields, idField) {
		return nil, bad("idField", "must be CustomField1, CustomField2 or CustomField3")
	}
	if !money.Known(currency) {
		return nil, bad("currency", `must be an ISO 4217 code such as "AUD"`)
	}
	a.books = books(currency, idField, a.setting("otherItem"))
	for _, b := range a.books {
		ms, err := adapters.Configured(s.Settings, []adapters.Mapping{b.m})
		if err != nil {
			return nil, err
		}
		b.m = ms[0]
	}
	var err error
	if a.overlap, err = time.ParseDuration(a.setting("overlap")); err != nil || a.overlap < time.Second {
		return nil, bad("overlap", `must be a duration of a second or more, such as "5m"`)
	}
	if a.size, err = strconv.Atoi(a.setting("pageSize")); err != nil || a.size < 2 || a.size > maxPage {
		return nil, bad("pageSize", "must be a number from 2 to 1000")
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	return a, nil
}

// setting is the account's setting or its default.
func (a *adapter) setting(name string) string { return settingOf(a.s.Settings, name) }

func settingOf(settings map[string]string, name string) string {
	if v := settings[name]; v != "" {
		return v
	}
	for _, s := range settingsList() {
		if s.Name == name {
			return s.Default
		}
	}
	return ""
}

// mappings are the tables for a file with these settings.
func mappings(settings map[string]string) []adapters.Mapping {
	var ms []adapters.Mapping
	for _, b := range books(settingOf(settings, "currency"), settingOf(settings, "idField"), settingOf(settings, "otherItem")) {
		ms = append(ms, b.m)
	}
	return ms
}

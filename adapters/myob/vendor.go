// Package myob speaks the MYOB Business API (AccountRight v2): customer cards of one company file as customers.
//
// It maps, reads and writes. Authentication, budgets, retries and the exchange log are its session's; matching, ownership
// and the memory of what was intended are the caller's.
//
// MYOB has no webhooks, no batches, no idempotency keys, no field for another system's id and no trace of what was
// deleted. So changes are polled by LastModified; our id lives in one of the three custom fields; an update reads the card,
// lays its values on and sends it whole with its RowVersion; a create looks for its own earlier attempt first; and only a
// sweep finds deletions. A card that was combined with another is gone like a deleted one.
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
		Name: "myob", Title: "MYOB", BaseURL: "https://api.myob.com", Mapping: []adapters.Mapping{customerMapping("AUD", idFields[2])},
		Limits: []adapters.Limit{
			{Name: "second", Calls: 6, Per: time.Second},
			{Name: "day", Calls: 1_000_000, Per: 24 * time.Hour},
		},
		Auth: adapters.AuthOAuth2,
		OAuth: &adapters.OAuth{
			AuthorizeURL: "https://secure.myob.com/oauth2/account/authorize", TokenURL: "https://secure.myob.com/oauth2/v1/authorize",
			Scopes: []string{"sme-company-file", "sme-company-settings", "sme-contacts-customer", "sme-general-ledger"},
		},
		Batch: 1, Timeout: 25 * time.Second,
		Settings: []adapters.Setting{
			{Name: "apiKey", Help: "the app's API key, which is also its clientId", Required: true},
			{Name: "businessId", Help: "the company file's id; MYOB adds it to the address it returns to after consent", Required: true},
			{Name: "companyFileUser", Help: "user of the company file itself, for files that have their own login; leave out otherwise"},
			{Name: "companyFilePassword", Help: "password of companyFileUser; may be empty", Secret: true},
			{Name: "idField", Help: "custom field of the customer card that holds Datum's id: CustomField1, CustomField2 or CustomField3", Default: idFields[2]},
			{Name: "taxCode", Help: "tax code of new customers, as in the file's tax code list", Default: "GST"},
			{Name: "freightTaxCode", Help: "tax code for freight of new customers", Default: "GST"},
			{Name: "currency", Help: "the file's own currency", Default: "AUD"},
			{Name: "overlap", Help: "how far each poll reaches back before the last one", Default: defaultLap.String()},
			{Name: "pageSize", Help: "customers in one page, 2 to 1000", Default: strconv.Itoa(maxPage)},
		},
		Discover: discover, Open: open,
	}
}

var idFields = []string{"CustomField1", "CustomField2", "CustomField3"}

// adapter is one connected company file. It is safe for concurrent use.
type adapter struct {
	s       adapters.Session
	file    string // path of the company file
	key     string
	login   string // x-myobapi-cftoken, "" for none
	mapping adapters.Mapping
	overlap time.Duration
	size    int

	mu    sync.Mutex
	codes map[string]string // UIDs of tax codes, by code
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
)

func open(s adapters.Session) (adapters.Adapter, error) {
	set := func(name, otherwise string) string {
		if v := s.Settings[name]; v != "" {
			return v
		}
		return otherwise
	}
	bad := func(setting, why string) error {
		return &domain.Error{Code: domain.Invalid, System: s.System, Op: "myob.Open", Message: "the setting " + setting + " " + why}
	}
	a := &adapter{s: s, file: "/accountright/" + s.Settings["businessId"], key: s.Settings["apiKey"], codes: map[string]string{}}
	if a.key == "" {
		return nil, bad("apiKey", "is missing; it is the app's API key, which is also its clientId")
	}
	if !uuidForm.MatchString(s.Settings["businessId"]) {
		return nil, bad("businessId", "must be the company file's id, 36 letters and digits with hyphens")
	}
	if user := s.Settings["companyFileUser"]; user != "" {
		a.login = base64.StdEncoding.EncodeToString([]byte(user + ":" + s.Settings["companyFilePassword"]))
	}
	idField, currency := set("idField", idFields[2]), set("currency", "AUD")
	if !slices.Contains(idFields, idField) {
		return nil, bad("idField", "must be CustomField1, CustomField2 or CustomField3")
	}
	if !money.Known(currency) {
		return nil, bad("currency", `must be an ISO 4217 code such as "AUD"`)
	}
	a.mapping = customerMapping(currency, idField)
	var err error
	if a.overlap, err = time.ParseDuration(set("overlap", defaultLap.String())); err != nil || a.overlap < time.Second {
		return nil, bad("overlap", `must be a duration of a second or more, such as "5m"`)
	}
	if a.size, err = strconv.Atoi(set("pageSize", strconv.Itoa(maxPage))); err != nil || a.size < 2 || a.size > maxPage {
		return nil, bad("pageSize", "must be a number from 2 to 1000")
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	return a, nil
}

package xero

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
)

// defaults are the account settings that the mapping depends on.
type defaults struct {
	sales, rounding, bank string // codes of accounts
	currency              string // of the organisation
	link                  string // what an invoice's Url begins with
}

// Settings and their defaults: the codes of Xero's Australian chart of accounts.
var defaultSettings = []adapters.Setting{
	{Name: "salesAccount", Help: "code of the revenue account for lines that name none", Default: "200"},
	{Name: "roundingAccount", Help: "code of the account for rounding lines", Default: "860"},
	{Name: "bankAccount", Help: "code of the account that payments go into if they name none; a bank account, or one with payments enabled", Default: "090"},
	{Name: "currency", Help: "the organisation's own currency, in which its items are priced", Default: "AUD"},
	{Name: "recordUrl", Help: "address under which people open a record of Datum, to which our id is added; it becomes an invoice's link", Default: "https://datum.invalid/"},
}

func defaultsOf(settings map[string]string) defaults {
	get := func(name string) string {
		for _, s := range defaultSettings {
			if s.Name == name {
				return defaulted(settings[name], s.Default)
			}
		}
		return ""
	}
	return defaults{sales: get("salesAccount"), rounding: get("roundingAccount"), bank: get("bankAccount"), currency: strings.ToUpper(get("currency")),
		link: strings.TrimSuffix(get("recordUrl"), "/") + "/"}
}

// knownFor is how long what was read of the organisation's settings is relied on.
const knownFor = 10 * time.Minute

// known is what is remembered of the organisation.
type known struct {
	mu    sync.Mutex
	rates map[string]bool   // TaxTypes that are active
	at    time.Time         // when rates were read
	codes map[string]string // Code by ItemID
	since time.Time         // since when codes are remembered

	debtors string // code of the accounts receivable account
}

// activeRates returns which tax types the organisation's active rates have.
func (a *adapter) activeRates(ctx context.Context) (func(taxType string) bool, error) {
	a.known.mu.Lock()
	rates, fresh := a.known.rates, a.s.Now().Sub(a.known.at) < knownFor
	a.known.mu.Unlock()
	if rates == nil || !fresh {
		l, err := a.rates(ctx)
		if err != nil {
			return nil, err
		}
		rates = map[string]bool{}
		for _, o := range l {
			if adapters.String(o, "Status") == "ACTIVE" {
				rates[adapters.String(o, "TaxType")] = true
			}
		}
		a.known.mu.Lock()
		a.known.rates, a.known.at = rates, a.s.Now()
		a.known.mu.Unlock()
	}
	return func(t string) bool { return rates[t] }, nil
}

func (a *adapter) rates(ctx context.Context) ([]object, error) {
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/TaxRates"})
	if err != nil {
		return nil, err
	}
	l, err := a.listOf("TaxRates", resp)
	if err != nil {
		return nil, err
	}
	return l.objects, nil
}

func (a *adapter) accounts(ctx context.Context) ([]object, error) {
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/Accounts?" + url.Values{"where": {`Status=="ACTIVE"`}}.Encode()})
	if err != nil {
		return nil, err
	}
	l, err := a.listOf("Accounts", resp)
	if err != nil {
		return nil, err
	}
	return l.objects, nil
}

// itemCodes returns the codes of items, by which lines name them. What is not remembered is read in one call.
func (a *adapter) itemCodes(ctx context.Context, ids []string) (map[string]string, error) {
	codes := map[string]string{}
	var missing []string
	a.known.mu.Lock()
	if now := a.s.Now(); now.Sub(a.known.since) >= knownFor {
		a.known.codes, a.known.since = map[string]string{}, now // a code may be another item's by now
	}
	for _, id := range ids {
		if code := a.known.codes[id]; code != "" {
			codes[id] = code
		} else {
			missing = append(missing, id)
		}
	}
	a.known.mu.Unlock()
	if len(missing) == 0 {
		return codes, nil
	}
	recs, err := a.FetchMany(ctx, domain.KindProduct, missing)
	if err != nil {
		return nil, err
	}
	a.known.mu.Lock()
	defer a.known.mu.Unlock()
	for _, r := range recs {
		codes[r.ExternalID] = r.Values["sku"].Text()
		a.known.codes[r.ExternalID] = codes[r.ExternalID]
	}
	return codes, nil
}

// forgetCodes drops what is remembered of items: one of them was called something else meanwhile.
func (a *adapter) forgetCodes() {
	a.known.mu.Lock()
	a.known.since = time.Time{}
	a.known.mu.Unlock()
}

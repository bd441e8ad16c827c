package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// bucket is what the last answer said of the points.
type bucket struct {
	available, rate float64
	at              time.Time
}

// answer is the body of every answer.
type answer struct {
	Data       json.RawMessage `json:"data"`
	Errors     json.RawMessage `json:"errors"`
	Extensions struct {
		Cost struct {
			Requested float64 `json:"requestedQueryCost"`
			Throttle  struct {
				Available float64 `json:"currentlyAvailable"`
				Rate      float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
	} `json:"extensions"`
}

type vars = map[string]any

// sent says when an operation was sent and what the clock of Shopify then was.
type sent struct {
	at    time.Time
	clock time.Time
}

// query runs an operation that changes nothing.
func (a *adapter) query(ctx context.Context, text string, v vars, out any) (sent, error) {
	return a.call(ctx, text, v, out, adapters.Call{})
}

// mutate runs an operation that writes. Safe says that it may be repeated: it sets values by id or by a unique key.
func (a *adapter) mutate(ctx context.Context, text string, v vars, out any, safe bool) (sent, error) {
	return a.call(ctx, text, v, out, adapters.Call{Write: true, Safe: safe})
}

func (a *adapter) call(ctx context.Context, text string, v vars, out any, c adapters.Call) (sent, error) {
	name := operationName(text)
	size := fmt.Sprint(name, v["first"], sizeOf(v["ids"]), sizeOf(v["items"]))
	if err := a.brake(size); err != nil {
		return sent{}, err
	}
	body, err := json.Marshal(map[string]any{"query": text, "variables": v, "operationName": name})
	if err != nil {
		return sent{}, err
	}
	c.Method, c.Path, c.Body = http.MethodPost, path, body
	resp, err := a.s.HTTP.Do(ctx, c)
	if err != nil {
		return sent{}, err
	}
	s := sent{at: resp.SentAt.UTC(), clock: resp.SentAt.UTC()}
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.clock = t.UTC()
	}
	a.served(ctx, resp.Header)
	var in answer
	if err := decode(resp.Body, &in); err != nil {
		return s, a.unreadable(c.Write && !c.Safe)
	}
	wait := a.spent(size, in)
	if len(in.Errors) > 0 && string(in.Errors) != "null" {
		var list []vendorError
		if decode(in.Errors, &list) != nil || len(list) == 0 {
			list = []vendorError{{Message: string(in.Errors)}}
		}
		return s, a.refusal(list, wait, c.Write && !c.Safe)
	}
	if decode(in.Data, out) != nil {
		return s, a.unreadable(c.Write && !c.Safe)
	}
	return s, nil
}

func (a *adapter) unreadable(unknown bool) error {
	if unknown {
		return a.err(domain.Unknown, "Shopify's answer is not the JSON it should be; whether the write was done must be looked up")
	}
	return a.err(domain.Unavailable, "Shopify's answer is not the JSON it should be; it will be tried again")
}

// operationName is the word after query or mutation.
func operationName(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return rest[:strings.IndexAny(rest, "( {")]
}

func sizeOf(ids any) int {
	list, _ := ids.([]string)
	return len(list)
}

// brake waits by refusing: a call for which the bucket will not have enough is not made. What others take meanwhile is not
// known; Shopify then says so itself.
func (a *adapter) brake(size string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left.rate <= 0 {
		return nil
	}
	has := a.left.available + a.left.rate*a.s.Now().Sub(a.left.at).Seconds()
	if cost := a.costs[size]; cost > has {
		e := a.err(domain.RateLimited, "Shopify's bucket of points has too little left; it was not called")
		e.RetryAfter = waitFor(cost-has, a.left.rate)
		return e
	}
	return nil
}

// spent notes what the answer says about points and returns how long a throttled call has to wait.
func (a *adapter) spent(size string, in answer) time.Duration {
	c := in.Extensions.Cost
	if c.Throttle.Rate <= 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = bucket{c.Throttle.Available, c.Throttle.Rate, a.s.Now()}
	a.costs[size] = c.Requested
	return waitFor(c.Requested-c.Throttle.Available, c.Throttle.Rate)
}

func waitFor(points, rate float64) time.Duration {
	return max(time.Duration(points/rate*float64(time.Second)).Round(time.Millisecond), 100*time.Millisecond)
}

// served notices that Shopify serves another version than was asked for: it does so once ours has expired.
func (a *adapter) served(ctx context.Context, h http.Header) {
	got := h.Get("X-Shopify-API-Version")
	if got == "" || got == version {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.warned {
		a.warned = true
		a.s.Log.WarnContext(ctx, "Shopify serves another version of its API; Datum needs an update", "system", a.s.System, "asked", version, "served", got)
	}
}

// shop is what mapping and checking need to know of the account.
type shop struct {
	Name     string `json:"name"`
	Domain   string `json:"myshopifyDomain"`
	Currency string `json:"currencyCode"`
	Zone     string `json:"ianaTimezone"`
	Offset   int    `json:"timezoneOffsetMinutes"`
	Included bool   `json:"taxesIncluded"`
	Plan     struct {
		Name string `json:"publicDisplayName"`
	} `json:"plan"`
	granted []string
	fixed   bool // the machine does not know the zone, so that today's offset is the best there is
}

func (sh shop) allOrders() bool {
	for _, g := range sh.granted {
		if g == "read_all_orders" {
			return true
		}
	}
	return false
}

// theShop returns the shop's settings, read at most every ten minutes.
func (a *adapter) theShop(ctx context.Context) (shop, error) {
	a.mu.Lock()
	known, at := a.shop, a.shopAt
	a.mu.Unlock()
	if !at.IsZero() && a.s.Now().Sub(at) < remembered {
		return known, nil
	}
	return a.readShop(ctx)
}

func (a *adapter) readShop(ctx context.Context) (shop, error) {
	var out struct {
		Shop shop `json:"shop"`
		App  struct {
			Scopes []struct {
				Handle string `json:"handle"`
			} `json:"accessScopes"`
		} `json:"currentAppInstallation"`
	}
	if _, err := a.query(ctx, queryShop, nil, &out); err != nil {
		return shop{}, err
	}
	sh := out.Shop
	for _, g := range out.App.Scopes {
		sh.granted = append(sh.granted, g.Handle)
	}
	_, err := time.LoadLocation(sh.Zone)
	sh.fixed = err != nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shop, a.shopAt = sh, a.s.Now()
	return sh, nil
}

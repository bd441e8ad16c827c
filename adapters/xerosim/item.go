package xerosim

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// item is a Xero item in the order in which Xero writes its members.
type item struct {
	ItemID                string
	Code                  string
	Name                  string `json:",omitempty"`
	Description           string `json:",omitempty"`
	PurchaseDescription   string `json:",omitempty"`
	UpdatedDateUTC        msTime
	PurchaseDetails       details
	SalesDetails          details
	IsTrackedAsInventory  bool
	InventoryAssetAccount string  `json:"InventoryAssetAccountCode,omitempty"`
	TotalCostPool         *amount `json:",omitempty"`
	QuantityOnHand        *amount `json:",omitempty"`
	IsSold                bool
	IsPurchased           bool
}

// details are what an item is sold or bought at.
type details struct {
	UnitPrice       *amount `json:",omitempty"`
	AccountCode     string  `json:",omitempty"`
	COGSAccountCode string  `json:",omitempty"`
	TaxType         string  `json:",omitempty"`
}

type detailsIn struct {
	UnitPrice                             *amount
	AccountCode, COGSAccountCode, TaxType *string
}

func (in *detailsIn) apply(d *details, dp int32) {
	if in == nil {
		return
	}
	if in.UnitPrice != nil {
		p := in.UnitPrice.to(dp)
		d.UnitPrice = &p
	}
	for _, m := range []struct{ to, from *string }{{&d.AccountCode, in.AccountCode}, {&d.COGSAccountCode, in.COGSAccountCode}, {&d.TaxType, in.TaxType}} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
}

// itemIn is an item as a client sends it. Stock cannot be set.
type itemIn struct {
	ItemID, Code, Name, Description, PurchaseDescription, InventoryAssetAccountCode *string
	PurchaseDetails, SalesDetails                                                   *detailsIn
	IsSold, IsPurchased                                                             *bool
}

var itemMembers = map[string]func(*item) any{
	"itemid":               func(i *item) any { return i.ItemID },
	"code":                 func(i *item) any { return i.Code },
	"name":                 func(i *item) any { return i.Name },
	"description":          func(i *item) any { return i.Description },
	"istrackedasinventory": func(i *item) any { return i.IsTrackedAsInventory },
	"issold":               func(i *item) any { return i.IsSold },
	"ispurchased":          func(i *item) any { return i.IsPurchased },
	"updateddateutc":       func(i *item) any { return i.UpdatedDateUTC.Time },
}

// listItems never pages.
func (s *Sim) listItems(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, bad := readListing(r, "Item", "ItemID", itemMembers)
	if bad != nil {
		return *bad
	}
	shown := []any{}
	for _, i := range l.pick(s.items, func(i *item) time.Time { return i.UpdatedDateUTC.Time }, nil) {
		shown = append(shown, i.at(unitDecimals(r)))
	}
	return s.envelope("Items", shown, nil)
}

// at returns the item with prices of so many decimals.
func (i *item) at(dp int32) *item {
	n := *i
	for _, d := range []*details{&n.SalesDetails, &n.PurchaseDetails} {
		if d.UnitPrice != nil {
			p := d.UnitPrice.to(dp)
			d.UnitPrice = &p
		}
	}
	return &n
}

// item finds one by id or code.
func (s *Sim) item(key string) *item {
	if i := s.items[strings.ToLower(key)]; i != nil {
		return i
	}
	return s.items[s.codes[key]]
}

func (s *Sim) getItem(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.item(r.PathValue("id"))
	if i == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("Items", []any{i.at(unitDecimals(r))}, nil)
}

func (s *Sim) deleteItem(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.item(r.PathValue("id"))
	if i == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	delete(s.items, i.ItemID)
	delete(s.codes, i.Code)
	s.Wrote(r, 0, 1, 0)
	return answer{status: http.StatusNoContent}
}

func (s *Sim) writeItems(r *http.Request, body []byte) answer {
	only := r.PathValue("id")
	if only != "" {
		s.mu.Lock()
		i := s.item(only)
		s.mu.Unlock()
		if i == nil {
			return answer{status: http.StatusNotFound, text: missing}
		}
		only = i.ItemID
	}
	dp := unitDecimals(r)
	return batch(s, r, body, "Items", only != "", func(in *itemIn) outcome {
		if only != "" {
			in.ItemID = &only
		}
		i, msgs, kind := s.putItem(in, r.Method == http.MethodPut, dp)
		return outcome{shown: i.at(dp), msgs: msgs, did: kind}
	})
}

// putItem creates or updates one item. The caller holds the lock.
func (s *Sim) putItem(in *itemIn, createOnly bool, dp int32) (*item, []string, did) {
	var old *item
	n := &item{ItemID: noID, IsSold: true, IsPurchased: true}
	if id := text(in.ItemID); id != "" && id != noID && !createOnly {
		if old = s.items[strings.ToLower(id)]; old == nil {
			return n, []string{"The item with the ItemID " + id + " could not be found."}, didNothing
		}
	} else if !createOnly {
		old = s.items[s.codes[text(in.Code)]]
	}
	if old != nil {
		c := *old
		n = &c
	}
	for _, m := range []struct{ to, from *string }{{&n.Code, in.Code}, {&n.Name, in.Name}, {&n.Description, in.Description},
		{&n.PurchaseDescription, in.PurchaseDescription}, {&n.InventoryAssetAccount, in.InventoryAssetAccountCode}} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	in.SalesDetails.apply(&n.SalesDetails, dp)
	in.PurchaseDetails.apply(&n.PurchaseDetails, dp)
	n.IsSold, n.IsPurchased = or(in.IsSold, n.IsSold), or(in.IsPurchased, n.IsPurchased)
	if !n.IsSold {
		n.Description, n.SalesDetails = "", details{}
	}
	if !n.IsPurchased {
		n.PurchaseDescription, n.PurchaseDetails = "", details{}
	}
	if old == nil && n.InventoryAssetAccount != "" {
		n.IsTrackedAsInventory, n.QuantityOnHand, n.TotalCostPool = true, &amount{}, &amount{}
	}
	if msgs := s.wrongItem(n, old); len(msgs) > 0 {
		return n, msgs, didNothing
	}
	kind := didUpdate
	if old == nil {
		kind, n.ItemID = didCreate, s.UUID()
	} else if same := *old; reflect.DeepEqual(*n, same) {
		kind = didNothing
	}
	n.UpdatedDateUTC = msTime{s.Now().Truncate(time.Millisecond)}
	if old != nil {
		delete(s.codes, old.Code)
	}
	s.items[n.ItemID], s.codes[n.Code] = n, n.ItemID
	return n, nil, kind
}

func (s *Sim) wrongItem(n, old *item) (msgs []string) {
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	if n.Code == "" {
		bad("Price List Item Code must be specified")
	}
	for _, l := range []struct {
		name, v string
		n       int
	}{{"Code", n.Code, 30}, {"Name", n.Name, 50}, {"Description", n.Description, 4000}, {"Purchase Description", n.PurchaseDescription, 4000}} {
		if utf8.RuneCountInString(l.v) > l.n {
			bad("Price List Item %s must not be more than %d characters long", l.name, l.n)
		}
	}
	if id := s.codes[n.Code]; id != "" && id != n.ItemID {
		bad("Price List Item with Code '%s' already exists", n.Code)
	}
	for _, d := range []details{n.SalesDetails, n.PurchaseDetails} {
		if d.UnitPrice != nil && d.UnitPrice.IsNegative() {
			bad("Price List Item UnitPrice must not be negative")
		}
		if d.AccountCode != "" && s.account(d.AccountCode) == nil {
			bad("Account code '%s' is not a valid code for this item.", d.AccountCode)
		}
		msgs = append(msgs, s.wrongTax(d.TaxType, d.AccountCode)...)
	}
	if old != nil && old.InventoryAssetAccount != n.InventoryAssetAccount {
		bad("Whether an item is tracked as inventory cannot be changed.")
	} else if n.InventoryAssetAccount != "" {
		if a := s.account(n.InventoryAssetAccount); a == nil || a.Type != "INVENTORY" {
			bad("Account code '%s' is not an inventory account.", n.InventoryAssetAccount)
		}
	}
	return msgs
}

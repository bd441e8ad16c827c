package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
)

// locationMapping is the table of Location, which is only read.
func locationMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindLocation, Object: "Locations",
		Rows: []adapters.Row{
			row("name", 0, "", []string{"name"}),
			addressRow("address", "address", false),
			{Field: "status", Paths: []string{"isActive"}, Get: func(o object) domain.Value {
				if within(o, "isActive") == "true" {
					return domain.TextValue("ACTIVE")
				}
				return domain.TextValue("ARCHIVED")
			}},
		},
		Known: []string{"id", "legacyResourceId", "createdAt", "updatedAt"},
	}
}

// stockMapping is the table of StockLevel. Only tracked items have stock. Product and location are set when a level is made.
func stockMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindStockLevel, Object: "Inventory levels",
		Rows: []adapters.Row{
			{Field: "product", Paths: []string{"item"}, Note: "fixed when it is made",
				Get: func(o object) domain.Value {
					vs := list(o, "item", "variants", "nodes")
					if len(vs) == 0 {
						return domain.Null
					}
					return domain.TextValue(domain.Ext(within(vs[0], "legacyResourceId")))
				},
				Set: setRef("product")},
			{Field: "location", Paths: []string{"location"}, Note: "fixed when it is made",
				Get: func(o object) domain.Value {
					return domain.TextValue(domain.Ext(within(o, "location", "legacyResourceId")))
				},
				Set: setRef("location")},
			quantityRow("onHand", "on_hand", "available, committed and set aside"),
			quantityRow("committed", "committed", "sold and not sent"),
			available(),
			quantityRow("incoming", "incoming", ""),
		},
		Known: []string{"id", "createdAt", "updatedAt", "quantities"},
	}
}

func setRef(member string) func(object, domain.Value) error {
	return func(o object, v domain.Value) error {
		id, ok := domain.ExtID(v.Text())
		if !ok {
			return fmt.Errorf("%s must refer to what is in Shopify", member)
		}
		o[member] = id
		return nil
	}
}

func quantityRow(f domain.Field, name, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{"quantities[" + name + "]"}, Note: note, Get: func(o object) domain.Value {
		return domain.TextValue(quantity(o, name))
	}}
}

// quantity is one of a level's quantities, "" if the answer lacks it.
func quantity(o object, name string) string {
	for _, q := range list(o, "quantities") {
		if within(q, "name") == name {
			return within(q, "quantity")
		}
	}
	return ""
}

func available() adapters.Row {
	r := quantityRow("available", "available", "whole numbers; what can be sold")
	r.Set = func(o object, v domain.Value) error {
		d, err := decimal.NewFromString(v.Text())
		switch {
		case v.Empty():
			return errors.New("a level without a quantity cannot be held; 0 is none")
		case err != nil || !d.IsInteger():
			return fmt.Errorf("stock is counted in whole pieces in Shopify, not %s", v.Text())
		}
		o["available"] = d.IntPart()
		return nil
	}
	return r
}

// levelID splits the external id of a level, "item@location".
func levelID(external string) (item, location string, ok bool) {
	item, location, ok = strings.Cut(external, "@")
	return item, location, ok && isNumber(item) && isNumber(location)
}

func isNumber(s string) bool { return s != "" && len(s) < 20 && strings.Trim(s, "0123456789") == "" }

func (a *adapter) createLevel(ctx context.Context, w adapters.Write, set object) (domain.Record, error) {
	variant, location := adapters.String(set, "product"), adapters.String(set, "location")
	if variant == "" || location == "" {
		return domain.Record{}, a.err(domain.Invalid, "a stock level needs a product and a location to be made in Shopify")
	}
	var found struct {
		Variant object `json:"productVariant"`
	}
	if _, err := a.query(ctx, queryItemOfVariant, vars{"id": gid("ProductVariant", variant)}, &found); err != nil {
		return domain.Record{}, err
	}
	item := within(found.Variant, "inventoryItem", "id")
	switch {
	case item == "":
		return domain.Record{}, a.err(domain.NotFound, "Shopify has no product %s", variant)
	case within(found.Variant, "inventoryItem", "tracked") != "true":
		return domain.Record{}, a.err(domain.Invalid, "Shopify does not track the stock of product %s; set trackStock first", variant)
	}
	// A tracked item is stocked at a first location from the beginning: then there is a level already, and it is set.
	external := within(found.Variant, "inventoryItem", "legacyResourceId") + "@" + location
	have, err := a.fetchLevels(ctx, []string{external})
	if err != nil {
		return domain.Record{}, err
	}
	if len(have) == 1 {
		base, err := adapters.ParseObject(have[0].Raw)
		if err != nil {
			return domain.Record{}, err
		}
		w.ExternalID = external
		return a.updateLevel(ctx, w, set, base)
	}
	var out struct {
		Activate struct {
			Level  object      `json:"inventoryLevel"`
			Errors []userError `json:"userErrors"`
		} `json:"inventoryActivate"`
	}
	s, err := a.mutate(ctx, mutationActivate, vars{"item": item, "location": gid("Location", location), "available": set["available"], "key": keyFor(w, item, location, set["available"])}, &out, true)
	if err == nil {
		err = a.refused(out.Activate.Errors)
	}
	if err != nil {
		return domain.Record{}, err
	}
	return a.answered(ctx, w.Kind, out.Activate.Level, s)
}

// updateLevel sets what is available, if it still is what we saw.
func (a *adapter) updateLevel(ctx context.Context, w adapters.Write, set, base object) (domain.Record, error) {
	item, location, ok := levelID(w.ExternalID)
	if !ok {
		return domain.Record{}, a.err(domain.Invalid, "%q is not the id of a stock level in Shopify", w.ExternalID)
	}
	for member, is := range map[string]string{"product": productOf(base), "location": location} {
		if to := adapters.String(set, member); to != "" && to != is {
			return domain.Record{}, a.err(domain.Invalid, "a stock level keeps its %s", member)
		}
	}
	to, ok := set["available"]
	if !ok {
		return a.levelNow(ctx, w)
	}
	from := json.Number(quantity(base, "available"))
	var out struct {
		Set struct {
			Group  object      `json:"inventoryAdjustmentGroup"`
			Errors []userError `json:"userErrors"`
		} `json:"inventorySetQuantities"`
	}
	input := object{"name": "available", "reason": "correction", "quantities": []object{{"inventoryItemId": gid("InventoryItem", item), "locationId": gid("Location", location),
		"quantity": to, "changeFromQuantity": from}}}
	put := func(key string) (sent, error) {
		return a.mutate(ctx, mutationSetQuantities, vars{"input": input, "location": gid("Location", location), "key": key}, &out, true)
	}
	s, err := put(keyFor(w, from, to))
	if err == nil && len(out.Set.Errors) > 0 && out.Set.Errors[0].Code == keyHasFailed {
		// Nothing was set under that key, and never will be. It is no refusal of the quantity: what is there decides.
		out.Set.Errors = nil
		s, err = put(uuid.NewString())
	}
	if err == nil {
		err = a.refused(out.Set.Errors)
	}
	if err != nil {
		return domain.Record{}, err
	}
	for _, c := range list(out.Set.Group, "changes") {
		return a.answered(ctx, w.Kind, at(c, "item", "inventoryLevel"), s)
	}
	return a.levelNow(ctx, w) // nothing had to change
}

func productOf(base object) string {
	vs := list(base, "item", "variants", "nodes")
	if len(vs) == 0 {
		return ""
	}
	return within(vs[0], "legacyResourceId")
}

func (a *adapter) levelNow(ctx context.Context, w adapters.Write) (domain.Record, error) {
	recs, err := a.fetchLevels(ctx, []string{w.ExternalID})
	if err != nil {
		return domain.Record{}, err
	}
	if len(recs) == 0 {
		return domain.Record{}, a.err(domain.NotFound, "Shopify has no stock level %s", w.ExternalID)
	}
	return recs[0], nil
}

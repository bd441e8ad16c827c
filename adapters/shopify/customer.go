package shopify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// customerMapping is the table of Customer.
func customerMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCustomer, Object: "Customers", IDField: "datumId",
		Rows: []adapters.Row{
			{Field: "legalName", Paths: []string{"firstName", "lastName"}, Max: 2 * maxName, Note: "split at the last space",
				Get: func(o object) domain.Value {
					return domain.TextValue(strings.TrimSpace(within(o, "firstName") + " " + within(o, "lastName")))
				},
				Set: func(o object, v domain.Value) error {
					first, last := v.Text(), ""
					if i := strings.LastIndexByte(first, ' '); i >= 0 {
						first, last = first[:i], first[i+1:]
					}
					if len([]rune(first)) > maxName || len([]rune(last)) > maxName {
						return fmt.Errorf("at most %d characters may stand before and after the last space", maxName)
					}
					o["firstName"], o["lastName"] = orNil(first), orNil(last)
					return nil
				}},
			{Field: "abn", Paths: []string{"abn"}, Note: "metafield datum.abn; 11 digits",
				Get: func(o object) domain.Value { return domain.TextValue(within(o, "abn", "value")) },
				Set: func(o object, v domain.Value) error { o["abn"] = v.Text(); return nil }},
			{Field: "email", Paths: []string{"defaultEmailAddress"}, Max: maxName, Note: "unique; in lower case, as Shopify keeps it",
				Get: func(o object) domain.Value {
					return domain.TextValue(strings.ToLower(within(o, "defaultEmailAddress", "emailAddress")))
				},
				Set: func(o object, v domain.Value) error { o["email"] = orNil(strings.ToLower(v.Text())); return nil },
				Fit: func(v domain.Value) domain.Value { return domain.TextValue(strings.ToLower(v.Text())) }},
			{Field: "phone", Paths: []string{"defaultPhoneNumber"}, Note: "unique; with its country",
				Get: func(o object) domain.Value {
					return domain.TextValue(plainPhone(within(o, "defaultPhoneNumber", "phoneNumber")))
				},
				Set: func(o object, v domain.Value) error { o["phone"] = orNil(fullPhone(v.Text())); return nil }},
			addressRow("billingAddress", "defaultAddress", true),
			tagsRow("tags"),
			noteRow(),
		},
		Known: []string{"id", "legacyResourceId", "taxExempt", "state", "createdAt", "updatedAt"},
	}
}

func (a *adapter) createCustomer(ctx context.Context, w adapters.Write, set object) (domain.Record, error) {
	input := maps.Clone(set)
	delete(input, "abn")
	delete(input, "defaultAddress")
	if ad, ok := set["defaultAddress"].(object); ok {
		input["addresses"] = []object{ad}
	}
	var out struct {
		Set struct {
			Customer object      `json:"customer"`
			Errors   []userError `json:"userErrors"`
		} `json:"customerSet"`
	}
	v := vars{"input": input}
	if w.CanonicalID != "" {
		v["identifier"] = customID(w.CanonicalID)
	}
	s, err := a.mutate(ctx, mutationSetCustomer, v, &out, w.CanonicalID != "")
	if err == nil {
		err = a.refused(out.Set.Errors)
	}
	if err != nil {
		return domain.Record{}, err
	}
	if abn := adapters.String(set, "abn"); abn != "" { // which customerSet does not take
		w.ExternalID = within(out.Set.Customer, "legacyResourceId")
		return a.updateCustomer(ctx, w, object{"abn": abn}, out.Set.Customer)
	}
	return a.answered(ctx, w.Kind, out.Set.Customer, s)
}

func (a *adapter) updateCustomer(ctx context.Context, w adapters.Write, set, base object) (domain.Record, error) {
	id, addressID := gid("Customer", w.ExternalID), within(base, "defaultAddress", "id")
	input := maps.Clone(set)
	input["id"] = id
	delete(input, "abn")
	delete(input, "defaultAddress")
	fields := marks(w, base)
	abn, hasABN := set["abn"].(string)
	if abn != "" {
		fields = append(fields, object{"namespace": namespace, "key": abnKey, "type": "single_line_text_field", "value": abn})
	}
	if len(fields) > 0 {
		input["metafields"] = fields
	}
	address, moves := set["defaultAddress"]
	ad, _ := address.(object)
	v := vars{"input": input, "id": id, "addressId": addressID, "address": ad, "addAddress": ad != nil && addressID == "", "editAddress": ad != nil && addressID != "",
		"dropAddress": moves && ad == nil && addressID != "", "dropABN": hasABN && abn == "" && within(base, "abn", "value") != ""}
	if ad == nil {
		v["address"] = object{}
	}
	type errs struct {
		Errors []userError `json:"userErrors"`
	}
	var out struct {
		Create errs `json:"customerAddressCreate"`
		Edit   errs `json:"customerAddressUpdate"`
		Drop   errs `json:"customerAddressDelete"`
		Delete errs `json:"metafieldsDelete"`
		Update struct {
			Customer object `json:"customer"`
			errs
		} `json:"customerUpdate"`
	}
	s, err := a.mutate(ctx, mutationUpdateCustomer, v, &out, v["addAddress"] == false)
	if err == nil {
		err = a.refused(slices.Concat(out.Create.Errors, out.Edit.Errors, out.Drop.Errors, out.Delete.Errors, out.Update.Errors))
	}
	if err != nil {
		return domain.Record{}, err
	}
	return a.answered(ctx, w.Kind, out.Update.Customer, s)
}

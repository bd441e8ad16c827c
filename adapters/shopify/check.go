package shopify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// owners are the objects that carry our metafields, with the keys of each.
var owners = []struct {
	owner string
	keys  []string
}{{"CUSTOMER", []string{idKey, abnKey}}, {"PRODUCT", []string{idKey}}, {"PRODUCTVARIANT", []string{idKey}}}

// Check reads the shop's settings, the app's access, and the definitions of our metafields.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "shopify.Check")
	sh, err := a.readShop(ctx)
	if err != nil {
		return h, err
	}
	h.Account = sh.Name
	h.Details = map[string]string{"shop": sh.Domain, "plan": sh.Plan.Name, "currency": sh.Currency, "timeZone": sh.Zone, "pricesIncludeGST": fmt.Sprint(sh.Included), "apiVersion": version}
	if sh.Currency != currencyOf(a.s.Settings) {
		h.Problems = append(h.Problems, fmt.Sprintf("the shop's currency is %s; set the system's setting currency to it", sh.Currency))
	}
	if a.shopName != "" && !strings.EqualFold(a.shopName, sh.Domain) {
		h.Problems = append(h.Problems, fmt.Sprintf("the setting shop is %s and the shop is %s; webhooks would be ignored", a.shopName, sh.Domain))
	}
	var missing []string
	for _, s := range scopes {
		if !slices.Contains(sh.granted, s) {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		h.Problems = append(h.Problems, "the app lacks "+strings.Join(missing, ", ")+"; install it again with them")
	}
	a.mu.Lock()
	warned := a.warned
	a.mu.Unlock()
	if warned {
		h.Problems = append(h.Problems, "Shopify no longer serves version "+version+" of its API and answers with another; update Datum")
	}
	for _, o := range owners {
		have, err := a.definitions(ctx, o.owner)
		if domain.CodeOf(err) == domain.Forbidden {
			continue // said above
		}
		if err != nil {
			return h, err
		}
		for _, k := range o.keys {
			if !slices.Contains(have, k) {
				h.Problems = append(h.Problems, fmt.Sprintf("the metafield %s.%s of %s is not defined; provision the system to define it", namespace, k, strings.ToLower(o.owner)))
			}
		}
	}
	return h, nil
}

// definitions are the keys of our metafields that are defined.
func (a *adapter) definitions(ctx context.Context, owner string) ([]string, error) {
	var out struct {
		Definitions connection `json:"metafieldDefinitions"`
	}
	if _, err := a.query(ctx, queryDefinitions, vars{"owner": owner}, &out); err != nil {
		return nil, err
	}
	var keys []string
	for _, d := range out.Definitions.Nodes {
		keys = append(keys, within(d, "key"))
	}
	return keys, nil
}

// Provision defines our metafields. What exists is left as it is.
func (a *adapter) Provision(ctx context.Context) (err error) {
	defer domain.Wrap(&err, "shopify.Provision")
	for _, o := range owners {
		have, err := a.definitions(ctx, o.owner)
		if err != nil {
			return err
		}
		for _, k := range o.keys {
			if slices.Contains(have, k) {
				continue
			}
			d := object{"ownerType": o.owner, "namespace": namespace, "key": k, "name": "Datum id", "type": "id"}
			if k == abnKey {
				d["name"], d["type"] = "ABN", "single_line_text_field"
			} else {
				d["capabilities"] = object{"uniqueValues": object{"enabled": true}}
			}
			var out struct {
				Create struct {
					Errors []userError `json:"userErrors"`
				} `json:"metafieldDefinitionCreate"`
			}
			if _, err := a.mutate(ctx, mutationDefine, vars{"definition": d}, &out, true); err != nil {
				return err
			}
			// Another process may have made it meanwhile.
			if err := a.refused(out.Create.Errors); err != nil && domain.CodeOf(err) != domain.Conflict {
				return err
			}
		}
	}
	return nil
}

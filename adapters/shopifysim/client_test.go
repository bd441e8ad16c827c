package shopifysim_test

import (
	"strings"
	"testing"

	"datum/adapters/shopifysim"
)

// What Shopify's clients and a reader of its schema ask for beside the objects themselves.
func TestWhatShopifysClientsRelyOn(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{})
	for _, path := range [][]string{{"url"}, {"primaryDomain", "url"}} {
		if u, _ := s.do(`{shop{url primaryDomain{url}}}`, nil, append([]string{"data", "shop"}, path...)...).(string); !strings.HasPrefix(u, "https://") {
			t.Errorf("the shop's %v: %q", path, u)
		}
	}

	def := m{"name": "Datum id", "namespace": "datum", "key": "id", "type": "id", "ownerType": "CUSTOMER", "capabilities": m{"uniqueValues": m{"enabled": true}}}
	equal(t, "unique", s.do(`mutation($d:MetafieldDefinitionInput!){metafieldDefinitionCreate(definition:$d){createdDefinition{capabilities{uniqueValues{enabled}}} userErrors{message}}}`, m{"d": def},
		"data", "metafieldDefinitionCreate", "createdDefinition", "capabilities", "uniqueValues", "enabled"), true)
	customer := s.put("customer", "", m{"email": "jo@hartley.example"})["admin_graphql_api_id"]
	set := s.do(`mutation($m:[MetafieldsSetInput!]!){metafieldsSet(metafields:$m){metafields{owner{__typename ... on Customer{id email unsubscribeUrl}}} userErrors{message}}}`,
		m{"m": []m{{"ownerId": customer, "namespace": "datum", "key": "id", "type": "id", "value": "cus_1"}}}, "data", "metafieldsSet", "metafields", "0", "owner")
	equal(t, "owner", dig(set, "id"), customer)
	equal(t, "its type", dig(set, "__typename"), "Customer")
	if u, _ := dig(set, "unsubscribeUrl").(string); !strings.HasPrefix(u, "https://") {
		t.Errorf("a URL that is not modelled: %q", u)
	}

	op := s.do(`mutation{productSet(synchronous:false,input:{title:"Elbow"}){product{id} productSetOperation{status product{title} userErrors{message}} userErrors{message}}}`, nil, "data", "productSet")
	equal(t, "an operation's product", dig(op, "product"), nil)
	equal(t, "operation", dig(op, "productSetOperation", "status"), "COMPLETE")
	equal(t, "made", dig(op, "productSetOperation", "product", "title"), "Elbow")

	id := s.do(`mutation{webhookSubscriptionCreate(topic:CUSTOMERS_UPDATE,webhookSubscription:{uri:"https://a.example/h"}){webhookSubscription{id} userErrors{message}}}`, nil,
		"data", "webhookSubscriptionCreate", "webhookSubscription", "id")
	const update = `mutation($id:ID!,$u:String!){webhookSubscriptionUpdate(id:$id,webhookSubscription:{uri:$u}){webhookSubscription{uri} userErrors{message}}}`
	equal(t, "moved", s.do(update, m{"id": id, "u": "https://b.example/h"}, "data", "webhookSubscriptionUpdate", "webhookSubscription", "uri"), "https://b.example/h")
	equal(t, "by id", s.do(`query($id:ID!){webhookSubscription(id:$id){uri topic}}`, m{"id": id}, "data", "webhookSubscription", "uri"), "https://b.example/h")
	equal(t, "no address", s.do(update, m{"id": id, "u": "b.example"}, "data", "webhookSubscriptionUpdate", "userErrors", "0", "message"), "Address is invalid")
	equal(t, "unknown", s.do(update, m{"id": "gid://shopify/WebhookSubscription/1", "u": "https://b.example"}, "data", "webhookSubscriptionUpdate", "userErrors", "0", "message"), "Webhook subscription does not exist")
}

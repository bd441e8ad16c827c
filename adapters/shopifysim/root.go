package shopifysim

import (
	"slices"
	"strings"
)

// resolver answers a root field.
type resolver func(x *exec, a args) (any, *failure)

const shopName = "Hartley Trade Supplies"

// byID answers a root field that takes an id.
func byID(typ string) resolver {
	return func(x *exec, a args) (any, *failure) {
		n := x.s.node(a.str("id"))
		if n == nil || typ != "" && n.typ != typ {
			return nil, nil
		}
		return n, nil
	}
}

// node finds any object by its global id.
func (s *Sim) node(id string) *node {
	typ, _, _ := strings.Cut(strings.TrimPrefix(id, "gid://shopify/"), "/")
	switch typ {
	case "Customer":
		return s.customerNode(s.customers[idOf(typ, id)])
	case "Product":
		return s.productNode(s.products[idOf(typ, id)])
	case "ProductVariant":
		return s.variantNode(s.variants[idOf(typ, id)])
	case "InventoryItem":
		return s.itemNode(s.items[idOf(typ, id)])
	case "InventoryLevel":
		return s.levelNode(s.levelByGID(id))
	case "Location":
		return s.locationNode(s.locations[idOf(typ, id)])
	case "Order":
		return s.orderNode(s.orders[idOf(typ, id)])
	case "Refund":
		return s.refundNode(s.refunds[idOf(typ, id)])
	case "OrderTransaction":
		return s.paymentNode(s.payments[idOf(typ, id)])
	case "WebhookSubscription":
		if h := s.hook(id); h != nil {
			return h.node()
		}
	case "BulkOperation":
		return s.bulkNode(s.bulks[idOf(typ, id)])
	}
	return nil
}

func count(list resolver) resolver {
	return func(x *exec, a args) (any, *failure) {
		v, fail := list(x, a)
		c, _ := v.(conn)
		n, precision := len(c), "EXACT"
		if limit := a.int("limit"); limit > 0 && n > limit {
			n, precision = limit, "AT_LEAST"
		}
		return &node{"Count", fields{"count": n, "precision": precision}}, fail
	}
}

func rootQueries() map[string]resolver {
	return map[string]resolver{
		"node": byID(""), "customer": byID("Customer"), "product": byID("Product"), "productVariant": byID("ProductVariant"), "inventoryItem": byID("InventoryItem"),
		"inventoryLevel": byID("InventoryLevel"), "webhookSubscription": byID("WebhookSubscription"), "order": byID("Order"), "refund": byID("Refund"), "bulkOperation": byID("BulkOperation"),
		"nodes": func(x *exec, a args) (any, *failure) {
			all := []*node{}
			for _, id := range a.strs("ids") {
				all = append(all, x.s.node(id))
			}
			return all, nil
		},
		"location": func(x *exec, a args) (any, *failure) {
			if a["id"] == nil {
				return x.s.locationNode(x.s.firstLocation()), nil
			}
			return x.s.node(a.str("id")), nil
		},
		"shop": func(x *exec, _ args) (any, *failure) { return x.s.shopNode(), nil },
		"job": func(x *exec, a args) (any, *failure) {
			return &node{"Job", fields{"id": a.str("id"), "done": true}}, nil
		},
		"publicApiVersions": func(*exec, args) (any, *failure) {
			return []*node{{"ApiVersion", fields{"handle": "2026-07", "displayName": "2026-07 (Latest)", "supported": true}}}, nil
		},
		"currentAppInstallation": func(x *exec, _ args) (any, *failure) {
			var all []*node
			for _, sc := range x.s.opts.Scopes {
				all = append(all, &node{"AccessScope", fields{"handle": sc, "description": sc}})
			}
			return &node{"AppInstallation", fields{"id": gid("AppInstallation", 548380009), "accessScopes": all, "launchUrl": "https://" + domainName + "/admin/apps/datum"}}, nil
		},
		"metafieldDefinitions": listDefinitions, "webhookSubscriptions": listHooks,
		"customers": listCustomers, "customersCount": count(listCustomers), "customerByIdentifier": customerByIdentifier,
		"products": listProducts, "productsCount": count(listProducts),
		"productByIdentifier": func(x *exec, a args) (any, *failure) {
			p, fail := x.s.identifyProduct(a.obj("identifier"))
			return x.s.productNode(p), fail
		},
		"productVariants": listVariants, "productVariantsCount": count(listVariants),
		"productVariantByIdentifier": func(x *exec, a args) (any, *failure) {
			in := a.obj("identifier")
			if in.has("id") {
				return x.s.node(in.str("id")), nil
			}
			id, fail := x.s.byCustomID("PRODUCTVARIANT", in.obj("customId"))
			return x.s.variantNode(x.s.variants[id]), fail
		},
		"inventoryItems": listItems, "locations": listLocations, "orders": listOrders, "ordersCount": count(listOrders),
		"orderByIdentifier": func(x *exec, a args) (any, *failure) {
			in := a.obj("identifier")
			if in.has("id") {
				return x.s.node(in.str("id")), nil
			}
			id, fail := x.s.byCustomID("ORDER", in.obj("customId"))
			return x.s.orderNode(x.s.orders[id]), fail
		},
		"bulkOperations": listBulks, "currentBulkOperation": currentBulk,
	}
}

func rootMutations() map[string]resolver {
	return map[string]resolver{
		"customerSet": setCustomer, "customerCreate": createCustomer, "customerUpdate": updateCustomer, "customerDelete": deleteCustomer, "customerMerge": mergeCustomers,
		"customerAddressCreate": addressMutation("CustomerAddressCreate", addAddress), "customerAddressUpdate": addressMutation("CustomerAddressUpdate", editAddress),
		"customerAddressDelete":        addressMutation("CustomerAddressDelete", removeAddress),
		"customerUpdateDefaultAddress": addressMutation("CustomerUpdateDefaultAddress", defaultAddress),
		"productSet":                   setProduct, "productUpdate": updateProduct, "productDelete": deleteProduct, "productVariantsBulkUpdate": updateVariants, "inventoryItemUpdate": updateItem,
		"inventorySetQuantities": setQuantities, "inventoryAdjustQuantities": adjustQuantities, "inventoryActivate": activate,
		"orderUpdate": updateOrder, "orderCancel": cancelOrder, "orderClose": closeOrder(false), "orderOpen": closeOrder(true), "orderMarkAsPaid": markPaid,
		"refundCreate": createRefund, "metafieldsSet": setMetafields, "metafieldsDelete": deleteMetafields, "metafieldDefinitionCreate": createDefinition, "tagsAdd": changeTags(true), "tagsRemove": changeTags(false),
		"webhookSubscriptionCreate": createHook, "webhookSubscriptionUpdate": updateHook, "webhookSubscriptionDelete": deleteHook, "bulkOperationRunQuery": runBulk, "bulkOperationCancel": cancelBulk,
	}
}

func (s *Sim) shopNode() *node {
	return &node{"Shop", fields{"id": gid("Shop", 690933842), "name": shopName, "email": "owner@hartley.example", "contactEmail": "owner@hartley.example", "url": "https://" + domainName,
		"primaryDomain": &node{"Domain", fields{"id": gid("Domain", 690933842), "host": domainName, "url": "https://" + domainName, "sslEnabled": true}}, "myshopifyDomain": domainName, "currencyCode": currency,
		"ianaTimezone": "Australia/Melbourne", "timezoneAbbreviation": "AEST", "timezoneOffset": "+1000", "timezoneOffsetMinutes": 600, "taxesIncluded": !s.opts.TaxesExcluded,
		"taxShipping": true, "weightUnit": "KILOGRAMS", "unitSystem": "METRIC_SYSTEM", "plan": &node{"ShopPlan", fields{"displayName": "Basic", "publicDisplayName": "Basic", "shopifyPlus": false, "partnerDevelopment": false}}}}
}

// job is an asynchronous job that is done already.
func (s *Sim) job() *node {
	return &node{"Job", fields{"id": "gid://shopify/Job/" + s.UUID(), "done": true}}
}

func changeTags(add bool) resolver {
	mutation := map[bool]string{true: "TagsAdd", false: "TagsRemove"}[add]
	return func(x *exec, a args) (any, *failure) {
		s, id := x.s, a.str("id")
		var list *[]string
		_, done := s.holderOf(id)
		switch {
		case s.customers[idOf("Customer", id)] != nil:
			list = &s.customers[idOf("Customer", id)].tags
		case s.products[idOf("Product", id)] != nil:
			list = &s.products[idOf("Product", id)].tags
		case s.orders[idOf("Order", id)] != nil:
			list = &s.orders[idOf("Order", id)].tags
		default:
			return payload(mutation, []problem{{[]string{"id"}, "The record does not exist", ""}}, fields{}), nil
		}
		given, p := cleanTags(a.strs("tags"))
		if p != nil {
			return payload(mutation, []problem{*p}, fields{}), nil
		}
		next, _ := cleanTags(append(slices.Clone(*list), given...))
		if !add {
			next = slices.DeleteFunc(slices.Clone(*list), func(t string) bool {
				return slices.ContainsFunc(given, func(g string) bool { return strings.EqualFold(g, t) })
			})
		}
		if slices.Equal(next, *list) {
			x.noop++
		} else {
			*list = next
			x.updated++
			done()
		}
		return payload(mutation, nil, fields{"node": later(func() *node { return s.node(id) })}), nil
	}
}

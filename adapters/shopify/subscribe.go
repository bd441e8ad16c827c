package shopify

import (
	"context"
	"slices"

	"datum/adapters"
	"datum/domain"
)

// topics are the subscriptions that Receive understands.
var topics = []string{"CUSTOMERS_CREATE", "CUSTOMERS_DELETE", "CUSTOMERS_MERGE", "CUSTOMERS_UPDATE", "INVENTORY_LEVELS_CONNECT", "INVENTORY_LEVELS_DISCONNECT",
	"INVENTORY_LEVELS_UPDATE", "LOCATIONS_CREATE", "LOCATIONS_DELETE", "LOCATIONS_UPDATE", "ORDERS_CREATE", "ORDERS_DELETE", "ORDERS_UPDATED",
	"ORDER_TRANSACTIONS_CREATE", "PRODUCTS_CREATE", "PRODUCTS_DELETE", "PRODUCTS_UPDATE", "REFUNDS_CREATE"}

// Subscriptions reads the shop's subscriptions. Shopify deletes those whose deliveries have failed for four hours. What the
// app's own configuration subscribes to is not in the answer; told twice, an event is taken once.
func (a *adapter) Subscriptions(ctx context.Context, hook adapters.Hook) (subs []adapters.Subscription, err error) {
	defer domain.Wrap(&err, "shopify.Subscriptions")
	var out struct {
		List struct {
			Nodes []struct{ ID, Topic, URI string }
		} `json:"webhookSubscriptions"`
	}
	if _, err := a.query(ctx, querySubscriptions, vars{"first": 250}, &out); err != nil {
		return nil, err
	}
	for _, topic := range topics {
		s := adapters.Subscription{Topic: topic, State: adapters.SubscriptionMissing}
		for _, n := range out.List.Nodes {
			if n.Topic == topic && n.URI == hook.URL {
				s.ID, s.State = n.ID, adapters.SubscriptionActive
			}
		}
		subs = append(subs, s)
	}
	return subs, nil
}

// Subscribe makes those that are missing.
func (a *adapter) Subscribe(ctx context.Context, hook adapters.Hook) (err error) {
	defer domain.Wrap(&err, "shopify.Subscribe")
	subs, err := a.Subscriptions(ctx, hook)
	if err != nil {
		return err
	}
	for _, s := range subs {
		if s.State == adapters.SubscriptionActive {
			continue
		}
		var out struct {
			Create struct {
				UserErrors []struct{ Message string } `json:"userErrors"`
			} `json:"webhookSubscriptionCreate"`
		}
		// Made again after a lost answer it is refused as taken, which the next look finds to be well.
		if _, err := a.mutate(ctx, mutationSubscribe, vars{"topic": s.Topic, "hook": vars{"uri": hook.URL, "format": "JSON"}}, &out, true); err != nil {
			return err
		}
		if es := out.Create.UserErrors; len(es) > 0 && !slices.ContainsFunc(es, func(e struct{ Message string }) bool {
			return e.Message == "Address for this topic has already been taken"
		}) {
			return &domain.Error{Code: domain.Invalid, System: a.s.System, Message: "Shopify refuses to send " + s.Topic + " to " + hook.URL + ": " + es[0].Message +
				"; DATUM_PUBLIC_URL must be an https address that Shopify reaches, and the app needs the scope to read what it is told of"}
		}
	}
	return nil
}

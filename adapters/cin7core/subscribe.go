package cin7core

import (
	"context"
	"net/http"
	"slices"

	"datum/adapters"
	"datum/domain"
)

// hookTypes are the webhooks that Receive understands.
var hookTypes = []string{"Customer/Updated", "Product/Updated", "Sale/Backordered", "Sale/Created", "Sale/FullPaymentReceived", "Sale/InvoiceAuthorised",
	"Sale/OrderAuthorised", "Sale/PartialPaymentReceived", "Sale/PickAuthorised", "Sale/ShipmentAuthorised", "Sale/Undo", "Sale/Voided", "Stock/AvailableStockLevelChanged"}

// Subscriptions reads the account's webhooks. Cin7 Core deactivates one whose six attempts have failed, without a word.
// Forbidden if the account is without the Automation module.
func (a *adapter) Subscriptions(ctx context.Context, hook adapters.Hook) (subs []adapters.Subscription, err error) {
	defer domain.Wrap(&err, "cin7core.Subscriptions")
	in, _, err := a.do(ctx, http.MethodGet, "/webhooks", nil, nil, false)
	if err != nil {
		return nil, err
	}
	all := entries(in["Webhooks"])
	for _, typ := range hookTypes {
		s := adapters.Subscription{Topic: typ, State: adapters.SubscriptionMissing}
		for _, w := range all {
			if adapters.String(w, "Type") != typ || adapters.String(w, "ExternalURL") != hook.URL || s.State == adapters.SubscriptionActive {
				continue
			}
			s.ID, s.State = adapters.String(w, "ID"), adapters.SubscriptionDisabled
			if w["IsActive"] == true && adapters.String(w, "ExternalAuthorizationType") == "bearerauth" && adapters.String(w, "ExternalBearerToken") == hook.Secret {
				s.State = adapters.SubscriptionActive
			}
		}
		subs = append(subs, s)
	}
	return subs, nil
}

// Subscribe makes the webhooks that are missing, each with the webhookKey as its bearer token, and activates the others.
func (a *adapter) Subscribe(ctx context.Context, hook adapters.Hook) (err error) {
	defer domain.Wrap(&err, "cin7core.Subscribe")
	if hook.Secret == "" {
		return a.err(domain.Invalid, "Cin7 Core's webhooks need a bearer token: give a webhookKey of your own making when connecting")
	}
	subs, err := a.Subscriptions(ctx, hook)
	if err != nil {
		return err
	}
	for _, s := range slices.DeleteFunc(subs, func(s adapters.Subscription) bool { return s.State == adapters.SubscriptionActive }) {
		w := object{"Type": s.Topic, "Name": "Datum " + s.Topic, "IsActive": true, "ExternalURL": hook.URL, "ExternalAuthorizationType": "bearerauth",
			"ExternalUserName": "", "ExternalPassword": "", "ExternalBearerToken": hook.Secret, "ExternalHeaders": []any{}}
		method := http.MethodPost
		if s.ID != "" {
			method, w["ID"] = http.MethodPut, s.ID
		}
		if _, _, err := a.do(ctx, method, "/webhooks", nil, w, s.ID != ""); err != nil {
			return err
		}
	}
	return nil
}

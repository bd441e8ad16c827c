package shopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Receive verifies the signature and finds what the message is about. Only the body is signed and the topic is not, so the
// body is an invalidation: what it names is fetched. A deletion is believed of a body that holds nothing but ids; that of a product names none of its variants, so a sweep finds it. The dedupe
// keys come from the event's id, which is the same for one action's messages about several topics.
func (a *adapter) Receive(hook adapters.Webhook, secrets []string) (adapters.Notification, error) {
	if !signed(hook, secrets) {
		return adapters.Notification{}, &domain.Error{Code: domain.Unauthentic, System: a.s.System, Op: "shopify.Receive",
			Message: "the webhook's signature does not verify; the webhook key must be the client secret of the app in Shopify"}
	}
	if d := hook.Header.Get("X-Shopify-Shop-Domain"); a.shopName != "" && !strings.EqualFold(d, a.shopName) {
		return adapters.Notification{}, nil
	}
	var b message
	if err := json.Unmarshal(hook.Body, &b); err != nil {
		return adapters.Notification{}, &domain.Error{Code: domain.Invalid, System: a.s.System, Op: "shopify.Receive", Message: "the webhook is signed and its body is not the JSON it should be"}
	}
	event := hook.Header.Get("X-Shopify-Event-Id")
	if event == "" {
		event = hook.Header.Get("X-Shopify-Webhook-Id")
	}
	if event == "" {
		sum := sha256.Sum256(hook.Body)
		event = base64.RawURLEncoding.EncodeToString(sum[:12])
	}
	when := hook.At
	if t, err := time.Parse(time.RFC3339, hook.Header.Get("X-Shopify-Triggered-At")); err == nil {
		when = t.UTC()
	}
	var n adapters.Notification
	for _, s := range b.signals(hook.Header.Get("X-Shopify-Topic")) {
		s.OccurredAt = when
		s.DedupeKey = event + "/" + string(s.Kind) + "/" + s.ExternalID
		n.Signals = append(n.Signals, s)
	}
	return n, nil
}

func signed(hook adapters.Webhook, secrets []string) bool {
	sum, err := base64.StdEncoding.DecodeString(hook.Header.Get("X-Shopify-Hmac-Sha256"))
	if err != nil || len(sum) == 0 {
		return false
	}
	ok := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(hook.Body)
		if secret != "" && hmac.Equal(mac.Sum(nil), sum) {
			ok = true
		}
	}
	return ok
}

// message is what of a body matters.
type message struct {
	ID       json.Number `json:"id"`
	OrderID  json.Number `json:"order_id"`
	Item     json.Number `json:"inventory_item_id"`
	Location json.Number `json:"location_id"`
	Updated  string      `json:"updated_at"`
	Created  string      `json:"created_at"`
	Kept     string      `json:"admin_graphql_api_customer_kept_id"`
	Lost     string      `json:"admin_graphql_api_customer_deleted_id"`
	Variants []struct {
		ID json.Number `json:"id"`
	} `json:"variants"`
	Refunds []struct {
		ID           json.Number `json:"id"`
		Transactions []struct {
			ID json.Number `json:"id"`
		} `json:"transactions"`
	} `json:"refunds"`
	Transactions []struct {
		ID json.Number `json:"id"`
	} `json:"transactions"`
}

func (b message) signals(topic string) []adapters.Signal {
	var all []adapters.Signal
	add := func(kind domain.Kind, id json.Number) {
		if isNumber(id.String()) && id != "0" {
			all = append(all, adapters.Signal{Kind: kind, ExternalID: id.String(), Deleted: strings.HasSuffix(topic, "/delete") && b.Updated == "" && b.Created == ""})
		}
	}
	switch area, what, _ := strings.Cut(topic, "/"); area {
	case "customers":
		if what == "merge" {
			if kept, lost := lastPart(b.Kept), lastPart(b.Lost); isNumber(kept) && isNumber(lost) {
				all = append(all, adapters.Signal{Kind: domain.KindCustomer, ExternalID: lost, MergedInto: kept}, adapters.Signal{Kind: domain.KindCustomer, ExternalID: kept})
			}
			break
		}
		add(domain.KindCustomer, b.ID)
	case "products":
		for _, v := range b.Variants {
			add(domain.KindProduct, v.ID)
		}
	case "locations":
		add(domain.KindLocation, b.ID)
	case "inventory_levels":
		if isNumber(b.Item.String()) && isNumber(b.Location.String()) {
			all = append(all, adapters.Signal{Kind: domain.KindStockLevel, ExternalID: b.Item.String() + "@" + b.Location.String(), Deleted: what == "disconnect" && b.Updated == ""})
		}
	case "orders":
		add(domain.KindOrder, b.ID)
		for _, r := range b.Refunds {
			add(domain.KindCreditNote, r.ID)
			for _, t := range r.Transactions {
				add(domain.KindPayment, t.ID)
			}
		}
	case "refunds":
		add(domain.KindCreditNote, b.ID)
		add(domain.KindOrder, b.OrderID)
		for _, t := range b.Transactions {
			add(domain.KindPayment, t.ID)
		}
	case "order_transactions":
		add(domain.KindPayment, b.ID)
		add(domain.KindOrder, b.OrderID)
	}
	return all
}

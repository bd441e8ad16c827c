package cin7core

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Receive checks the bearer token that was given to the webhook in Cin7 Core (External authorization type: bearer) and reads
// what it is about. Cin7 Core signs nothing, dates nothing and numbers nothing: the token is all there is, so the address must
// be https, and a signal has no dedupe key, since the same body tells of the next change too.
func (a *adapter) Receive(hook adapters.Webhook, secrets []string) (n adapters.Notification, err error) {
	defer domain.Wrap(&err, "cin7core.Receive")
	if !authentic(hook.Header.Get("Authorization"), secrets) {
		return n, a.err(domain.Unauthentic, "the webhook does not carry the bearer token; set the webhook's authorisation in Cin7 Core to bearer with the webhookKey as its token")
	}
	body := bytes.TrimSpace(hook.Body)
	if !bytes.HasPrefix(body, []byte("[")) {
		body = append(append([]byte("["), body...), ']')
	}
	var events []struct {
		EventType, SaleID, SaleTaskID, CustomerID, ProductID, ID, Location string
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return n, a.err(domain.Invalid, "the webhook's body is not the JSON that Cin7 Core sends")
	}
	for _, e := range events {
		s := adapters.Signal{}
		about, _, _ := strings.Cut(e.EventType, "/")
		switch about {
		case "Sale": // of a simple sale the task has the sale's id; an advanced one's tasks are noticed by polling
			s.Kind, s.ExternalID = domain.KindOrder, first(e.SaleID, e.SaleTaskID, e.ID)
		case "Customer":
			s.Kind, s.ExternalID = domain.KindCustomer, first(e.CustomerID, e.ID)
		case "Product":
			s.Kind, s.ExternalID = domain.KindProduct, first(e.ProductID, e.ID)
		case "Stock", "": // entries of a list need not say their type
			if product := first(e.ProductID, e.ID); product != "" && e.Location != "" {
				s.Kind, s.ExternalID = domain.KindStockLevel, product+"@"+e.Location
			}
		}
		if s.ExternalID != "" {
			n.Signals = append(n.Signals, s)
		}
	}
	return n, nil
}

func first(ids ...string) string {
	for _, id := range ids {
		if id != "" {
			return idOf(id)
		}
	}
	return ""
}

// authentic compares in constant time with every secret that is valid now.
func authentic(header string, secrets []string) bool {
	sent, bearer := strings.CutPrefix(header, "Bearer ")
	ok := false
	for _, secret := range secrets {
		if secret != "" {
			ok = subtle.ConstantTimeCompare([]byte(sent), []byte(secret)) == 1 || ok
		}
	}
	return ok && bearer
}

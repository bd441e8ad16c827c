package xero

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Receive verifies x-xero-signature over the raw body and reads the events of this organisation's contacts, invoices,
// credit notes and overpayments; there are none about items, quotes and payments. An app has one
// receiver for all its organisations: the others' events are skipped. An intent to receive is a notification without
// events; a wrong signature must be answered 401 (the Unauthentic error). Xero signs no time: a replayed request
// verifies, and its DedupeKeys tell that it is one.
func (a *adapter) Receive(hook adapters.Webhook, secrets []string) (n adapters.Notification, err error) {
	defer domain.Wrap(&err, "xero.Receive")
	if !authentic(hook, secrets) {
		return n, a.err(domain.Unauthentic, "the signature of the webhook does not verify; check that the webhook key is the one in Xero's app settings")
	}
	var body struct {
		Events []struct {
			ResourceID    string `json:"resourceId"`
			EventDateUTC  string `json:"eventDateUtc"`
			EventType     string `json:"eventType"`
			EventCategory string `json:"eventCategory"`
			TenantID      string `json:"tenantId"`
			Data          struct{ Type string }
		} `json:"events"`
		First int64 `json:"firstEventSequence"`
		Last  int64 `json:"lastEventSequence"`
	}
	if err := json.Unmarshal(hook.Body, &body); err != nil {
		return n, a.err(domain.Invalid, "the webhook's body is not the JSON that Xero sends")
	}
	n.FirstSeq, n.LastSeq = body.First, body.Last
	for _, e := range body.Events {
		kind := categories[e.EventCategory]
		if kind == "" || strings.HasPrefix(e.Data.Type, "ACCPAY") || e.ResourceID == "" || !strings.EqualFold(e.TenantID, a.s.Settings["tenantId"]) {
			continue
		}
		id := e.ResourceID
		if k := a.second(kind); k != nil {
			id = k.prefix + id // there are no webhooks about other payments
		}
		s := adapters.Signal{
			Kind: kind, ExternalID: id,
			DedupeKey: strings.Join([]string{e.TenantID, e.ResourceID, e.EventDateUTC, e.EventType}, "|"),
		}
		if at, ok := parseTime(e.EventDateUTC); ok {
			s.OccurredAt = at
		}
		n.Signals = append(n.Signals, s)
	}
	return n, nil
}

// categories are the kinds that there are webhooks about.
var categories = map[string]domain.Kind{"CONTACT": domain.KindCustomer, "INVOICE": domain.KindInvoice, "CREDITNOTE": domain.KindCreditNote,
	"OVERPAYMENT": domain.KindPayment}

// authentic compares in constant time with every secret that is valid now.
func authentic(hook adapters.Webhook, secrets []string) bool {
	sent, err := base64.StdEncoding.DecodeString(hook.Header.Get("X-Xero-Signature"))
	if err != nil {
		return false
	}
	ok := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(hook.Body)
		ok = hmac.Equal(m.Sum(nil), sent) || ok
	}
	return ok
}

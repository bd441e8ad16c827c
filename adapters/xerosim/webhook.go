package xerosim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"datum/adapters/sim"
)

// keepFor is how long Xero keeps events for a receiver that it disabled.
const keepFor = 31 * 24 * time.Hour

// hookEvent is one change of an object that there are webhooks about.
type hookEvent struct {
	category, id, kind string
	at                 time.Time
	data               *hookData
}

// hookData is what Xero adds to events about credit notes.
type hookData struct{ Type, Status string }

// numbered is an event as it is sent.
type numbered struct {
	Sequence int64     `json:"-"`
	At       time.Time `json:"-"`

	ResourceURL   string `json:"resourceUrl"`
	ResourceID    string `json:"resourceId"`
	EventDateUTC  string `json:"eventDateUtc"`
	EventType     string `json:"eventType"`
	EventCategory string `json:"eventCategory"`
	TenantID      string `json:"tenantId"`
	TenantType    string `json:"tenantType"`

	Data *hookData `json:"data,omitempty"`
}

// collections are the paths of the objects that there are webhooks about, by category.
var collections = map[string]string{"CONTACT": "Contacts", "INVOICE": "Invoices", "CREDITNOTE": "CreditNotes", "OVERPAYMENT": "Overpayments"}

type hookBody struct {
	Events  []numbered `json:"events"`
	First   int64      `json:"firstEventSequence"`
	Last    int64      `json:"lastEventSequence"`
	Entropy string     `json:"entropy"`
}

func sign(key string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write(body)
	return m.Sum(nil)
}

// notify numbers the events and sends them on their way. Without a receiver there is no subscription and so no number. The
// caller holds the lock.
func (s *Sim) notify(events ...hookEvent) {
	if s.WebhookURL() == "" {
		return
	}
	for _, e := range events {
		s.sequence++
		n := numbered{
			Sequence: s.sequence, At: e.at, ResourceID: e.id, ResourceURL: "https://api.xero.com/api.xro/2.0/" + collections[e.category] + "/" + e.id,
			EventDateUTC: e.at.Format("2006-01-02T15:04:05.000"), EventType: e.kind, EventCategory: e.category,
			TenantID: s.app.tenant, TenantType: "ORGANISATION", Data: e.data,
		}
		ev := sim.Event{Name: e.category + "." + e.kind, Payload: n}
		if s.disabled {
			s.kept = append(s.kept, ev)
		} else {
			s.Emit(ev)
		}
	}
}

// Envelope renders and signs one delivery.
func (s *Sim) Envelope(_ string, events []sim.Event, _ int) (http.Header, []byte) {
	body := hookBody{Events: []numbered{}, Entropy: s.Token(20)}
	for _, e := range events {
		n, ok := e.Payload.(numbered)
		if !ok {
			continue
		}
		if body.First == 0 || n.Sequence < body.First {
			body.First = n.Sequence
		}
		body.Last = max(body.Last, n.Sequence)
		body.Events = append(body.Events, n)
	}
	b, err := marshal(body)
	if err != nil {
		panic("xerosim: " + err.Error())
	}
	return s.Sign(b), b
}

// Sign returns the header of a webhook with the body.
func (s *Sim) Sign(body []byte) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.Header{"Content-Type": {"application/json; charset=utf-8"},
		"X-Xero-Signature": {base64.StdEncoding.EncodeToString(sign(s.app.webhookKey, body))}}
}

// Register checks the receiver's intent to receive: right signatures must be answered 200, wrong ones 401. A receiver that
// passes gets the events it has missed while it was disabled.
func (s *Sim) Register(ctx context.Context, url string) error {
	for i, want := range []int{200, 401, 200, 401} {
		b, err := marshal(hookBody{Events: []numbered{}, Entropy: s.Token(20)})
		if err != nil {
			return err
		}
		header := s.Sign(b)
		if want == 401 {
			header.Set("X-Xero-Signature", base64.StdEncoding.EncodeToString(sign("not the key", b)))
		}
		got, err := s.Post(ctx, url, header, b)
		switch {
		case err != nil:
			return fmt.Errorf("intent to receive: %s did not answer request %d: %w", url, i+1, err)
		case got != want:
			return fmt.Errorf("intent to receive: %s answered request %d with %d; correct signatures must be answered 200 and wrong ones 401", url, i+1, got)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = false
	now := s.Now()
	for _, e := range s.kept {
		if n, ok := e.Payload.(numbered); ok && now.Sub(n.At) < keepFor {
			s.Emit(e)
		}
	}
	s.kept = nil
	return nil
}

// Delivered disables a receiver that has failed for a day.
func (s *Sim) Delivered(d sim.Delivery) {
	if d.OK() || !d.Last {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = true
	s.kept = append(s.kept, d.Events...)
}

package cin7coresim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"datum/adapters/sim"
)

// hookRetries are Cin7 Core's waits before each of the five further attempts.
var hookRetries = []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 25 * time.Minute}

// hookTypes are the types that this simulator sends.
var hookTypes = []string{
	"Customer/Updated", "Product/Updated", "Sale/Backordered", "Sale/Created", "Sale/FullPaymentReceived", "Sale/InvoiceAuthorised", "Sale/OrderAuthorised",
	"Sale/PartialPaymentReceived", "Sale/PickAuthorised", "Sale/ShipmentAuthorised", "Sale/Undo", "Sale/Voided", "Stock/AvailableStockLevelChanged",
}

// notify tells the receivers of a type, if there is an active one. The caller holds the lock.
func (s *Sim) notify(typ string, payload object) {
	if s.hook(typ) == nil || s.opts.NoAutomation {
		return
	}
	payload = copyOf(payload)
	payload["EventType"] = typ
	s.Emit(sim.Event{Name: typ, Payload: payload})
}

// hook is the active webhook of a type; nil if there is none.
func (s *Sim) hook(typ string) object {
	for _, h := range s.hooks.sorted("ID") {
		if h["Type"] == typ && h["IsActive"] == true {
			return h
		}
	}
	return nil
}

// Envelope renders one delivery. Nothing is signed: what tells the receiver is the header that was configured.
func (s *Sim) Envelope(_ string, events []sim.Event, _ int) (http.Header, []byte) {
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	body := events[0].Payload
	if events[0].Name == "Stock/AvailableStockLevelChanged" {
		body = []any{events[0].Payload}
	}
	s.mu.Lock()
	if h := s.hook(events[0].Name); h != nil {
		switch h["ExternalAuthorizationType"] {
		case "bearerauth":
			header.Set("Authorization", "Bearer "+text(h["ExternalBearerToken"]))
		case "basicauth":
			header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text(h["ExternalUserName"])+":"+text(h["ExternalPassword"]))))
		}
		for _, x := range entries(h["ExternalHeaders"]) {
			header.Set(text(x["Key"]), text(x["Value"]))
		}
	}
	s.mu.Unlock()
	b, err := json.Marshal(body)
	if err != nil {
		panic("cin7coresim: " + err.Error())
	}
	return header, b
}

// Delivered deactivates a webhook after its last attempt has failed, without a word to anybody.
func (s *Sim) Delivered(d sim.Delivery) {
	if d.OK() || !d.Last {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hook(d.Events[0].Name); h != nil {
		h["IsActive"] = false
	}
}

// Silence deactivates the webhooks of a type without a word, as after six failed attempts; "" is all of them.
func (s *Sim) Silence(typ string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if (typ == "" || h["Type"] == typ) && h["IsActive"] == true {
			h["IsActive"] = false
			n++
		}
	}
	return n
}

// Register is a person who sets up webhooks of every type for one receiver, each with the bearer token of Credentials.
func (s *Sim) Register(_ context.Context, url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.explicit {
		return nil
	}
	clear(s.hooks)
	for _, typ := range hookTypes {
		id := s.UUID()
		s.hooks[id] = object{"ID": id, "Type": typ, "Name": typ, "IsActive": true, "ExternalURL": url, "ExternalAuthorizationType": "bearerauth", "ExternalUserName": "",
			"ExternalPassword": "", "ExternalBearerToken": s.webhookKey, "ExternalHeaders": []any{}}
	}
	return nil
}

func (s *Sim) getHooks(*request) (any, *refused) {
	if s.opts.NoAutomation {
		return nil, &refused{http.StatusForbidden, []string{"Automation module is not available"}}
	}
	list := s.hooks.sorted("Type")
	if list == nil {
		list = []object{}
	}
	return object{"Webhooks": list}, nil
}

func (s *Sim) postHook(r *request) (any, *refused) { return s.saveHook(nil, r.body) }

func (s *Sim) putHook(r *request) (any, *refused) {
	old := s.hooks[strings.ToLower(text(r.body["ID"]))]
	if old == nil {
		return nil, bad("Webhook with ID '%s' was not found", text(r.body["ID"]))
	}
	return s.saveHook(old, r.body)
}

// saveHook stores a webhook. The simulator has one receiver for all: the URL given last.
func (s *Sim) saveHook(old, given object) (any, *refused) {
	if s.opts.NoAutomation {
		return nil, &refused{http.StatusForbidden, []string{"Automation module is not available"}}
	}
	h := object{"Name": "", "IsActive": true, "ExternalAuthorizationType": "noauth", "ExternalUserName": "", "ExternalPassword": "", "ExternalBearerToken": "", "ExternalHeaders": []any{}}
	if old != nil {
		h = copyOf(old)
	}
	for _, k := range []string{"Type", "Name", "IsActive", "ExternalURL", "ExternalAuthorizationType", "ExternalUserName", "ExternalPassword", "ExternalBearerToken", "ExternalHeaders"} {
		if v, ok := given[k]; ok {
			h[k] = v
		}
	}
	same := 0
	for _, x := range s.hooks {
		if x["Type"] == h["Type"] && x["ID"] != h["ID"] {
			same++
		}
	}
	switch {
	case !slices.Contains(hookTypes, text(h["Type"])):
		return nil, bad("Type '%s' is not valid", text(h["Type"]))
	case !strings.HasPrefix(text(h["ExternalURL"]), "http"):
		return nil, bad("ExternalURL is not valid")
	case !slices.Contains([]string{"noauth", "basicauth", "bearerauth"}, text(h["ExternalAuthorizationType"])):
		return nil, bad("ExternalAuthorizationType '%s' is not valid", text(h["ExternalAuthorizationType"]))
	case same >= 5:
		return nil, bad("There are 5 webhooks of the type '%s' already", text(h["Type"]))
	}
	if old == nil {
		h["ID"] = s.UUID()
	}
	s.hooks[text(h["ID"])] = h
	s.explicit = true
	s.mu.Unlock() // SetWebhook asks Register, which takes the lock
	err := s.SetWebhook(context.Background(), text(h["ExternalURL"]))
	s.mu.Lock()
	s.explicit = false
	if err != nil {
		return nil, bad("%v", err)
	}
	return object{"Webhooks": []object{h}}, nil
}

func (s *Sim) deleteHook(r *request) (any, *refused) {
	if s.hooks[r.id("id")] == nil {
		return nil, bad("Webhook with ID '%s' was not found", r.query["id"])
	}
	delete(s.hooks, r.id("id"))
	return nil, nil
}

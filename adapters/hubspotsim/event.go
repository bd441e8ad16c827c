package hubspotsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// hookRetries are the waits before each of the ten further attempts, 24 hours in all; HubSpot does not publish them.
var hookRetries = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
	3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 7 * time.Hour}

// event is one webhook event as HubSpot sends it.
type event struct {
	EventID          int64   `json:"eventId"`
	SubscriptionID   uint32  `json:"subscriptionId"`
	PortalID         int64   `json:"portalId"`
	AppID            int64   `json:"appId"`
	OccurredAt       int64   `json:"occurredAt"`
	SubscriptionType string  `json:"subscriptionType"`
	AttemptNumber    int     `json:"attemptNumber"`
	ObjectID         int64   `json:"objectId,omitempty"`
	ObjectTypeID     string  `json:"objectTypeId,omitempty"`
	ChangeSource     string  `json:"changeSource"`
	ChangeFlag       string  `json:"changeFlag,omitempty"`
	PropertyName     string  `json:"propertyName,omitempty"`
	PropertyValue    *string `json:"propertyValue,omitempty"`
	PrimaryObjectID  int64   `json:"primaryObjectId,omitempty"`
	MergedObjectIDs  []int64 `json:"mergedObjectIds,omitempty"`
	NewObjectID      int64   `json:"newObjectId,omitempty"`
	Moved            *int    `json:"numberOfPropertiesMoved,omitempty"`
	AssociationType  string  `json:"associationType,omitempty"`
	FromObjectID     int64   `json:"fromObjectId,omitempty"`
	ToObjectID       int64   `json:"toObjectId,omitempty"`
	Removed          *bool   `json:"associationRemoved,omitempty"`
	Primary          *bool   `json:"isPrimaryAssociation,omitempty"`
}

// eventDetail is what an event has beside its object.
type eventDetail struct {
	property, value string
	primary         string
	losers          []string
	moved           int
	other           *object
	removed         bool
}

// event tells the receiver, if it is subscribed. Callers hold the lock.
func (s *Sim) event(o *object, what string, w writing, d eventDetail) {
	name := singular(o.typ) + "." + what
	if o.typ == "orders" || o.typ == "invoices" { // the newer objects have no subscriptions of their own name
		name = "object." + what
	}
	if !s.subscribed(name, d.property) {
		return
	}
	s.nextEv++
	h := fnv.New32a()
	_, _ = h.Write([]byte(name + ":" + d.property))
	ev := event{EventID: s.nextEv, SubscriptionID: h.Sum32() % 1_000_000, PortalID: s.app.portal, AppID: s.app.id, OccurredAt: w.at.UnixMilli(),
		SubscriptionType: name, ObjectID: number(o.id), ObjectTypeID: typeIDs[o.typ], ChangeSource: w.source}
	switch what {
	case "creation":
		ev.ChangeFlag = "CREATED"
	case "deletion":
		ev.ChangeFlag = "DELETED"
	case "propertyChange":
		ev.PropertyName, ev.PropertyValue = d.property, &d.value
	case "merge":
		ev.PrimaryObjectID, ev.NewObjectID, ev.Moved = number(d.primary), number(o.id), &d.moved
		for _, id := range d.losers {
			ev.MergedObjectIDs = append(ev.MergedObjectIDs, number(id))
		}
	case "associationChange":
		ev.ObjectID, ev.FromObjectID, ev.ToObjectID, ev.Removed = 0, number(o.id), number(d.other.id), &d.removed
		ev.AssociationType = strings.ToUpper(singular(o.typ) + "_to_" + singular(d.other.typ))
		primary := s.links[linkKey{o.typ, o.id, d.other.typ}][d.other.id].primary
		ev.Primary = &primary
	}
	s.Emit(sim.Event{Name: name, Payload: ev})
}

func (s *Sim) subscribed(name, property string) bool {
	if len(s.opts.Subscriptions) == 0 {
		object, _, _ := strings.Cut(name, ".")
		return slices.Contains([]string{"company", "contact", "deal", "product", "line_item", "object"}, object)
	}
	return slices.Contains(s.opts.Subscriptions, name) || property != "" && slices.Contains(s.opts.Subscriptions, name+":"+property)
}

// Envelope signs a delivery as HubSpot does: v1 for old receivers, v3 over method, URI, body and time.
func (s *Sim) Envelope(url string, events []sim.Event, attempt int) (http.Header, []byte) {
	list := make([]event, len(events))
	for i, e := range events {
		list[i] = e.Payload.(event)
		list[i].AttemptNumber = attempt
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic("hubspotsim: an event does not marshal: " + err.Error())
	}
	s.mu.Lock()
	secret := s.app.clientSecret
	s.mu.Unlock()
	return Sign(secret, http.MethodPost, url, body, s.Now()), body
}

// Sign returns the headers of a webhook request signed at the time given.
func Sign(secret, method, uri string, body []byte, at time.Time) http.Header {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(method + decodeURI(uri) + string(body) + ts))
	v1 := sha256.Sum256(append([]byte(secret), body...))
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client) - WebhooksExecutorDaemon-executor")
	h.Set("X-HubSpot-Signature-Version", "v1")
	h.Set("X-HubSpot-Signature", hex.EncodeToString(v1[:]))
	h.Set("X-HubSpot-Request-Timestamp", ts)
	h.Set("X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

// decodeURI decodes those characters that HubSpot decodes before it signs.
func decodeURI(uri string) string {
	return strings.NewReplacer("%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'", "%28", "(", "%29", ")",
		"%2A", "*", "%2C", ",", "%3B", ";").Replace(uri)
}

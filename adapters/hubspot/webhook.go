package hubspot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// freshness is how old a signed request may be, and how far ahead its clock.
const freshness = 5 * time.Minute

// event is one event as HubSpot sends it. Ids pass 32 bits.
type event struct {
	EventID          int64   `json:"eventId"`
	SubscriptionID   int64   `json:"subscriptionId"`
	PortalID         int64   `json:"portalId"`
	OccurredAt       int64   `json:"occurredAt"` // ms
	SubscriptionType string  `json:"subscriptionType"`
	EventType        string  `json:"eventType"` // the older name of subscriptionType
	ObjectID         int64   `json:"objectId"`
	ObjectTypeID     string  `json:"objectTypeId"`
	PrimaryObjectID  int64   `json:"primaryObjectId"`
	MergedObjectIDs  []int64 `json:"mergedObjectIds"`
	NewObjectID      int64   `json:"newObjectId"`
	AssociationType  string  `json:"associationType"` // "CONTACT_TO_COMPANY"
	FromObjectID     int64   `json:"fromObjectId"`
	ToObjectID       int64   `json:"toObjectId"`
	Removed          bool    `json:"associationRemoved"`
	ChangeSource     string  `json:"changeSource"`
	PropertyName     string  `json:"propertyName"`
	PropertyValue    *string `json:"propertyValue"`
}

// Receive verifies the v3 signature (HMAC-SHA256 over method, URI, body and time, in constant time) and turns events into
// signals: one for each property that changed, with its new value as a hint, and one for each object to which something
// else happened. Events of other portals of the same app, and of other objects, are left out. Of line items, which do not name
// their parent, only people's edits are heeded, as signals for quotes: associations tell of new and removed ones, and the
// poll of what programs wrote, ours among them.
func (a *Adapter) Receive(hook adapters.Webhook, secrets []string) (adapters.Notification, error) {
	var n adapters.Notification
	if err := a.verify(hook, secrets); err != nil {
		return n, err
	}
	var events []event
	if err := json.Unmarshal(hook.Body, &events); err != nil {
		return n, &domain.Error{Code: domain.Invalid, Op: "hubspot.Receive", System: a.s.System, Message: "the webhook is not a list of HubSpot events", Err: err}
	}
	keys := map[string][]string{}
	index := map[string]int{}
	add := func(ev event, typ string, id int64, deleted bool, also []string, hint *adapters.Hint) {
		x := externalID(typ, strconv.FormatInt(id, 10))
		slot := x
		if hint != nil {
			slot += " " + hint.Path
		}
		i, seen := index[slot]
		if !seen {
			i = len(n.Signals)
			index[slot] = i
			kind := kindOf(typ)
			if typ == lineItems {
				kind = domain.KindQuote
			}
			n.Signals = append(n.Signals, adapters.Signal{Kind: kind, ExternalID: x, Hint: hint})
		}
		s := &n.Signals[i]
		at := time.UnixMilli(ev.OccurredAt).UTC()
		switch {
		case at.After(s.OccurredAt):
			s.OccurredAt, s.Deleted, s.Hint = at, deleted, hint
		case at.Equal(s.OccurredAt): // a deletion comes with the unlinking of its contacts
			s.Deleted = s.Deleted || deleted
			if seen && s.Hint != nil && hint != nil && s.Hint.Value != hint.Value {
				s.Hint = nil // two values at one time: which came last is not known
			}
		}
		s.Also = append(s.Also, also...)
		keys[slot] = append(keys[slot], x+"|"+ev.key())
	}
	for _, ev := range events {
		if p := a.s.Settings["portalId"]; p != "" && p != strconv.FormatInt(ev.PortalID, 10) {
			continue
		}
		name := ev.SubscriptionType
		if name == "" {
			name = ev.EventType
		}
		object, what, _ := strings.Cut(name, ".")
		switch {
		case what == "associationChange":
			owner, id, part, partID := ev.association()
			if owner == "" {
				continue
			}
			// The stored record tells whether this is news; its own stamp does not, as links do not move it.
			of := strconv.FormatInt(partID, 10)
			known := &adapters.Hint{Path: part + ".#(id==\"" + of + "\").id", Value: of}
			if isDocument(owner) && part == lineItems {
				known.Path = "lines.#(id==\"" + of + "\").id"
			} else if isDocument(owner) {
				known.Path = "links." + part + ".#(==\"" + of + "\")"
			}
			if ev.Removed {
				known.Value = ""
				if owner == companies {
					add(ev, contacts, partID, false, nil, nil) // perhaps a customer of its own now
				}
			}
			add(ev, owner, id, false, nil, known)
		case objectType(object, ev.ObjectTypeID) == "":
		case objectType(object, ev.ObjectTypeID) == lineItems:
			if what == "propertyChange" && ev.ChangeSource != "INTEGRATION" {
				add(ev, lineItems, ev.ObjectID, false, nil, nil)
			}
		case what == "merge":
			survivor := ev.NewObjectID
			if survivor == 0 {
				survivor = ev.PrimaryObjectID
			}
			typ := objectType(object, ev.ObjectTypeID)
			var also []string
			for _, id := range append(slices.Clone(ev.MergedObjectIDs), ev.PrimaryObjectID) {
				x := externalID(typ, strconv.FormatInt(id, 10))
				if id != 0 && id != survivor && !slices.Contains(also, x) {
					also = append(also, x)
				}
			}
			add(ev, typ, survivor, false, also, nil)
		default:
			add(ev, objectType(object, ev.ObjectTypeID), ev.ObjectID, what == "deletion" || what == "privacyDeletion", nil, ev.hint(what))
		}
	}
	for x, i := range index {
		n.Signals[i].DedupeKey = dedupe(keys[x])
	}
	return n, nil
}

// association returns which record an association concerns, and what it was associated with: a company with a contact, a
// document with a line item or with a customer. Both directions of one association say the same. Owner is "" for any other.
func (ev event) association() (owner string, id int64, part string, partID int64) {
	from, to, _ := strings.Cut(strings.ToLower(ev.AssociationType), "_to_")
	a, b := objectType(from, ""), objectType(to, "")
	for _, try := range []struct {
		owner, part string
		id, partID  int64
	}{{a, b, ev.FromObjectID, ev.ToObjectID}, {b, a, ev.ToObjectID, ev.FromObjectID}} {
		switch {
		case try.owner == companies && try.part == contacts,
			isDocument(try.owner) && (try.part == companies || try.part == contacts),
			hasLines(try.owner) && try.part == lineItems:
			return try.owner, try.id, try.part, try.partID
		}
	}
	return "", 0, "", 0
}

// hint is what a property became, or for a creation the id itself: whoever has the object stored knows of its creation.
func (ev event) hint(what string) *adapters.Hint {
	switch {
	case what == "propertyChange" && ev.PropertyName != "" && ev.PropertyValue != nil:
		return &adapters.Hint{Path: "properties." + ev.PropertyName, Value: *ev.PropertyValue}
	case what == "creation":
		return &adapters.Hint{Path: "id", Value: strconv.FormatInt(ev.ObjectID, 10)}
	}
	return nil
}

// key is HubSpot's identity of an event: eventId alone is not promised to be unique.
func (ev event) key() string {
	parts := []int64{ev.PortalID, ev.SubscriptionID, ev.ObjectID + ev.FromObjectID, ev.EventID, ev.OccurredAt}
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = strconv.FormatInt(p, 10)
	}
	return strings.Join(words, "|")
}

// dedupe joins the keys of the events behind one signal.
func dedupe(keys []string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	slices.Sort(keys)
	h := sha256.Sum256([]byte(strings.Join(keys, "\n")))
	return hex.EncodeToString(h[:16])
}

// objectType returns the object that a subscription or an object type id names, "" if it is none of ours.
func objectType(name, id string) string {
	if name == "object" {
		name = map[string]string{"0-1": "contact", "0-2": "company", "0-3": "deal", "0-7": "product", "0-8": "line_item", "0-53": "invoice", "0-123": "order"}[id]
	}
	return map[string]string{"company": companies, "contact": contacts, "deal": deals, "product": products, "line_item": lineItems, "order": orders, "invoice": invoices}[name]
}

func (a *Adapter) verify(hook adapters.Webhook, secrets []string) error {
	refuse := func(why string) error {
		return &domain.Error{Code: domain.Unauthentic, Op: "hubspot.Receive", System: a.s.System,
			Message: "a webhook was refused: " + why + "; if it came from HubSpot, check the app's client secret and the public URL of this server"}
	}
	ts := hook.Header.Get("X-HubSpot-Request-Timestamp")
	ms, err := strconv.ParseInt(ts, 10, 64)
	if err != nil {
		return refuse("it has no timestamp")
	}
	now := hook.At
	if now.IsZero() {
		now = a.s.Now()
	}
	if age := now.Sub(time.UnixMilli(ms)); age > freshness || age < -freshness {
		return refuse("its timestamp is not of the last five minutes")
	}
	given, err := base64.StdEncoding.DecodeString(hook.Header.Get("X-HubSpot-Signature-v3"))
	if err != nil || len(given) != sha256.Size {
		return refuse("it has no v3 signature")
	}
	signed := hook.Method + decodeURI(hook.URL) + string(hook.Body) + ts
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(signed))
		if secret != "" && hmac.Equal(mac.Sum(nil), given) {
			return nil
		}
	}
	return refuse("its signature does not verify")
}

// decodeURI decodes the characters that HubSpot decodes before it signs.
// Source: developers.hubspot.com/docs/api/webhooks/validating-requests.
func decodeURI(uri string) string {
	for _, c := range []string{"%3A:", "%2F/", "%3F?", "%40@", "%21!", "%24$", "%27'", "%28(", "%29)", "%2A*", "%2C,", "%3B;"} {
		uri = strings.ReplaceAll(uri, c[:3], c[3:])
		uri = strings.ReplaceAll(uri, strings.ToLower(c[:3]), c[3:])
	}
	return uri
}

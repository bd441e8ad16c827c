package hubspot

import (
	"encoding/json"
	"strings"

	"datum/adapters"
)

// properties are an object's properties. HubSpot's are all text. One that is an object or a list, which none should be, is kept
// as it is behind a mark, so that it is seen for what it is and costs nobody the rest of the object.
type properties map[string]string

const odd = "\x00"

// UnmarshalJSON takes what HubSpot sends: text, null for empty, and whatever else it comes to send.
func (p *properties) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*p = make(properties, len(all))
	for k, v := range all {
		var s *string
		switch {
		case json.Unmarshal(v, &s) == nil:
			(*p)[k] = ""
			if s != nil {
				(*p)[k] = *s
			}
		default:
			(*p)[k] = odd + string(v)
		}
	}
	return nil
}

// MarshalJSON writes what came.
func (p properties) MarshalJSON() ([]byte, error) {
	all := make(map[string]any, len(p))
	for k, v := range p {
		all[k] = plain(v)
	}
	return json.Marshal(all)
}

// plain is a property's value as it came.
func plain(v string) any {
	s, is := strings.CutPrefix(v, odd)
	if !is {
		return v
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var x any
	if d.Decode(&x) != nil {
		return v
	}
	return x
}

// stored is a stored object as the mapping sees it, with the account's currency and tax mode.
func stored(currency, taxMode string) func(adapters.Object) adapters.Object {
	return func(raw adapters.Object) adapters.Object {
		b, err := json.Marshal(raw)
		if err != nil {
			return nil
		}
		var o object
		if json.Unmarshal(b, &o) != nil {
			return nil
		}
		return (&Adapter{currency: currency, taxMode: taxMode}).flat(o)
	}
}

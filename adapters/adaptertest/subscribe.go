package adaptertest

import (
	"datum/adapters"
)

// subscriptions: those that are missing are made, those that the vendor has ended are found and made again, and nothing is made
// twice.
func subscriptions(e *env) {
	if !e.need("Subscriber") {
		return
	}
	hook := adapters.Hook{URL: "https://datum.example/webhooks/sys", Secret: e.tokens.creds["webhookKey"]}
	look := func(when string, active bool) map[string]adapters.Subscription {
		e.t.Helper()
		subs, err := e.ab.Subscriber.Subscriptions(e.t.Context(), hook)
		if err != nil {
			e.t.Fatalf("%s: %v", when, err)
		}
		all := map[string]adapters.Subscription{}
		for _, s := range subs {
			if all[s.Topic].Topic != "" {
				e.t.Errorf("%s: the topic %s comes twice", when, s.Topic)
			}
			all[s.Topic] = s
			if (s.State == adapters.SubscriptionActive) != active || active && s.ID == "" {
				e.t.Errorf("%s: %s is %s with the id %q", when, s.Topic, s.State, s.ID)
			}
		}
		if len(all) == 0 {
			e.t.Fatalf("%s: there is no topic", when)
		}
		return all
	}
	subscribe := func(when string) {
		e.t.Helper()
		if err := e.ab.Subscriber.Subscribe(e.t.Context(), hook); err != nil {
			e.t.Fatalf("%s: %v", when, err)
		}
	}
	defer e.sim("POST", "/webhooks", object{"url": ""}, nil)
	look("at first", false)
	subscribe("the first time")
	first := look("subscribed", true)
	subscribe("the second time")
	for topic, s := range look("subscribed again", true) {
		if s != first[topic] {
			e.t.Errorf("%s was made twice: %+v, before %+v", topic, s, first[topic])
		}
	}
	e.sim("POST", "/silence", object{"topic": ""}, nil)
	look("ended by the vendor", false)
	subscribe("after that")
	look("made again", true)
	hook.URL += "/elsewhere"
	look("for another address", false)
}

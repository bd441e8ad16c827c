package sim_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"datum/adapters/sim"
)

func TestFaultsInOtherWords(t *testing.T) {
	t.Parallel()
	_, url := newShelf(t, sim.HookPolicy{})
	ms := func(n int) sim.Duration { return sim.Duration(time.Duration(n) * time.Millisecond) }
	for body, want := range map[string]sim.Fault{
		`{"status":503,"count":2}`:                                   {Kind: "status", Status: 503, Count: 2},
		`{"type":"http_error","statusCode":"502","times":1}`:         {Kind: "status", Status: 502, Count: 1},
		`{"fault":"429","retry_after":3}`:                            {Kind: "status", Status: 429, RetryAfter: 3},
		`{"kind":"rate-limited"}`:                                    {Kind: "status", Status: 429},
		`{"kind":"Reset After Commit","probability":0.5}`:            {Kind: "reset", Rate: 0.5},
		`{"kind":"latency","delayMs":250,"path_contains":"/things"}`: {Kind: "slow", Delay: ms(250), Path: "/things"},
		`{"kind":"slow","latency":"2s"}`:                             {Kind: "slow", Delay: ms(2000)},
		`{"kind":"drop","rate":"0.2"}`:                               {Kind: "drop_webhook", Rate: 0.2},
		`{"kind":"drop_webhooks"}`:                                   {Kind: "drop_webhook"},
		`{"type":"webhook","action":"duplicate","n":4}`:              {Kind: "duplicate_webhook", Count: 4},
		`{"kind":"delay","seconds":2}`:                               {Kind: "delay_webhook", Delay: ms(2000)},
		`{"kind":"delay","target":"requests","ms":20}`:               {Kind: "slow", Delay: ms(20)},
		`{"target":"webhooks","kind":"reorder"}`:                     {Kind: "reorder_webhook"},
		`{"kind":"webhook_delay","delay":1500}`:                      {Kind: "delay_webhook", Delay: ms(1500)},
		`{"kind":"timeout","delay":"1s","id":7,"fired":3}`:           {Kind: "hang", Delay: ms(1000)},
	} {
		status, _, answer, err := do(t, "POST", url+"/_sim/faults", body)
		var got sim.Fault
		if err != nil || status != 200 || json.Unmarshal([]byte(answer), &got) != nil || got.ID == 0 {
			t.Errorf("%s: %d %s %v", body, status, answer, err)
			continue
		}
		if got.ID = 0; !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", body, got, want)
		}
	}
	if status, _, _, _ := do(t, "DELETE", url+"/_sim/faults/1", ""); status != 200 {
		t.Errorf("clearing one fault: %d", status)
	}
	if status, _, _, _ := do(t, "DELETE", url+"/_sim/faults/1", ""); status != 400 {
		t.Errorf("clearing it again: %d", status)
	}
}

func TestObjectsInOtherWords(t *testing.T) {
	t.Parallel()
	v, url := newShelf(t, sim.HookPolicy{})
	for _, c := range []struct{ method, path, body, id string }{
		{"POST", "", `{"type":"things","id":"a","properties":{"name":"A"}}`, "a"},
		{"POST", "", `{"objectType":"Thing","thingId":"b","fields":{"name":"B"}}`, "b"},
		{"POST", "", `{"object":"thing","id":3,"name":"C"}`, "3"},
		{"POST", "", `{"id":"d","object":{"name":"D"}}`, "d"},
		{"POST", "", `{"data":{"name":"E","thingID":"e"}}`, "e"},
		{"PATCH", "/thing/f", `{"name":"F"}`, "f"},
	} {
		status, _, answer, err := do(t, c.method, url+"/_sim/objects"+c.path, c.body)
		if err != nil || status != 200 || answer != `"`+c.id+"\"\n" {
			t.Errorf("%s %s: %d %s %v, want %s", c.path, c.body, status, answer, err, c.id)
		}
	}
	control(t, url, "/_sim/objects", `[{"id":"g","name":"G"},{"id":"h","name":"H"}]`)
	control(t, url, "/_sim/objects", `{"type":"Things","objects":[{"id":"i","name":"I"}]}`)
	v.mu.Lock()
	got := len(v.things)
	name := v.things["b"] + v.things["3"] + v.things["e"] + v.things["h"] + v.things["i"]
	v.mu.Unlock()
	if got != 9 || name != "BCEHI" {
		t.Errorf("%d things, %s", got, name)
	}
	if st := v.Stats(); st.Edits != 9 {
		t.Errorf("%d edits counted, want 9", st.Edits)
	}
	for _, path := range []string{"?type=THINGS", "?objectType=thing", "/thing", ""} {
		status, _, answer, _ := do(t, "GET", url+"/_sim/objects"+path, "")
		var list []string
		if status != 200 || json.Unmarshal([]byte(answer), &list) != nil || len(list) != 9 {
			t.Errorf("GET objects%s: %d %s", path, status, answer)
		}
	}
}

func TestStatsHavePlainNames(t *testing.T) {
	t.Parallel()
	_, url := newShelf(t, sim.HookPolicy{})
	control(t, url, "/_sim/faults", `{"kind":"429","count":1}`)
	for range 2 {
		if _, _, _, err := do(t, "GET", url+"/things/a", ""); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (st map[string]any) {
		_, _, answer, _ := do(t, "GET", url+"/_sim/stats", "")
		if err := json.Unmarshal([]byte(answer), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	st := read()
	for _, name := range []string{"requests", "rateLimited", "429", "creates", "updates", "duplicates", "duplicatesByExternalId", "webhookDeliveries"} {
		if _, ok := st[name].(float64); !ok {
			t.Errorf("stats lack %s: %v", name, st)
		}
	}
	if st["requests"] != 2.0 || st["429"] != 1.0 || st["rateLimited"] != 0.0 {
		t.Errorf("stats %v", st)
	}
	if status, _, _, _ := do(t, "DELETE", url+"/_sim/stats", ""); status != 200 || read()["requests"] != 0.0 {
		t.Error("the ledger was not cleared")
	}
	if status, _, answer, _ := do(t, "GET", url+"/_sim/gremlins", ""); status != 404 || json.Unmarshal([]byte(answer), &st) != nil {
		t.Errorf("an unknown control: %d %s", status, answer)
	}
}

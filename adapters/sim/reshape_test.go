package sim_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"datum/adapters/sim"
)

// The faults of shape change what the vendor says, and only that.
func TestReshape(t *testing.T) {
	t.Parallel()
	v, url := newShelf(t, sim.HookPolicy{})
	call := func(method, body string) (int, string, http.Header) {
		req, err := http.NewRequest(method, url+"/things/1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, strings.TrimSpace(string(b)), resp.Header
	}
	for name, c := range map[string]struct {
		fault string
		want  string
	}{
		"rename": {`{"kind": "rename", "field": "id", "to": "key"}`, `{"key":"1"}`},
		"drop":   {`{"kind": "drop", "field": "id"}`, `{}`},
		"object": {`{"kind": "retype_field", "field": "id", "to": "object"}`, `{"id":{"value":"1"}}`},
		"number": {`{"kind": "retype", "field": "id", "to": "number"}`, `{"id":1}`},
		"add":    {`{"kind": "add_field", "field": "colour", "beside": "id", "value": "red"}`, `{"colour":"red","id":"1"}`},
		"set":    {`{"kind": "set_field", "field": "id", "value": "9"}`, `{"id":"9"}`},
		"other":  {`{"kind": "drop_field", "field": "things.id"}`, `{"id":"1"}`},
	} {
		v.ClearFaults()
		resp, err := http.Post(url+"/_sim/faults", "application/json", strings.NewReader(c.fault))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
			t.Fatalf("%s: %s", name, b)
		}
		resp.Body.Close()
		if status, got, _ := call("GET", ""); status != 200 || got != c.want {
			t.Errorf("%s: %d %s, want %s", name, status, got, c.want)
		}
	}
	v.ClearFaults()
	for _, f := range []sim.Fault{{Kind: sim.FaultHeader, Header: map[string]string{"Sunset": "soon"}}, {Kind: sim.FaultRequire, Field: "owner"}} {
		if _, err := v.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, h := call("GET", ""); h.Get("Sunset") != "soon" {
		t.Error("the header is missing")
	}
	if status, _, _ := call("PUT", `{"name": "x"}`); status != http.StatusBadRequest {
		t.Errorf("a write without what is required: %d", status)
	}
	if status, _, _ := call("PUT", `{"things": [{"owner": "Jo"}]}`); status != http.StatusOK {
		t.Errorf("a write with what is required: %d", status)
	}
	for _, f := range []sim.Fault{{Kind: sim.FaultRename, Field: "id"}, {Kind: sim.FaultOmit}, {Kind: sim.FaultRetype, Field: "id", To: "cheese"}, {Kind: sim.FaultAdd, Field: "x"}, {Kind: sim.FaultHeader}} {
		if _, err := v.AddFault(f); err == nil {
			t.Errorf("%+v makes no sense and is taken", f)
		}
	}
}

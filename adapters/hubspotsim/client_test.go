package hubspotsim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"datum/adapters/hubspotsim"
)

// HubSpot's own client takes 200 with a batch for a default association, reads properties in batches and pipelines with their times.
func TestWhatHubSpotsClientReliesOn(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	company := p.want(201, "POST", "/crm/v3/objects/companies", props("name", "Hartley Plumbing"))["id"].(string)
	contact := p.want(201, "POST", "/crm/v3/objects/contacts", props("email", "jo@hartley.example"))["id"].(string)
	made := p.want(200, "PUT", "/crm/v4/objects/contacts/"+contact+"/associations/default/companies/"+company, nil)
	if sides := list(made, "results"); made["status"] != "COMPLETE" || len(sides) != 2 || sides[0].(object)["from"].(object)["id"] != contact || sides[1].(object)["from"].(object)["id"] != company {
		t.Errorf("the default association: %v", made)
	}
	if l := p.want(200, "GET", "/crm/v4/objects/contacts/"+contact+"/associations/companies", nil); len(list(l, "results")) != 1 {
		t.Errorf("it was not made: %v", l)
	}

	p.want(201, "POST", "/crm/v3/properties/companies", object{"name": "abn", "label": "ABN", "type": "string", "fieldType": "text", "groupName": "companyinformation"})
	read := p.want(207, "POST", "/crm/v3/properties/companies/batch/read", object{"inputs": []object{{"name": "abn"}, {"name": "nowhere"}}})
	if rs, es := list(read, "results"), list(read, "errors"); len(rs) != 1 || rs[0].(object)["name"] != "abn" || len(es) != 1 || read["numErrors"] != 1.0 {
		t.Errorf("properties in a batch: %v", read)
	}
	p.want(400, "POST", "/crm/v3/properties/companies/batch/archive", object{"inputs": []object{{"name": "name"}}})
	p.want(204, "POST", "/crm/v3/properties/companies/batch/archive", object{"inputs": []object{{"name": "abn"}}})
	p.want(404, "GET", "/crm/v3/properties/companies/abn", nil)

	pipe := list(p.want(200, "GET", "/crm/v3/pipelines/deals", nil), "results")[0].(object)
	for _, o := range []object{pipe, list(pipe, "stages")[0].(object)} {
		for _, k := range []string{"createdAt", "updatedAt"} {
			if at, _ := o[k].(string); !strings.HasSuffix(at, "Z") {
				t.Errorf("%s of %v is %v", k, o["label"], o[k])
			}
		}
	}
}

func TestAContactDeletedForPrivacyIsGone(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	id := p.want(201, "POST", "/crm/v3/objects/contacts", props("email", "Jo@hartley.example"))["id"].(string)
	p.want(400, "POST", "/crm/v3/objects/companies/gdpr-delete", object{"objectId": id})
	p.want(204, "POST", "/crm/v3/objects/contacts/gdpr-delete", object{"objectId": "jo@hartley.example", "idProperty": "email"})
	p.want(404, "GET", "/crm/v3/objects/contacts/"+id+"?archived=true", nil)
	p.want(404, "POST", "/crm/v3/objects/contacts/gdpr-delete", object{"objectId": id})
	if e := p.want(400, "POST", "/crm/v3/objects/contacts", props("email", "jo@hartley.example")); !strings.Contains(e["message"].(string), "deleted for privacy") {
		t.Errorf("the address again: %v", e)
	}
}

func TestATokenIsIntrospected(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	c := p.sim.Credentials()
	ask := func(secret, token string) (int, object) {
		resp, err := http.PostForm(p.url+"/oauth/2026-03/token/introspect", url.Values{"client_id": {c["clientId"]}, "client_secret": {secret}, "token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body(t, resp)
	}
	for token, use := range map[string]string{c["accessToken"]: "access_token", c["refreshToken"]: "refresh_token"} {
		if st, o := ask(c["clientSecret"], token); st != 200 || o["active"] != true || o["token_use"] != use || o["hub_id"] == nil {
			t.Errorf("%s: %d %v", use, st, o)
		}
	}
	if st, o := ask(c["clientSecret"], "nothing"); st != 200 || o["active"] != false || len(o) != 1 {
		t.Errorf("an unknown token: %d %v", st, o)
	}
	if st, _ := ask("wrong", c["accessToken"]); st != 400 {
		t.Errorf("a wrong secret: %d", st)
	}
	p.sim.Expire()
	if _, o := ask(c["clientSecret"], c["accessToken"]); o["active"] != false {
		t.Errorf("an expired token: %v", o)
	}
}

func body(t *testing.T, resp *http.Response) object {
	t.Helper()
	defer resp.Body.Close()
	var o object
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

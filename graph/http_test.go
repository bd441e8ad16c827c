package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"datum/domain"
	"datum/domain/store"
	"datum/graph"
)

const (
	appJSON     = "application/json"
	appResponse = "application/graphql-response+json"
	// noAccept sends no Accept header at all.
	noAccept = ""
)

// TestOverHTTP is the GraphQL-over-HTTP specification (graphql.github.io/graphql-over-http): the 61 points that its
// reference audit looks at, and what Datum decides where the specification leaves it open.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	f := setup(t)

	type exchange struct {
		what        string
		method      string // POST if empty
		accept      string
		contentType string // application/json if empty, none if "-"
		body        string
		params      url.Values // of a GET
		status      int
		check       func(t *testing.T, h http.Header, body string)
	}
	media := func(want string) func(*testing.T, http.Header, string) {
		return func(t *testing.T, h http.Header, _ string) {
			if got := h.Get("Content-Type"); got != want+"; charset=utf-8" {
				t.Errorf("Content-Type is %q, want %s in UTF-8", got, want)
			}
		}
	}
	member := func(name string, there bool) func(*testing.T, http.Header, string) {
		return func(t *testing.T, _ http.Header, body string) {
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				t.Fatalf("the answer is not a JSON object: %s", body)
			}
			if _, ok := m[name]; ok != there {
				t.Errorf("%s there: %v, want %v: %s", name, ok, there, body)
			}
		}
	}
	noErrors, noData := member("errors", false), member("data", false)
	trivial := `{"query":"{ __typename }"}`
	typeByName := `"query":"query Type($name: String!) { __type(name: $name) { name } }"`
	var cases []exchange
	add := func(e exchange) { cases = append(cases, e) }

	// What comes back, and in which media type.
	add(exchange{what: "the response media type is honoured", accept: appResponse, body: trivial, status: 200, check: media(appResponse)})
	add(exchange{what: "JSON is honoured", accept: appJSON, body: trivial, status: 200, check: media(appJSON)})
	add(exchange{what: "anything will do: JSON", accept: "*/*", body: trivial, status: 200, check: media(appJSON)})
	add(exchange{what: "no Accept: JSON", accept: noAccept, body: trivial, status: 200, check: media(appJSON)})
	add(exchange{what: "the answer is UTF-8", accept: noAccept, body: trivial, status: 200, check: media(appJSON)})
	add(exchange{what: "a request that says it is UTF-8", contentType: "application/json; charset=utf-8", body: `{"query":"{ __type(name: \"Kookaburra 🪶 Café\") { name } }"}`, status: 200})
	add(exchange{what: "a request that does not say: UTF-8", body: trivial, status: 200})

	// Methods and bodies.
	add(exchange{what: "POST", body: trivial, status: 200})
	add(exchange{what: "GET with a query in the URL", method: "GET", params: url.Values{"query": {"{ __typename }"}}, status: 200})
	add(exchange{what: "no mutation with GET", method: "GET", accept: appResponse, params: url.Values{"query": {"mutation { __typename }"}}, status: 405})
	add(exchange{what: "a POST without content type", contentType: "-", body: trivial, status: 415})
	add(exchange{what: "a POST of JSON", contentType: appJSON, body: trivial, status: 200})
	add(exchange{what: "a POST without a body", body: "", status: 400})
	add(exchange{what: "no query parameter", accept: appResponse, body: `{"notquery":"{ __typename }"}`, status: 400})

	// Parameters of the wrong type: an object, a number, a boolean, a list, text where none belongs.
	wrong := []string{`{"a":"b"}`, `0`, `false`, `["array"]`}
	for _, v := range wrong {
		add(exchange{what: "query is " + v, body: `{"query":` + v + `}`, status: 400})
		add(exchange{what: "operationName is " + v, body: `{"query":"{ __typename }","operationName":` + v + `}`, status: 400})
	}
	for _, v := range []string{`"string"`, `0`, `false`, `["array"]`} {
		add(exchange{what: "variables is " + v, body: `{"query":"{ __typename }","variables":` + v + `}`, status: 400})
		add(exchange{what: "extensions is " + v, body: `{"query":"{ __typename }","extensions":` + v + `}`, status: 400})
	}

	// Parameters of the right type, in both media types.
	for _, accept := range []string{appResponse, appJSON} {
		add(exchange{what: "a query is text, " + accept, accept: accept, body: trivial, status: 200, check: noErrors})
		add(exchange{what: "operationName is text, " + accept, accept: accept, body: `{"query":"query Query { __typename }","operationName":"Query"}`, status: 200, check: noErrors})
		for _, p := range []string{"variables", "operationName", "extensions"} {
			add(exchange{what: p + " is null, " + accept, accept: accept, body: `{"query":"{ __typename }","` + p + `":null}`, status: 200, check: noErrors})
		}
		add(exchange{what: "variables is a map, " + accept, accept: accept, body: `{` + typeByName + `,"variables":{"name":"sometype"}}`, status: 200, check: noErrors})
		add(exchange{what: "extensions is a map, " + accept, accept: accept, body: `{"query":"{ __typename }","extensions":{"some":"value"}}`, status: 200, check: noErrors})
		add(exchange{what: "variables in the URL, " + accept, method: "GET", accept: accept, status: 200, check: noErrors,
			params: url.Values{"query": {"query Type($name: String!) { __type(name: $name) { name } }"}, "variables": {`{"name":"sometype"}`}}})
	}

	// Requests that cannot be run. In JSON the status is for the transport only, else for the request.
	add(exchange{what: "any status will do for broken JSON", accept: appJSON, body: `{ "not a JSON`, status: 400})
	add(exchange{what: "broken JSON, JSON", accept: appJSON, body: `{ "not a JSON`, status: 400})
	add(exchange{what: "broken JSON, response", accept: appResponse, body: `{ "not a JSON`, status: 400})
	add(exchange{what: "a misspelt query parameter is an error", body: `{"qeury":"{ __typename }"}`, status: 400})
	add(exchange{what: "and a 400", body: `{"qeury":"{ __typename }"}`, status: 400, check: noData})
	unparsable, unknown := `{"query":"{"}`, `{"query":"{ 8f31403dfe404bccbb0e835f2629c6a7 }"}`
	uncoercible := `{"query":"query Coerce($id: ID!) { __typename }","variables":{"id":null}}`
	add(exchange{what: "a query that cannot be parsed, JSON", accept: appJSON, body: unparsable, status: 200})
	add(exchange{what: "a query that is not valid, JSON", accept: appJSON, body: unknown, status: 200})
	add(exchange{what: "a variable that cannot be coerced, JSON", accept: appJSON, body: uncoercible, status: 200})
	add(exchange{what: "a query that cannot be parsed is an error, response", accept: appResponse, body: unparsable, status: 400})
	add(exchange{what: "a query that cannot be parsed is a 400, response", accept: appResponse, body: unparsable, status: 400})
	add(exchange{what: "a query that cannot be parsed has no data, response", accept: appResponse, body: unparsable, status: 400, check: noData})
	add(exchange{what: "a query that is not valid is an error, response", accept: appResponse, body: unknown, status: 400})
	add(exchange{what: "a query that is not valid is a 400, response", accept: appResponse, body: unknown, status: 400})
	add(exchange{what: "a query that is not valid has no data, response", accept: appResponse, body: unknown, status: 400, check: noData})
	add(exchange{what: "a variable that cannot be coerced, response", accept: appResponse, body: uncoercible, status: 400})

	const audited = 61
	if len(cases) != audited {
		t.Errorf("there are %d points, want %d", len(cases), audited)
	}

	// Beyond the audit.
	add(exchange{what: "request errors have no data in JSON either", accept: appJSON, body: unknown, status: 200, check: noData})
	add(exchange{what: "an error while running has data", accept: appResponse, body: `{"query":"{ customers(first: -1) { nodes { id } } }"}`, status: 200, check: member("data", true)})
	add(exchange{what: "PUT", method: "PUT", body: trivial, status: 405, check: func(t *testing.T, h http.Header, _ string) {
		if h.Get("Allow") != "GET, POST" {
			t.Errorf("Allow is %q", h.Get("Allow"))
		}
	}})
	add(exchange{what: "an Accept that nothing fits", accept: "text/html", body: trivial, status: 406})
	add(exchange{what: "the better of two", accept: "application/json;q=0.5, application/graphql-response+json", body: trivial, status: 200, check: media(appResponse)})
	add(exchange{what: "a preference for JSON", accept: "application/graphql-response+json;q=0.5, application/json", body: trivial, status: 200, check: media(appJSON)})
	add(exchange{what: "a type that is ruled out", accept: "application/json;q=0", body: trivial, status: 406})
	add(exchange{what: "the specific one among equals", accept: "*/*, application/graphql-response+json", body: trivial, status: 200, check: media(appResponse)})
	add(exchange{what: "a form", contentType: "application/x-www-form-urlencoded", body: "query={__typename}", status: 415})
	add(exchange{what: "a multipart form", contentType: "multipart/form-data; boundary=x", body: "--x--", status: 415})
	add(exchange{what: "plain text", contentType: "text/plain", body: trivial, status: 415})
	add(exchange{what: "another charset", contentType: "application/json; charset=iso-8859-1", body: trivial, status: 415})
	add(exchange{what: "text that is not UTF-8", body: "{\"query\":\"{ __typename } #\xff\"}", status: 400})
	add(exchange{what: "something after the object", body: trivial + trivial, status: 400})
	add(exchange{what: "a list of requests", body: "[" + trivial + "]", status: 400})
	add(exchange{what: "null", body: "null", status: 400})
	add(exchange{what: "a body that is too large", body: `{"query":"{ __typename }","extensions":{"x":"` + strings.Repeat("x", 300<<10) + `"}}`, status: 413})
	add(exchange{what: "a subscription without a stream", accept: appJSON, body: `{"query":"subscription { customerChanged { cursor } }"}`, status: 406})
	add(exchange{what: "an operation that is not there", accept: appResponse, body: `{"query":"query A { __typename } query B { __typename }"}`, status: 400})
	add(exchange{what: "@defer", accept: appResponse, body: `{"query":"{ ... @defer { __typename } }"}`, status: 400})

	for i, c := range cases {
		t.Run(fmt.Sprintf("%02d %s", i, c.what), func(t *testing.T) {
			t.Parallel()
			header := map[string]string{"Authorization": "Bearer " + f.keys[store.RoleReader], "Accept-Encoding": "identity"}
			if c.accept != noAccept {
				header["Accept"] = c.accept
			}
			method, target := "POST", f.url
			if c.method != "" {
				method = c.method
			}
			switch {
			case method == "GET":
				target += "?" + c.params.Encode()
			case c.contentType == "":
				header["Content-Type"] = appJSON
			case c.contentType != "-":
				header["Content-Type"] = c.contentType
			}
			status, h, body := f.request(method, target, header, c.body)
			if status != c.status {
				t.Errorf("status is %d, want %d: %s", status, c.status, body)
			}
			if c.check != nil {
				c.check(t, h, body)
			}
		})
	}
}

func TestNoEchoOfBodies(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const canary = "Nguyen-0412345678"
	header := map[string]string{"Authorization": "Bearer " + f.keys[store.RoleReader], "Content-Type": appJSON}
	for _, body := range []string{
		`{"query":"{ __typename }","variables":{"name":"` + canary + `"`,
		`{"query":{"` + canary + `":1}}`,
		`{"query":"{ __typename }","variables":"` + canary + `"}`,
		canary,
	} {
		status, _, answer := f.request("POST", f.url, header, body)
		if status != 400 || strings.Contains(answer, canary) {
			t.Errorf("%d %s", status, answer)
		}
	}
	if strings.Contains(f.log.String(), canary) {
		t.Errorf("the log has the body: %s", f.log)
	}
}

func TestCrossSiteRequests(t *testing.T) {
	t.Parallel()
	f := setup(t)
	header := map[string]string{"Authorization": "Bearer " + f.keys[store.RoleAdmin], "Content-Type": appJSON,
		"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
	body := `{"query":"mutation { setSystemMode(input: {system: \"crm\", mode: OFF}) { userErrors { code } } }"}`
	if status, _, answer := f.request("POST", f.url, header, body); status != http.StatusForbidden {
		t.Errorf("a page of another site may send a mutation: %d %s", status, answer)
	}
	if r := f.ask(store.RoleReader, `{ systems { name mode } }`, nil); r.text("systems", 1, "mode") != "LIVE" {
		t.Errorf("the mutation was run: %v", r.Data)
	}
}

func TestPlayground(t *testing.T) {
	t.Parallel()
	f := setup(t)
	browser := map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
	if status, _, body := f.request("GET", f.url, browser, ""); status != http.StatusUnauthorized {
		t.Errorf("without a playground: %d %s", status, body)
	}
	with := setup(t, withPlayground)
	status, h, body := with.request("GET", with.url, browser, "")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", status, body)
	}
	// The page must work without the internet: everything it loads is here.
	files := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(files) < 4 {
		t.Errorf("the page loads %v", files)
	}
	for _, f := range files {
		if !strings.HasPrefix(f[1], "/graphql/graphiql/") {
			t.Errorf("the page loads %s from elsewhere", f[1])
			continue
		}
		at := strings.TrimSuffix(with.url, "/graphql") + f[1]
		if status, h, got := with.request("GET", at, nil, ""); status != 200 || len(got) < 1000 || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %d bytes", f[1], status, len(got))
		}
	}
	if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "connect-src 'self'") || strings.Contains(policy, "script-src 'unsafe-inline'") {
		t.Errorf("Content-Security-Policy is %q", policy)
	}
	if status, _, body := with.request("GET", with.url+"?query={__typename}", map[string]string{"Accept": "text/html"}, ""); status != http.StatusNotAcceptable {
		t.Errorf("a query in the URL is answered with a page: %d %s", status, body)
	}
}

// The guard stands before validation, on every transport.
func TestGuardStandsBeforeEverything(t *testing.T) {
	t.Parallel()
	f := setup(t)
	attack := "{...f0}"
	for i := range 25 {
		attack += fmt.Sprintf("fragment f%d on Query{...f%d ...f%d}", i, i+1, i+1)
	}
	attack += "fragment f25 on Query{__typename}"
	for _, query := range []string{attack, "{customers(first:1000000){nodes{id}}}", "{" + strings.Repeat("a:__typename ", 4000) + "}"} {
		body, _ := json.Marshal(map[string]any{"query": query})
		header := map[string]string{"Authorization": "Bearer " + f.keys[store.RoleReader], "Content-Type": appJSON, "Accept": appResponse}
		status, _, answer := f.request("POST", f.url, header, string(body))
		if status != http.StatusBadRequest || !strings.Contains(answer, "TOO_EXPENSIVE") || len(answer) > 1000 {
			t.Errorf("%.40s: %d %.200s", query, status, answer)
		}
		header["Accept"] = "text/event-stream"
		if _, _, answer := f.request("POST", f.url, header, string(body)); !strings.Contains(answer, "TOO_EXPENSIVE") {
			t.Errorf("%.40s over an event stream: %.200s", query, answer)
		}
		s := f.open(t, store.RoleReader)
		s.subscribe("1", query)
		if m := s.read(); m.Type != "error" || !strings.Contains(string(m.Payload), "TOO_EXPENSIVE") {
			t.Errorf("%.40s over a WebSocket: %+v", query, m)
		}
	}
}

func TestOperationTimeout(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.OperationTimeout = time.Nanosecond })
	header := map[string]string{"Authorization": "Bearer " + f.keys[store.RoleReader], "Content-Type": appJSON}
	status, _, body := f.request("POST", f.url, header, `{"query":"{ customers { nodes { id } } }"}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"UNAVAILABLE"`) || strings.Contains(body, `"data"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	described := func(where, text string) {
		if text == "" {
			t.Errorf("%s has no description", where)
		}
	}
	arguments := func(where string, as ast.ArgumentDefinitionList) {
		for _, a := range as {
			described(where+"("+a.Name+")", a.Description)
		}
	}
	s := graph.Schema()
	for name, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		described(name, def.Description)
		for _, fd := range def.Fields {
			if !strings.HasPrefix(fd.Name, "__") {
				described(name+"."+fd.Name, fd.Description)
				arguments(name+"."+fd.Name, fd.Arguments)
			}
		}
		for _, v := range def.EnumValues {
			described(name+"."+v.Name, v.Description)
		}
	}
	for _, name := range []string{"requires", "listSize"} {
		described("@"+name, s.Directives[name].Description)
		arguments("@"+name, s.Directives[name].Arguments)
	}
	// What apps can write is what there is, and the other way round.
	ki, _ := domain.KindCustomer.Info()
	for _, fi := range ki.Fields {
		for _, typ := range []string{"Customer", "CustomerInput"} {
			if s.Types[typ].Fields.ForName(string(fi.Name)) == nil {
				t.Errorf("%s has no field %s", typ, fi.Name)
			}
		}
	}
}

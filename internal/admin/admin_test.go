package admin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"datum/adapters/all"
	"datum/adapters/hubspotsim"
	"datum/adapters/xerosim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/admin"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// output is a buffer that is written and read at once.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func setup(t *testing.T) (*admin.Admin, *output) {
	t.Helper()
	pool := pgtest.New(t)
	v, err := vault.Parse("test:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, err)
	e, err := jobs.New(jobs.Config{Pool: pool, Sealer: v, Vendors: all.Vendors()}, false)
	must(t, err)
	t.Cleanup(func() { _ = e.Stop(context.Background()) })
	around := change.Surroundings{Schema: graph.Schema(), Adapters: e.Adapters(), Carries: e.Carries}
	_, err = e.Applier().Publish(t.Context(), 0, ownership.DefaultSource(), around, change.Cause{Actor: "test"})
	must(t, err)
	out := &output{}
	return &admin.Admin{Pool: pool, Engine: e, Around: around, Sealer: v, Vendors: all.Vendors(), Out: out, Err: io.Discard, In: strings.NewReader("")}, out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(p, []byte(text), 0o600))
	return p
}

func contains(t *testing.T, out *output, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(out.String(), w) {
			t.Errorf("the output lacks %q:\n%s", w, out)
		}
	}
}

func TestPolicyIsShownCheckedComparedAndApplied(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	must(t, a.Policy(ctx, []string{"show"}))
	contains(t, out, "# version 1", "owner: crm")

	err := a.Policy(ctx, []string{"check", file(t, "bad.yaml", "systems: {crm: hubspot}\nCustomer:\n  owner: nobody\n")})
	if domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a policy with an unknown owner: %v", err)
	}

	for _, c := range []string{"Ada Pty Ltd", "Bob Pty Ltd"} {
		_, err := a.Engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, Cause: change.Cause{Actor: "test", Source: change.FromMutation},
			Fields: domain.Values{"legalName": domain.TextValue(c), "phone": domain.TextValue("0355501234")}})
		must(t, err)
	}
	// Without fallbacks for phone, what ops said when it created them no longer counts.
	next := file(t, "next.yaml", strings.Replace(ownership.DefaultSource(), "phone: {owner: crm, fallback: [accounting, ops]", "phone: {owner: crm, fallback: [accounting]", 1))
	must(t, a.Policy(ctx, []string{"diff", next}))
	contains(t, out, "phone", "of 2 entities", "phone              2", "Ada Pty Ltd")
	must(t, a.Policy(ctx, []string{"apply", next}))
	contains(t, out, "version 2 is in force")
	if n, err := store.PolicyNumber(ctx, a.Pool); n != 2 || err != nil {
		t.Errorf("policy %d in force, %v", n, err)
	}
	if err := a.Policy(ctx, []string{"frobnicate", next}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an unknown subcommand: %v", err)
	}
}

func TestSystemsAreConnectedAndAuthorised(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	crm, xero := hubspotsim.New(hubspotsim.Options{Seed: 1}), xerosim.New(xerosim.Options{Seed: 1})
	t.Cleanup(crm.Close)
	t.Cleanup(xero.Close)
	crmURL, err := crm.Listen("127.0.0.1:0")
	must(t, err)
	xeroURL, err := xero.Listen("127.0.0.1:0")
	must(t, err)

	c := crm.Credentials()
	b, err := json.Marshal(map[string]string{"baseUrl": crmURL, "tokenUrl": crmURL + c["tokenPath"], "clientId": c["clientId"], "clientSecret": c["clientSecret"], "refreshToken": c["refreshToken"]})
	must(t, err)
	must(t, a.System(ctx, []string{"connect", "crm", file(t, "crm.json", string(b))}))
	contains(t, out, "crm is connected to HubSpot account")

	// Without a tenantId it is found in the account; without tokens a person authorises.
	x := xero.Credentials()
	b, err = json.Marshal(map[string]string{"baseUrl": xeroURL, "tokenUrl": xeroURL + x["tokenPath"], "authorizeUrl": xeroURL + x["authorizePath"],
		"clientId": x["clientId"], "clientSecret": x["clientSecret"], "webhookKey": x["webhookKey"], "redirectUri": "http://localhost:8977/callback"})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- a.System(ctx, []string{"authorise", "accounting", file(t, "xero.json", string(b))}) }()
	link := regexp.MustCompile(`http://\S*authorize\S*`)
	for link.FindString(out.String()) == "" {
		select {
		case err := <-done:
			t.Fatalf("authorise ended before it asked: %v\n%s", err, out)
		default:
		}
	}
	resp, err := http.Get(link.FindString(out.String())) // the simulator says yes and redirects
	must(t, err)
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if !strings.Contains(string(body), "Thank you") {
		t.Errorf("the person saw %d %s", resp.StatusCode, body)
	}
	must(t, <-done)
	contains(t, out, "accounting is connected to")
	must(t, a.System(ctx, []string{"list"}))
	contains(t, out, "accounting  xero     live  ok")
	must(t, a.System(ctx, []string{"mode", "accounting", "observe"}))
	if s, err := store.SystemByName(ctx, a.Pool, "accounting"); err != nil || s.Mode != store.ModeObserve || s.Settings["tenantId"] != x["tenantId"] {
		t.Errorf("accounting is %+v, %v", s, err)
	}
	must(t, a.System(ctx, []string{"sweep", "accounting"}))
	must(t, a.System(ctx, []string{"rewrap"}))
	contains(t, out, "credentials are sealed with key test")
	// What does not work changes nothing.
	b, err = json.Marshal(map[string]string{"baseUrl": crmURL, "tokenUrl": crmURL + c["tokenPath"], "clientId": c["clientId"], "clientSecret": c["clientSecret"], "refreshToken": "wrong"})
	must(t, err)
	if err := a.System(ctx, []string{"connect", "crm", file(t, "wrong.json", string(b))}); domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("a wrong refresh token: %v", err)
	}
	if k, err := store.GetCredential(ctx, a.Pool, a.Sealer, "crm"); err != nil || k.RefreshToken != c["refreshToken"] || k.AuthState.Status != store.AuthOK {
		t.Errorf("after a wrong refresh token the good one is gone: %v, %v", k.AuthState, err)
	}
	if err := a.System(ctx, []string{"mode", "ops", "observe"}); err != nil {
		t.Errorf("the mode of a system without a connection: %v", err)
	}
	for _, args := range [][]string{{"mode", "accounting", "on"}, {"connect", "ops", file(t, "x.json", "{}")}, {"connect", "crm", file(t, "y.json", `{"clientid": "x"}`)}, {}} {
		if err := a.System(ctx, args); err == nil {
			t.Errorf("datum system %v was accepted", args)
		}
	}
}

func TestKeysAreCreatedListedAndRevoked(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	must(t, a.Key(ctx, []string{"create", "--system", "ops", "--role", "editor", "--name", "portal"}))
	text := strings.TrimSpace(out.String())
	k, err := store.AuthenticateKey(ctx, a.Pool, text)
	if err != nil || k.System != "ops" || k.Role != store.RoleEditor {
		t.Fatalf("the printed key is %+v, %v", k, err)
	}
	must(t, a.Key(ctx, []string{"list"}))
	contains(t, out, k.ID, "portal", "editor")
	must(t, a.Key(ctx, []string{"revoke", k.ID}))
	if _, err := store.AuthenticateKey(ctx, a.Pool, text); domain.CodeOf(err) != domain.Unauthentic {
		t.Errorf("a revoked key: %v", err)
	}
	if err := a.Key(ctx, []string{"create", "--system", "nowhere", "--role", "editor"}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a key for an unknown system: %v", err)
	}
}

func TestImportGoesThroughTheSameDoor(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	rows := "legalName,abn,email,creditLimit,billingAddress.suburb,billingAddress.state,billingAddress.postcode,tags\n" +
		"Hartley Plumbing Pty Ltd,51 824 753 556,info@hartley.example,,Melbourne,VIC,3000,trade; vip\n" +
		"Bad ABN Pty Ltd,12 345 678 901,x@example.com,,,,,\n" +
		"Short row\n" +
		"Another Name,51824753556,,,,,,\n" // the first one again: legalName belongs to accounting and becomes a proposal
	if err := a.Import(ctx, []string{"--system", "ops", file(t, "in.csv", rows)}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an import with refused rows ends with %v", err)
	}
	contains(t, out, "4 rows: 1 created", "row 3:", "row 4: it has 1 cells", "1 proposed", "2 refused")
	cs, err := store.ListViews(ctx, a.Pool, domain.KindCustomer, store.ViewFilter{}, store.ViewPage{Order: store.ByID, Limit: 10})
	if err != nil || len(cs) != 1 || !strings.Contains(string(cs[0].JSON), `"Hartley Plumbing Pty Ltd"`) || !strings.Contains(string(cs[0].JSON), `["trade", "vip"]`) {
		t.Errorf("customers: %+v, %v", cs, err)
	}
	if err := a.Import(ctx, []string{"--system", "ops", file(t, "in.csv", "colour\nred\n")}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an unknown column: %v", err)
	}
}

func TestMappingIsPrinted(t *testing.T) {
	t.Parallel()
	out := &output{}
	must(t, admin.Mapping(out, all.Vendors(), []string{"xero"}))
	contains(t, out, "Customer", "ContactNumber", "TaxNumber", "legalName")
	if err := admin.Mapping(out, all.Vendors(), []string{"sap"}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an unknown vendor: %v", err)
	}
}

// Two customers are made one and parted again at the command line.
func TestMerge(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	var ids []string
	for _, name := range []string{"First", "Second"} {
		res, err := a.Engine.Applier().Edit(t.Context(), change.Edit{System: "ops", Kind: domain.KindCustomer, Fields: domain.Values{"legalName": domain.TextValue(name)},
			Cause: change.Cause{Actor: "test"}})
		must(t, err)
		ids = append(ids, res.EntityID)
	}
	must(t, a.Merge(t.Context(), []string{"--dry-run", ids[0], ids[1]}))
	contains(t, out, "nothing was changed", "1 records change sides")
	must(t, a.Merge(t.Context(), ids))
	contains(t, out, ids[1]+" is now part of "+ids[0])
	must(t, a.Unmerge(t.Context(), []string{"--reason", "two firms", ids[1]}))
	contains(t, out, ids[1]+" is one of its own again")
	if err := a.Unmerge(t.Context(), ids[1:]); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("parting what is not merged: %v", err)
	}
	if err := a.Merge(t.Context(), ids[:1]); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("one id: %v", err)
	}
}

// What people have decided about single fields is listed and taken back at the command line.
func TestPin(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	res, err := a.Engine.Applier().Edit(t.Context(), change.Edit{System: "crm", Kind: domain.KindCustomer, Fields: domain.Values{"legalName": domain.TextValue("First"), "phone": domain.TextValue("+61390000001")},
		Cause: change.Cause{Actor: "test"}})
	must(t, err)
	must(t, a.Pin(t.Context(), []string{"list"}))
	contains(t, out, res.EntityID, "phone", "in force")
	must(t, a.Pin(t.Context(), []string{"withdraw", "--reason", "a mistake", res.EntityID, "phone"}))
	contains(t, out, "phone of "+res.EntityID+" is withdrawn")
	if err := a.Pin(t.Context(), []string{"withdraw", res.EntityID, "phone"}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("withdrawing again: %v", err)
	}
	must(t, a.Pin(t.Context(), []string{"list", res.EntityID}))
}

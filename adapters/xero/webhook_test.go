package xero_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/domain"
)

// TestIntentToReceive uses a body and a signature computed apart from this program.
func TestIntentToReceive(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	hook := adapters.Webhook{
		Header: http.Header{"X-Xero-Signature": {"qAYGQdoiCV3g0uAzbvP5M/6dDgNoDUK8EQfOLs1aIws="}},
		Body:   []byte(`{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}`),
	}
	n, err := f.ab.Notifier.Receive(hook, []string{"another", "test-webhook-key"})
	if err != nil || len(n.Signals) != 0 || n.LastSeq != 0 {
		t.Errorf("%+v %v", n, err)
	}
	for name, secrets := range map[string][]string{"wrong key": {"another"}, "no key": nil, "empty key": {""}} {
		if _, err := f.ab.Notifier.Receive(hook, secrets); domain.CodeOf(err) != domain.Unauthentic {
			t.Errorf("%s: %v", name, err)
		}
	}
	hook.Body = append(hook.Body, ' ')
	if _, err := f.ab.Notifier.Receive(hook, []string{"test-webhook-key"}); domain.CodeOf(err) != domain.Unauthentic {
		t.Errorf("a changed body: %v", err)
	}
}

func TestEventsBecomeSignals(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	key, tenant := f.sim.Credentials()["webhookKey"], f.sim.Credentials()["tenantId"]
	event := func(tenant, category string) string {
		return fmt.Sprintf(`{"resourceUrl":"https://api.xero.com/x","resourceId":"a1b2c3d4-0000-4000-8000-000000000001","eventDateUtc":"2026-03-01T02:03:04.567",
			"eventType":"UPDATE","eventCategory":%q,"tenantId":%q,"tenantType":"ORGANISATION"}`, category, tenant)
	}
	body := []byte(`{"events":[` + strings.Join([]string{event(tenant, "CONTACT"), event("11111111-1111-4111-8111-111111111111", "CONTACT"),
		event(tenant, "SUBSCRIPTION"), event(tenant, "INVOICE"), event(tenant, "CREDITNOTE")}, ",") + `],"firstEventSequence":41,"lastEventSequence":45,"entropy":"x"}`)
	header := f.sim.Sign(body)
	n, err := f.ab.Notifier.Receive(adapters.Webhook{Header: header, Body: body}, []string{key})
	if err != nil || len(n.Signals) != 3 || n.FirstSeq != 41 || n.LastSeq != 45 ||
		n.Signals[1].Kind != domain.KindInvoice || n.Signals[2].Kind != domain.KindCreditNote {
		t.Fatalf("%+v %v", n, err)
	}
	s := n.Signals[0]
	if s.Kind != domain.KindCustomer || s.ExternalID != "a1b2c3d4-0000-4000-8000-000000000001" || !s.OccurredAt.Equal(time.Date(2026, 3, 1, 2, 3, 4, 567e6, time.UTC)) || s.DedupeKey == "" || s.Deleted {
		t.Errorf("%+v", s)
	}
	again, err := f.ab.Notifier.Receive(adapters.Webhook{Header: header, Body: body}, []string{key})
	if err != nil || again.Signals[0].DedupeKey != s.DedupeKey {
		t.Errorf("a replay has another key: %+v %v", again, err)
	}
}

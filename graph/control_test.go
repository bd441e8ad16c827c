package graph_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// TestModesAndPauses: who has switched and paused what, and why, can be read; a reader cannot do it.
func TestModesAndPauses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	mode := `mutation { setSystemMode(input: {system: "crm", mode: OBSERVE, reason: "looking"}) { system { mode modeChanges { actor from to reason } } userErrors { code } } }`
	r := f.ask(store.RoleOperator, mode, nil)
	changes := r.list("setSystemMode", "system", "modeChanges")
	if len(changes) != 1 {
		t.Fatalf("switches: %+v", r)
	}
	if c := changes[0].(map[string]any); c["from"] != "LIVE" || c["to"] != "OBSERVE" || c["reason"] != "looking" || c["actor"] == "" {
		t.Errorf("switch: %v", c)
	}
	pause := `mutation($d: PauseDirection, $r: String!) { pauseSystem(input: {system: "accounting", kind: INVOICE, direction: $d, reason: $r}) {
		system { pauses { kind direction reason } } userErrors { code message } } }`
	if r := f.ask(store.RoleOperator, pause, object{"r": " "}); r.list("pauseSystem", "userErrors")[0].(map[string]any)["code"] != "INVALID" {
		t.Errorf("paused without a reason: %+v", r)
	}
	if r := f.ask(store.RoleOperator, pause, object{"d": "OUT", "r": "month end"}); len(r.list("pauseSystem", "system", "pauses")) != 1 {
		t.Errorf("paused: %+v", r)
	}
	resume := `mutation { resumeSystem(input: {system: "accounting"}) { system { now: pauses { reason } pauses(history: true) { kind direction endedBy } } userErrors { code } } }`
	r = f.ask(store.RoleOperator, resume, nil)
	if h := r.list("resumeSystem", "system", "pauses"); len(r.list("resumeSystem", "system", "now")) != 0 || len(h) != 1 || h[0].(map[string]any)["endedBy"] == nil {
		t.Errorf("resumed: %+v", r)
	}
	for _, m := range []string{mode, resume} {
		if r := f.send(f.keys[store.RoleEditor], m, nil); len(r.Errors) == 0 {
			t.Errorf("an editor may %s", m)
		}
	}
}

// TestRecordedWritesAreDecided: the requests of a dry run are read, approved and rejected.
func TestRecordedWritesAreDecided(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := context.Background()
	f.ask(store.RoleOperator, `mutation { setSystemMode(input: {system: "accounting", mode: DRY_RUN}) { userErrors { code } } }`, nil)
	var ids []string
	for _, name := range []string{"One Pty Ltd", "Two Pty Ltd"} {
		id := f.customer("c"+name[:3], name)
		w := store.RecordedWrite{ID: domain.NewID("write"), EntityID: id, System: "accounting", Kind: domain.KindCustomer, Op: "create", DesiredVersion: 1,
			Values: domain.Values{"legalName": domain.TextValue(name)}, Method: "POST", Path: "/Contacts", Header: map[string]string{"Idempotency-Key": "k"}, Body: `{"Name":"` + name + `"}`, Digest: name,
			NextSteps: []store.NextStep{{Method: "PUT", Path: "/Contacts/id-from-step-1/Notes", Body: `{"Note":"x"}`}}}
		if err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error { _, err := store.RecordWrite(ctx, tx, w, ""); return err }); err != nil {
			t.Fatal(err)
		}
		_, err := f.pool.Exec(ctx, `INSERT INTO projections (entity_id, system, kind, status, error_code) VALUES ($1, 'accounting', 'Customer', 'parked', 'DRY_RUN')
			ON CONFLICT (entity_id, system) DO UPDATE SET status = 'parked', error_code = 'DRY_RUN'`, id)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.ID)
	}
	list := `query($s: [RecordedWriteStatus!]) { recordedWrites(filter: {system: "accounting", statuses: $s}) { nodes { id status method path body headers values note nextSteps { method path body } decidedBy
		system { name } entity { id } } } }`
	r := f.ask(store.RoleOperator, list, nil)
	if ws := r.list("recordedWrites", "nodes"); len(ws) != 2 || ws[0].(map[string]any)["body"] != `{"Name":"One Pty Ltd"}` || ws[0].(map[string]any)["entity"] == nil ||
		ws[0].(map[string]any)["nextSteps"].([]any)[0].(map[string]any)["path"] != "/Contacts/id-from-step-1/Notes" {
		t.Fatalf("recorded: %+v", r)
	}
	if r := f.send(f.keys[store.RoleReader], list, nil); len(r.Errors) == 0 {
		t.Error("a reader sees what would be sent")
	}
	approve := `mutation($in: ApproveWritesInput!) { approveWrites(input: $in) { approved userErrors { code } } }`
	if r := f.ask(store.RoleOperator, approve, object{"in": object{}}); r.list("approveWrites", "userErrors")[0].(map[string]any)["code"] != "INVALID" {
		t.Errorf("approved nothing in particular: %+v", r)
	}
	reject := `mutation($id: ID!) { rejectWrite(input: {id: $id, reason: "not ours"}) { write { status note } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, reject, object{"id": ids[0]}); r.text("rejectWrite", "write", "status") != "REJECTED" || r.text("rejectWrite", "write", "note") == "" {
		t.Errorf("rejected: %+v", r)
	}
	if r := f.ask(store.RoleOperator, approve, object{"in": object{"filter": object{"system": "accounting"}}}); len(r.list("approveWrites", "approved")) != 1 {
		t.Errorf("approved: %+v", r)
	}
	if r := f.ask(store.RoleOperator, list, object{"s": []string{"APPROVED"}}); len(r.list("recordedWrites", "nodes")) != 1 {
		t.Errorf("approved ones: %+v", r)
	}
}

// TestReprocessOverTheAPI: dead letters are read by class, a run over one class is begun, read and cancelled.
func TestReprocessOverTheAPI(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := context.Background()
	for _, id := range []string{"1", "2", "3"} {
		n, err := store.InsertSignal(ctx, f.pool, store.Signal{System: "crm", Kind: domain.KindCustomer, ExternalID: id, Source: "webhook", Lane: "live"})
		if err == nil {
			err = store.FailSignals(ctx, f.pool, []int64{n}, "crm: record "+id+" is odd (INVALID)")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r := f.ask(store.RoleOperator, `{ deadLetters { what system kind code class count oldest next exampleId exampleMessage } }`, nil)
	ds := r.list("deadLetters")
	if len(ds) != 1 {
		t.Fatalf("dead letters: %+v", r)
	}
	d := ds[0].(map[string]any)
	if d["what"] != "SIGNAL" || d["class"] != "crm: record … is odd" || d["code"] != "INVALID" || d["count"].(float64) != 3 || d["exampleMessage"] != "crm: record 1 is odd (INVALID)" {
		t.Errorf("dead letters: %v", d)
	}
	start := `mutation($in: StartReprocessInput!) { startReprocess(input: $in) { run { id status total done failed perSecond actor items { number what status externalId } } userErrors { code message } } }`
	r = f.ask(store.RoleOperator, start, object{"in": object{"action": "RETRY", "filter": object{"class": d["class"]}}})
	if is := r.list("startReprocess", "run", "items"); len(is) != 3 || is[0].(map[string]any)["externalId"] != "1" || r.text("startReprocess", "run", "status") != "RUNNING" {
		t.Fatalf("started: %+v", r)
	}
	id := r.text("startReprocess", "run", "id")
	r = f.ask(store.RoleOperator, `mutation($id: ID!) { cancelReprocess(input: {id: $id}) { run { status cancelled endedBy } userErrors { code } } }`, object{"id": id})
	if r.text("cancelReprocess", "run", "status") != "CANCELLED" {
		t.Errorf("cancelled: %+v", r)
	}
	if r := f.ask(store.RoleOperator, `{ reprocessRuns { id status } }`, nil); len(r.list("reprocessRuns")) != 1 {
		t.Errorf("runs: %+v", r)
	}
	for _, in := range []object{{"action": "SKIP"}, {"action": "REFETCH"}, {"action": "RETRY", "force": true}, {"action": "RETRY", "filter": object{"ids": []string{"signal:x"}}},
		{"action": "RETRY", "filter": object{"system": "nowhere"}}, {"action": "REPLAY", "filter": object{"what": []string{"JOB"}, "system": "crm"}}} {
		if r := f.ask(store.RoleOperator, start, object{"in": in}); len(r.list("startReprocess", "userErrors")) != 1 {
			t.Errorf("%v: %+v", in, r)
		}
	}
}

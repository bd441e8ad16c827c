package myob_test

import (
	"strings"
	"testing"

	"datum/adapters"
	"datum/adapters/myob"
	"datum/adapters/myobsim"
	"datum/adapters/sim"
	"datum/domain"
)

// TestGatewayTimeout: a gateway that gives up says nothing of what became of the card, and a repeat makes no second one.
func TestGatewayTimeout(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	for _, done := range []bool{true, false} {
		w := create("Slow Month End Pty Ltd")
		f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 504, Method: "POST", Path: "/Contact/Customer", AfterCommit: done, Count: 1})
		if o := f.write(w); domain.CodeOf(o.Err) != domain.Unknown || o.Created {
			t.Errorf("done %v: %v, created %v", done, o.Err, o.Created)
		}
		o := f.write(w)
		if o.Err != nil || o.Record.CanonicalID != w.CanonicalID || o.Created == done {
			t.Errorf("done %v, again: %v, created %v", done, o.Err, o.Created)
		}
	}
	if st := f.sim.Stats(); st.Creates != 2 || st.Duplicates != 0 {
		t.Errorf("%d cards were created, %d of them duplicates", st.Creates, st.Duplicates)
	}
}

// TestEmptyAnswers: a server that shows only the address of what it wrote is asked for it.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{EmptyAnswers: true}, nil)
	w := create("Terse Pty Ltd")
	rec := f.must(w)
	if rec.CanonicalID != w.CanonicalID || rec.Values["legalName"] != `"Terse Pty Ltd"` || rec.Version == "" {
		t.Errorf("created: %+v", rec)
	}
	if rec = f.must(update(rec, domain.Values{"notes": `"short"`})); rec.Values["notes"] != `"short"` || rec.Values["legalName"] != `"Terse Pty Ltd"` {
		t.Errorf("updated: %v", rec.Values)
	}
	f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 503, Method: "GET", Path: "/accountright/*/Contact/Customer/*"})
	if o := f.write(create("Unseen Pty Ltd")); domain.CodeOf(o.Err) != domain.Unknown {
		t.Errorf("a card that was made and cannot be read: %v", o.Err)
	}
}

// TestEditsMeanwhile: an edit of what is to be written is looked at first; one of anything else stays and does no harm.
func TestEditsMeanwhile(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	rec := f.must(create("Meanwhile Pty Ltd"))
	f.screen(rec.ExternalID, map[string]any{"Notes": "a person's"})
	if o := f.write(update(rec, domain.Values{"notes": `"ours"`})); domain.CodeOf(o.Err) != domain.Unavailable {
		t.Errorf("over an unseen edit: %v", o.Err)
	}
	if got := f.fetch(rec.ExternalID).Values["notes"]; got != `"a person's"` {
		t.Errorf("the edit went: %s", got)
	}
	if o := f.write(update(rec, domain.Values{"notes": `"a person's"`, "email": `"a@example.com"`})); o.Err != nil {
		t.Errorf("the same edit on both sides: %v", o.Err)
	}
	rec = f.must(update(f.fetch(rec.ExternalID), domain.Values{"notes": `"ours"`}))

	// A payment moves RowVersion and nothing else that a poll would see.
	before := rec
	f.screen(rec.ExternalID, map[string]any{"CurrentBalance": "110.00"})
	if now := f.fetch(rec.ExternalID); now.Version == before.Version || !now.ModifiedAt.Equal(before.ModifiedAt) {
		t.Errorf("after a payment: version %s, modified %s; before %s, %s", now.Version, now.ModifiedAt, before.Version, before.ModifiedAt)
	}
	if o := f.write(update(before, domain.Values{"phone": `"+61255501234"`})); o.Err != nil || o.Record.Values["notes"] != `"ours"` {
		t.Errorf("after a payment: %v", o.Err)
	}
	f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 409, Method: "PUT", Body: []byte(`{"Errors":[{"Name":"IncorrectRowVersionSupplied","Message":"latest RowVersion"}]}`)})
	if o := f.write(update(f.fetch(rec.ExternalID), domain.Values{"phone": `"+61255501235"`})); domain.CodeOf(o.Err) != domain.Unavailable {
		t.Errorf("a lock lost between reading and writing: %v", o.Err)
	}
}

// TestOtherPeoplesCustomField: a value that is not ours stays, and the card is still written.
func TestOtherPeoplesCustomField(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	id := f.screen("", map[string]any{"CompanyName": "Foreign Pty Ltd", "CustomField3": map[string]any{"Value": "Route 7"}})
	rec := f.fetch(id)
	if rec.CanonicalID != "" || len(rec.Issues) != 1 || rec.Issues[0].Code != "foreign_custom_field" || rec.Issues[0].Severity != domain.Warning {
		t.Errorf("canonical id %q, issues %v", rec.CanonicalID, rec.Issues)
	}
	w := update(rec, domain.Values{"notes": `"x"`})
	w.CanonicalID = domain.NewID("cus")
	f.must(w)
	if rec = f.fetch(id); !strings.Contains(string(rec.Raw), `"Route 7"`) || strings.Contains(string(rec.Raw), w.CanonicalID) {
		t.Errorf("the field was taken: %s", rec.Raw)
	}
	a, err := myob.Vendor().Open(f.session(map[string]string{"idField": "CustomField2"}))
	if err != nil {
		t.Fatal(err)
	}
	if o := adapters.AbilitiesOf(a).Writer.Write(ctx, []adapters.Write{w})[0]; o.Err != nil || o.Record.CanonicalID != w.CanonicalID || len(o.Record.Issues) > 0 {
		t.Errorf("with a field of our own: %v %q %v", o.Err, o.Record.CanonicalID, o.Record.Issues)
	}
	if rec = f.fetch(id); !strings.Contains(string(rec.Raw), `"Route 7"`) {
		t.Error("the other field went")
	}
}

// TestCreateFillsInWhatMYOBNeeds: a name and a kind from the golden values, tax codes from the settings, read once.
func TestCreateFillsInWhatMYOBNeeds(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, map[string]string{"freightTaxCode": "FRE"})
	w := create("")
	w.Values = domain.Values{"email": `"frank@example.com"`}
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Invalid || domain.AsError(o.Err).Field != "legalName" {
		t.Errorf("without a name: %v", o.Err)
	}
	w.Golden = domain.Values{"legalName": `"Frank de Souza"`, "kind": `"PERSON"`}
	rec := f.must(w)
	o, err := adapters.ParseObject(rec.Raw)
	if err != nil {
		t.Fatal(err)
	}
	sd := o["SellingDetails"].(map[string]any)
	tax, freight := sd["TaxCode"].(map[string]any), sd["FreightTaxCode"].(map[string]any)
	if o["IsIndividual"] != true || o["FirstName"] != "Frank de" || o["LastName"] != "Souza" || o["IsActive"] != true || tax["Code"] != "GST" || freight["Code"] != "FRE" {
		t.Errorf("%s", rec.Raw)
	}
	// A person splits the name properly: writing the same name leaves it so.
	f.screen(rec.ExternalID, map[string]any{"FirstName": "Frank", "LastName": "de Souza"})
	rec = f.must(update(f.fetch(rec.ExternalID), domain.Values{"legalName": `"Frank de Souza"`, "email": domain.Null}))
	if !strings.Contains(string(rec.Raw), `"LastName":"de Souza"`) || rec.Values["legalName"] != `"Frank de Souza"` {
		t.Errorf("the split was undone: %s", rec.Raw)
	}
	for range 2 {
		f.must(create("Another Pty Ltd"))
	}
	if n := f.sim.Stats().Routes["GET /accountright/{file}/GeneralLedger/TaxCode"]; n != 2 {
		t.Errorf("tax codes were read %d times for two codes", n)
	}
	w = create("No Code Pty Ltd")
	a, err := myob.Vendor().Open(f.session(map[string]string{"taxCode": "VAT"}))
	if err != nil {
		t.Fatal(err)
	}
	if o := adapters.AbilitiesOf(a).Writer.Write(ctx, []adapters.Write{w})[0]; domain.CodeOf(o.Err) != domain.Invalid || !strings.Contains(o.Err.Error(), "VAT") {
		t.Errorf("a tax code that the file does not have: %v", o.Err)
	}
}

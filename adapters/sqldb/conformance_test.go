package sqldb

import (
	"testing"

	"datum/adapters/adaptertest"
)

// standsFor are the tests that hold for a database what the conformance suite holds for a vendor that speaks HTTP. They run on a real
// Postgres beside Datum's own, and on MariaDB where it is installed. nil is what there is none of in a database.
var standsFor = map[string][]func(*testing.T){
	"abilities":                 {TestVendor, TestCheck},
	"round trip":                {TestEveryField, TestDocumentsSurvive},
	"refused values":            {TestRefused, TestFit},
	"own write recognised":      {TestEveryField, TestAltered},
	"same key makes one record": {TestSameKey},
	"partial write":             {TestPartialWrite, TestLines},
	"unknown outcome is found":  {TestLostCommit},
	"one bad element":           {TestRefused},
	"not found":                 {TestSoftDelete, TestCompositeKey},
	"resume under writes":       {TestResume, TestOutbox, TestOutboxBegin},
	"sweep":                     {TestSweep},
	"fetch many":                {TestSweep},
	"find":                      {TestFind},
	"merged":                    nil, // rows are not merged
	"error classes":             {TestErrors},
	"lost answers":              {TestLostCommit},
	"cancellation":              {TestErrors, TestLocked},
	"expired and revoked":       {TestErrors},
	"webhook":                   nil, // a database tells nobody; TestOutbox is what is nearest
	"subscriptions":             nil,
	"check":                     {TestCheck},
	"immutable":                 nil, // every row can be written
	"read only":                 {TestVendor, TestConfigure},
	"one shape":                 {TestEveryField},
	"drift":                     {TestCheck}, // a column that is gone or has another type
	"dry run":                   {TestADryRunShowsWhatIsWritten},
}

// TestConformance: no case of the suite is without a test that stands for it.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, name := range adaptertest.Cases() {
		if _, ok := standsFor[name]; !ok {
			t.Errorf("nothing stands for the case %q of the suite", name)
		}
	}
	if len(standsFor) != len(adaptertest.Cases()) {
		t.Errorf("%d cases are stood for, and the suite has %d", len(standsFor), len(adaptertest.Cases()))
	}
}

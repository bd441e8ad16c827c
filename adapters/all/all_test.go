package all_test

import (
	"testing"

	"datum/adapters"
	"datum/adapters/all"
)

// A setting that a vendor names for itself would be read as the mapping document that a person has published, and lost with it.
func TestSettingsLeaveTheMappingDocumentAlone(t *testing.T) {
	t.Parallel()
	for _, v := range all.Vendors() {
		for _, s := range v.Settings {
			if s.Name == adapters.OverlaySetting {
				t.Errorf("%s has a setting named %s", v.Name, s.Name)
			}
		}
		if !v.OwnMapping {
			continue
		}
		ms, err := v.Mappings(map[string]string{"mapping": "Customer:\n  table: customers\n  key: id\n  id: datum_id\n  fields:\n    legalName: name\n"})
		if err != nil || len(ms) != 1 {
			t.Errorf("%s: the mapping that it is connected with: %d kinds, %v", v.Name, len(ms), err)
		}
	}
}

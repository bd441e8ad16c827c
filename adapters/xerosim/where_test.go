package xerosim

import "testing"

// FuzzWhere: no expression makes the parser or the predicate fail otherwise than with an error.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{`Name=="a""b" OR (ContactID!=Guid("x") && !(IsCustomer))`, `UpdatedDateUTC<DateTime(2026,1,1)`, `Name.ToLower()==null`, `((`, `"`, `Name.`, `DateTime(`, "Name==\xff"} {
		f.Add(s)
	}
	c := emptyContact(noID)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseWhere(s)
		if err == nil && p != nil {
			p(c)
		}
	})
}

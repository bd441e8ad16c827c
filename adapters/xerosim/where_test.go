package xerosim

import "testing"

// FuzzWhere: no expression makes the parser or the predicate fail otherwise than with an error.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{`Name=="a""b" OR (ContactID!=Guid("x") && !(IsCustomer))`, `UpdatedDateUTC<DateTime(2026,1,1)`, `1.5<=2 OR 1.==Contact.Name`, `Name.ToLower()==null`, `((`, `"`, `Name.`, `DateTime(`, "Name==\xff"} {
		f.Add(s)
	}
	c := emptyContact(noID)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseWhere(s, "Contact", contactMembers)
		if err == nil && p != nil {
			p(c)
		}
	})
}

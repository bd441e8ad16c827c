package admin_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datum/domain"
	"datum/internal/admin"
)

func TestMatchCSV(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "people.csv")
	text := "id, given_name, surname, address_1, suburb, postcode, date_of_birth\n" +
		"1, kayla, harrington, maltby circuit, coolaroo, 3465, 19150612\n2, kayla, harington, maltby circuit, coolaroo, 3465, 19150612\n" +
		"3, jacob, turtur, blacket street, eureka, 2263, 19570422\n4, rosa, lombardi, yerralee road, carlsruhe, 3149, 19870919\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := admin.ParseMatch(io.Discard, []string{"--csv", file, "--id", "id"})
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if err := admin.MatchCSV(t.Context(), o, &out, &errs); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if lines[0] != "id_a,id_b,score,decision" || len(lines) != 2 || !strings.HasPrefix(lines[1], "1,2,") || !strings.HasSuffix(lines[1], ",link") {
		t.Errorf("wrote %q", lines)
	}
	if !strings.Contains(errs.String(), "surname=lastName") {
		t.Errorf("said %q", errs.String())
	}
	for args, want := range map[string]string{
		"--csv x.csv --id a --dry-run": "--dry-run",
		"--id a":                       "--csv",
		"--csv x.csv":                  "--id",
		"--csv x.csv --id a --ask 0.9": "probabilities",
		"--csv x --csv y --csv z":      "twice",
		"more":                         "more",
	} {
		if _, err := admin.ParseMatch(io.Discard, strings.Fields(args)); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if err := admin.MatchCSV(t.Context(), admin.MatchOptions{CSV: []string{filepath.Join(dir, "none")}, ID: "id"}, io.Discard, io.Discard); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a file that is not there: %v", err)
	}
}

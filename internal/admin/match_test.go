package admin_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/internal/admin"
)

// The duplicates of the database are written and asked about; a dry run only writes them.
func TestMatchDatabase(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	now, err := store.Policy(ctx, a.Pool, 0)
	must(t, err)
	_, err = a.Engine.Applier().Publish(ctx, now.Version, strings.Replace(now.Source, "match: {ask: 0.8}", "match: {}", 1), a.Around, change.Cause{Actor: "test"})
	must(t, err)
	for i, name := range []string{"Banksia Timber Pty Ltd", "Banksia Timbers", "Quoll Freight"} {
		_, err := a.Engine.Applier().Record(ctx, change.Incoming{System: "crm", Cause: change.Cause{Actor: "system:crm", Source: change.FromPoll}, Record: domain.Record{
			Kind: domain.KindCustomer, ExternalID: fmt.Sprint(i), Values: domain.Values{"legalName": domain.TextValue(name), "phone": domain.TextValue(fmt.Sprintf("+6129555010%d", i/2))}}})
		must(t, err)
	}
	run := func(args string) (string, error) {
		o, err := admin.ParseMatch(io.Discard, strings.Fields(args))
		must(t, err)
		before := len(out.String())
		err = a.Match(ctx, o)
		return out.String()[before:], err
	}
	open := func() map[string]int64 {
		n, err := store.CountCases(ctx, a.Pool)
		must(t, err)
		return n
	}
	for _, args := range []string{"--dry-run", "--per-second 5000"} {
		s, err := run(args)
		must(t, err)
		lines := strings.Split(strings.TrimSpace(s), "\n")
		if len(lines) != 2 || lines[0] != "id_a,id_b,score,decision,reasons" || !strings.Contains(lines[1], ",ask,") || !strings.Contains(lines[1], "same telephone number") {
			t.Errorf("%s wrote %q", args, lines)
		}
		if n := open()[store.CaseDuplicate]; n != map[string]int64{"--dry-run": 0}[args]+map[string]int64{"--per-second 5000": 1}[args] {
			t.Errorf("%d cases after %s", n, args)
		}
	}
	if s, err := run(""); err != nil || strings.Count(s, "\n") != 1 {
		t.Errorf("asked twice: %q, %v", s, err)
	}
	for _, args := range []string{"--kind Location", "--kind Nothing", "--per-second -3"} {
		if _, err := run(args); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", args, err)
		}
	}
	file := filepath.Join(t.TempDir(), "pairs.csv")
	must(t, a.Match(ctx, admin.MatchOptions{Kind: "Customer", Dry: true, Out: file}))
	if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "id_a,") {
		t.Errorf("the file says %q, %v", b, err)
	}
}

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

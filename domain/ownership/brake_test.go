package ownership_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"datum/domain/ownership"
)

const braked = `systems: {crm: hubspot, accounting: xero, ops: native}
brake:
  in: {count: 5, share: 12.5%}
  out: {window: 1m, new: on}
  edits: {count: 9}
  systems:
    accounting:
      in: off
      out: {count: 0, share: 5%}
Customer: {owner: crm, create: [crm]}
`

func TestBrake(t *testing.T) {
	t.Parallel()
	p, err := ownership.Parse([]byte(braked))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		system string
		way    ownership.Way
		want   ownership.Brake
	}{
		{"crm", ownership.In, ownership.Brake{Count: 5, Share: 0.125, Window: 15 * time.Minute}},
		{"crm", ownership.Gone, ownership.Default().Brake("crm", ownership.Gone)},
		{"crm", ownership.Out, ownership.Brake{Count: 20, Share: 0.2, Window: time.Minute, New: true}},
		{"crm", ownership.Edits, ownership.Brake{Count: 9, Share: 0.3, Window: 15 * time.Minute}},
		{"accounting", ownership.In, ownership.Brake{Off: true, Count: 5, Share: 0.125, Window: 15 * time.Minute}},
		{"accounting", ownership.Out, ownership.Brake{Count: 0, Share: 0.05, Window: time.Minute, New: true}},
	} {
		if got := p.Brake(c.system, c.way); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.system, c.way, got, c.want)
		}
	}
	if b := (ownership.Brake{Count: 20, Share: 0.1}); b.Limit(50) != 20 || b.Limit(1000) != 100 {
		t.Errorf("limits %d, %d", b.Limit(50), b.Limit(1000))
	}
	again, err := ownership.Parse([]byte(p.String()))
	if err != nil || len(ownership.DiffPolicies(p, again)) > 0 || p.String() != again.String() {
		t.Errorf("read back: %v, %s", err, p)
	}
	other, err := ownership.Parse([]byte(strings.Replace(braked, "in: off", "in: {count: 7}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if d := ownership.DiffPolicies(p, other); len(d) != 1 || d[0] != "brake.accounting.in" {
		t.Errorf("differ in %v", d)
	}
	_, err = ownership.Parse([]byte(`systems: {crm: hubspot}
brake:
  in: {count: many, share: 10, window: 1ms, new: perhaps, colour: red}
  sideways: off
  out: [1]
  systems:
    shop: {in: off}
    crm: {up: off}
Customer: {owner: crm, create: [crm]}
`))
	var ps ownership.Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	want := []string{`line 3: count of in of brake is "many"`, `line 3: share of in of brake is "10"; it should be a part`, `line 3: window of in of brake is "1ms"`,
		`line 3: new of in of brake is "perhaps"`, `line 3: in of brake has no "colour"`, `line 4: brake has no "sideways"; it has in, gone, out, edits and systems`,
		`line 5: out of brake should be a mapping`, `line 7: systems of brake: there is no system "shop"`, `line 8: brake of crm has no "up"`}
	if len(ps) != len(want) {
		t.Fatalf("%d problems: %s", len(ps), ps)
	}
	for i, w := range want {
		if !strings.HasPrefix(ps[i].String(), w) {
			t.Errorf("problem %d is %q, want %q", i, ps[i], w)
		}
	}
}

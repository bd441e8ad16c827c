package match_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"datum/domain/match"
)

// quality is what a scan of a labelled set is worth.
type quality struct {
	truth, linked, right  int
	asked, askedRight     int
	precision, recall, f1 float64
}

func person0(id string) string { return strings.Join(strings.Split(id, "-")[:2], "-") }

func measure(t match.Table, pairs []match.Pair) quality {
	var q quality
	size := map[string][2]int{}
	for r, id := range t.IDs {
		k := person0(id)
		n := size[k]
		if t.Split > 0 && r >= t.Split {
			n[1]++
		} else {
			n[0]++
		}
		size[k] = n
	}
	for _, n := range size {
		if t.Split > 0 {
			q.truth += n[0] * n[1]
		} else {
			q.truth += n[0] * (n[0] - 1) / 2
		}
	}
	for _, p := range pairs {
		ok := person0(t.IDs[p.A]) == person0(t.IDs[p.B])
		switch {
		case p.Decision == match.Link:
			q.linked++
			if ok {
				q.right++
			}
		case ok:
			q.askedRight++
			q.asked++
		default:
			q.asked++
		}
	}
	q.precision, q.recall = float64(q.right)/float64(max(q.linked, 1)), float64(q.right)/float64(max(q.truth, 1))
	q.f1 = 2 * q.precision * q.recall / (q.precision + q.recall)
	return q
}

func (q quality) String() string {
	return fmt.Sprintf("precision %.4f recall %.4f F1 %.4f (%d true, %d linked, %d right; asked %d, %d of them right)", q.precision, q.recall, q.f1,
		q.truth, q.linked, q.right, q.asked, q.askedRight)
}

func read(tb testing.TB, mapping, one, two string) match.Table {
	tb.Helper()
	m, err := match.ParseMapping(mapping)
	if err != nil {
		tb.Fatal(err)
	}
	files := []match.Source{{Name: "one.csv", Reader: strings.NewReader(one)}}
	if two != "" {
		files = append(files, match.Source{Name: "two.csv", Reader: strings.NewReader(two)})
	}
	t, err := match.ReadTable("rec_id", m, files...)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

const withoutIDs = "given_name=firstName,surname=lastName,street_number=text,address_1=street,address_2=street,suburb=suburb,postcode=postcode,state=state"

// corpora are of the kinds that a scan must do well on: records, duplicates, at most so many of one, errors in a value, in a record.
var corpora = []struct {
	name string
	make func(seed uint64) *corpus // of 2,000 records
	want float64                   // F1 with all columns
}{
	{"one duplicate each", func(seed uint64) *corpus { return newCorpus(seed, 1000, 1000, 1, 2, 4) }, 0.998},
	{"up to five each, badly damaged", func(seed uint64) *corpus { return newCorpus(seed, 800, 1200, 5, 3, 10) }, 0.995},
	{"few duplicates", func(seed uint64) *corpus { return newCorpus(seed, 1900, 100, 2, 2, 6) }, 0.99},
	{"two files", func(seed uint64) *corpus { c := newCorpus(seed, 1000, 1000, 1, 3, 10); c.plain = true; return c }, 0.995},
	{"households and true postcodes", func(seed uint64) *corpus { c := newCorpus(seed, 1200, 800, 2, 2, 5); c.real = true; return c }, 0.975},
}

func TestScanFindsDuplicates(t *testing.T) {
	t.Parallel()
	for i, c := range corpora {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one, two := c.make(uint64(40 + i)).write()
			tab := read(t, "", one, two)
			if q := measure(tab, match.Scan(tab, match.DefaultThresholds)); q.f1 < c.want {
				t.Errorf("all columns: %v", q)
			}
			tab = read(t, withoutIDs, one, two)
			q := measure(tab, match.Scan(tab, match.DefaultThresholds))
			if q.f1 < 0.985 && (q.precision < 0.975 || !strings.HasPrefix(c.name, "households")) { // who has nothing of their own is asked about
				t.Errorf("without date of birth and number: %v", q)
			}
			t.Log("without date of birth and number:", q)
		})
	}
}

// One identifier is enough where it names a record: in two files, and in one. A number that many share is not.
func TestOneIdentifierIsEnough(t *testing.T) {
	t.Parallel()
	table := func(from, to int, number func(i int) string) string {
		var b strings.Builder
		b.WriteString("rec_id,member\n")
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "rec-%d-%d,%s\n", i, from, number(i))
		}
		return b.String()
	}
	member := func(i int) string { return fmt.Sprintf("M%07d", (i*7919+13)%9_999_991) }
	category := func(i int) string { return fmt.Sprintf("C%04d", i%150) }
	withGaps := func(i int) string {
		if i%3 == 0 {
			return ""
		}
		return member(i)
	}
	one := table(0, 1000, member)
	two := table(500, 1500, member)
	_, more, _ := strings.Cut(two, "\n")
	for name, c := range map[string]struct {
		one, two     string
		linked, true int
	}{
		"two files":            {one, two, 500, 500},
		"few in common":        {one, table(990, 1990, member), 10, 10},
		"one file":             {one + more, "", 500, 500},
		"not all have it":      {table(0, 1000, withGaps), table(500, 1500, withGaps), 333, 500},
		"none in common":       {one, table(1000, 2000, member), 0, 0},
		"many share it":        {table(0, 1000, category), table(500, 1500, category), 0, 500},
		"many share it, alone": {table(0, 1000, category), "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tab := read(t, "member=identifier", c.one, c.two)
			if q := measure(tab, match.Scan(tab, match.DefaultThresholds)); q.linked != c.linked || q.right != c.linked || q.truth != c.true {
				t.Errorf("%v; want %d of %d linked", q, c.linked, c.true)
			}
		})
	}
}

// shared returns a file of the folder "shared" that lies beside the repository, "" if there is none.
func shared(name string) string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, "shared", "data", name)); err == nil {
			return string(b)
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// BenchmarkFebrl says how good a scan is: on Febrl's first data set, which lies beside the repository where it is developed, and on
// generated sets of its kinds.
func BenchmarkFebrl(b *testing.B) {
	run := func(b *testing.B, mapping, one, two string) {
		var q quality
		tab := read(b, mapping, one, two)
		for b.Loop() {
			q = measure(tab, match.Scan(tab, match.DefaultThresholds))
		}
		b.ReportMetric(q.precision, "precision")
		b.ReportMetric(q.recall, "recall")
		b.ReportMetric(q.f1, "F1")
		b.ReportMetric(float64(q.asked), "asked")
	}
	both := func(b *testing.B, one, two string) {
		b.Run("all columns", func(b *testing.B) { run(b, "", one, two) })
		b.Run("without date_of_birth and soc_sec_id", func(b *testing.B) { run(b, withoutIDs, one, two) })
	}
	b.Run("febrl_dataset1", func(b *testing.B) {
		set := shared("febrl_dataset1.csv")
		if set == "" {
			b.Skip("no shared/data/febrl_dataset1.csv beside the repository")
		}
		both(b, set, "")
	})
	for _, c := range corpora {
		b.Run(c.name, func(b *testing.B) {
			one, two := c.make(1).write()
			both(b, one, two)
		})
	}
}

// BenchmarkScanScale shows that ten times the records take about ten times the time.
func BenchmarkScanScale(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			one, _ := newCorpus(7, n*6/10, n*4/10, 4, 2, 6).write()
			tab := read(b, "", one, "")
			for b.Loop() {
				match.Scan(tab, match.DefaultThresholds)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/record")
		})
	}
}

// The outcome is the same whatever order the rows come in, and every time.
func TestScanDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	one, _ := newCorpus(3, 300, 200, 3, 2, 5).write()
	lines := strings.SplitAfter(strings.TrimSpace(one)+"\n", "\n")
	found := func(text string) []string {
		tab := read(t, "", text, "")
		var out []string
		for _, p := range match.Scan(tab, match.DefaultThresholds) {
			a, b := tab.IDs[p.A], tab.IDs[p.B]
			out = append(out, min(a, b)+" "+max(a, b)+" "+string(p.Decision))
		}
		slices.Sort(out)
		return out
	}
	want := found(one)
	if len(want) == 0 || !slices.Equal(found(one), want) {
		t.Error("twice the same is not the same")
	}
	for range 3 {
		rand.Shuffle(len(lines)-2, func(i, j int) { lines[i+1], lines[j+1] = lines[j+1], lines[i+1] })
		if got := found(strings.Join(lines, "")); !slices.Equal(got, want) {
			t.Errorf("in another order %d pairs, not %d", len(got), len(want))
		}
	}
}

func TestScanOfNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"rec_id,a\n", "rec_id,a\n1,x\n", "rec_id,a,b\n1,,\n2,,\n", "rec_id,a\n1,x\n2,y\n3,z\n"} {
		tab := read(t, "a=text", text, "")
		for _, p := range match.Scan(tab, match.DefaultThresholds) {
			if p.Decision == match.Link {
				t.Errorf("%q links %v", text, p)
			}
		}
	}
}

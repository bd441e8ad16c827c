package match

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"datum/domain"
)

// Decision is what becomes of two records that were compared.
type Decision string

// Decisions.
const (
	Link Decision = "link" // they are one
	Ask  Decision = "ask"  // a person decides
	New  Decision = "new"  // they are two
)

// Thresholds are the probabilities from which two records are linked and from which a person is asked.
type Thresholds struct {
	Link float64
	Ask  float64
}

// DefaultThresholds weigh a wrong link and a missed one alike.
var DefaultThresholds = Thresholds{Link: 0.5, Ask: 0.05}

// Pair is two records that may be one. A comes before B in the table.
type Pair struct {
	A, B     int // rows
	Score    float64
	Decision Decision
	Reasons  []string // in words
}

// level says how far two values agree.
type level = uint8

const (
	same    level = iota
	near          // a slip of the pen
	close_        // two slips, or one in a short value
	related       // something in common
	differ
	missing // one of them says nothing: no evidence
	levels  = int(differ) + 1
)

// sort is a way of comparing values.
type sort uint8

const (
	words sort = iota // names and text
	digits
	dates
	idents
	abns
)

// value is a distinct value of any column, normalised.
type value struct {
	text  string
	flat  []rune // without spaces
	mask  uint64 // its characters: two bits differ for each edit at most
	sound uint64 // hashes, 0 for nothing
	head  uint64 // its first word, if that is longer than 3
	tail  uint64 // its other words, if they are longer than 3
	words bool   // it has letters
	many  bool   // it has several words
	nums  uint64 // its numbers, where it has letters too
	abn   bool   // it passes the check sum of an ABN
}

// maxColumns is how many columns are compared at most; ReadTable refuses more.
const maxColumns = 64

type column struct {
	Column
	sort   sort
	swaps  bool    // its value may stand in another column that swaps
	counts []int32 // by value
	n      int     // rows with a value
	agree  float64 // chance that two different records have one value
}

type scan struct {
	t    Table
	cols []column
	vals []value
	ids  []int32 // row × column: value, -1 for none
	m, u [][levels]float64
	// of is what the chance agreement of a column depends on: a postcode on the suburb, a state on the postcode; -1 for nothing.
	// where is u for pairs that agree about that.
	of               []int
	where            [][levels]float64
	names            []int             // columns whose values name a record, by themselves
	ms, us           float64           // chance that a match, and that another pair, is swapped
	prior            float64           // log2 odds that two rows are one
	families         bool              // many apparent matches have another first name
	weights, depends [][levels]float64 // log2(m/u) and log2(m/where), by column and level
}

func newScan(t Table) *scan {
	s := &scan{t: t}
	n := len(t.Rows)
	index := map[string]int32{}
	s.ids = make([]int32, n*len(t.Columns))
	for c, col := range t.Columns {
		k := column{Column: col, sort: words}
		normal := Text
		switch col.Field {
		case LegalName, TradingName:
			normal = Company
		case ABN:
			normal, k.sort = Identifier, abns
		case EmailField:
			normal = Email
		case PhoneField:
			normal, k.sort = Phone, idents
		case StreetField:
			normal = Street
		case SuburbField:
			normal = Suburb
		case PostField:
			normal, k.sort = Postcode, digits
		case StateField:
			normal = State
		case IDField:
			normal, k.sort = Identifier, idents
		case DateField:
			normal, k.sort = Date, dates
		}
		numeric := 0
		raw := map[string]int32{}
		for r := range n {
			text := t.Rows[r][c]
			id, ok := raw[text]
			if !ok {
				v := normal(text)
				if v == "" {
					id = -1
				} else if id, ok = index[v]; !ok {
					id = int32(len(s.vals))
					index[v] = id
					x := newValue(v)
					_, x.abn = domain.ParseABN(v)
					s.vals = append(s.vals, x)
				}
				raw[text] = id
			}
			s.ids[r*len(t.Columns)+c] = id
			if id >= 0 {
				k.n++
				if !s.vals[id].words {
					numeric++
				}
			}
		}
		if k.sort == words && numeric*10 > k.n*9 {
			k.sort = digits
		}
		k.swaps = k.sort == words && col.Field != StateField && col.Field != EmailField
		s.cols = append(s.cols, k)
		s.of = append(s.of, -1)
	}
	for c, k := range s.cols {
		on := func(f Field) int { return slices.IndexFunc(s.cols, func(k column) bool { return k.Field == f }) }
		switch k.Field {
		case PostField:
			s.of[c] = on(SuburbField)
		case StateField:
			s.of[c] = on(PostField)
			if s.of[c] < 0 {
				s.of[c] = on(SuburbField)
			}
		}
	}
	for c := range s.cols {
		k := &s.cols[c]
		k.counts = make([]int32, len(s.vals))
		for r := range n {
			if id := s.id(r, c); id >= 0 {
				k.counts[id]++
			}
		}
		for _, x := range k.counts {
			k.agree += float64(x) * float64(x-1)
		}
		if k.n > 1 {
			k.agree /= float64(k.n) * float64(k.n-1)
		}
		k.agree = max(k.agree, 0.5/float64(n+1))
	}
	return s
}

func newValue(text string) value {
	v := value{text: text}
	var nums []rune
	for _, r := range text {
		if r >= '0' && r <= '9' || r == '/' {
			nums = append(nums, r)
		} else if r != ' ' {
			v.words = true
		} else if len(nums) > 0 && nums[len(nums)-1] != ' ' {
			nums = append(nums, ' ')
		}
		if r != ' ' {
			v.flat = append(v.flat, r)
			v.mask |= 1 << (uint32(r) & 63)
		}
	}
	if !v.words {
		return v
	}
	v.nums = hash(1, nums)
	v.sound = sound(v.flat)
	head, tail, many := strings.Cut(text, " ")
	v.many = many
	if len(head) > 3 {
		v.head = hashText(2, head)
	}
	if len(tail) > 3 {
		v.tail = hashText(2, tail)
	}
	return v
}

// apart reports whether more than most edits lie between two values, for sure; it misses many.
func (v *value) apart(x *value, most int) bool {
	return bits.OnesCount64(v.mask^x.mask) > 2*most || max(len(v.flat), len(x.flat))-min(len(v.flat), len(x.flat)) > most
}

// edits counts the edits between two values; above most it returns most+1.
func (v *value) edits(x *value, most int) int {
	if v.apart(x, most) {
		return most + 1
	}
	return edits(v.flat, x.flat, most)
}

func (s *scan) id(row, col int) int32 { return s.ids[row*len(s.cols)+col] }

// compare says how far two values agree in the way of sort.
func (s *scan) compare(k sort, a, b int32) level {
	if a < 0 || b < 0 {
		return missing
	}
	if a == b {
		return same
	}
	x, y := &s.vals[a], &s.vals[b]
	switch k {
	case digits:
		switch x.edits(y, 1) {
		case 1:
			if len(x.flat) == len(y.flat) && len(x.flat) > 1 {
				return near
			}
			return close_
		}
		return differ
	case abns, idents:
		switch d := x.edits(y, 3); {
		case d == 1:
			return near
		case d == 2:
			return close_
		case d == 3 && len(x.flat) > 8:
			return related
		}
		return differ
	case dates:
		return compareDates(x, y)
	}
	return compareWords(x, y)
}

func compareWords(x, y *value) level {
	shorter := min(len(x.flat), len(y.flat))
	longer := max(len(x.flat), len(y.flat))
	most := 1 + longer/4
	d := x.edits(y, most)
	var l level
	switch {
	case d == 0 || d == 1 && shorter > 2:
		l = near
	case d == 2 && longer > 4 || d == 3 && longer > 9:
		l = close_
	case d <= most && shorter > 2:
		l = related
	case x.sound == y.sound && x.sound != 0:
		l = related
	case shorter == 1 && x.flat[0] == y.flat[0]:
		l = related // an initial
	case x.head == y.head && x.head != 0 && (x.many || y.many), x.tail != 0 && (x.tail == y.tail || x.tail == y.head), y.tail != 0 && y.tail == x.head:
		l = related // a word in common
	default:
		return differ
	}
	if x.nums != y.nums && l < related && d > 0 {
		return related // 12 Smith St and 14 Smith St
	}
	return l
}

func compareDates(a, b *value) level {
	x, y := a.text, b.text
	d := a.edits(b, 2)
	if d == 1 {
		return near
	}
	if len(x) != 8 || len(y) != 8 {
		if d == 2 {
			return close_
		}
		return differ
	}
	yx, mx, dx := x[:4], x[4:6], x[6:]
	yy, my, dy := y[:4], y[4:6], y[6:]
	switch {
	case yx == yy && mx == dy && dx == my:
		return near
	case d == 2, mx == my && dx == dy:
		return close_
	case yx == yy && (mx == my || dx == dy):
		return related
	}
	return differ
}

// vector compares two rows: a level for each column, whether two columns of theirs are swapped, and how much more or less
// the agreements say because of how frequent their values are (log2).
func (s *scan) vector(a, b int, out []level) (swapped bool, rarity float64) {
	n := len(s.cols)
	ra, rb := s.ids[a*n:a*n+n], s.ids[b*n:b*n+n]
	var partner [maxColumns]uint8 // the column of b that column c of a is compared with
	for c := range s.cols {
		out[c], partner[c] = s.compare(s.cols[c].sort, ra[c], rb[c]), uint8(c)
	}
	for c := range s.cols {
		for d := c + 1; d < n && s.cols[c].swaps && out[c] > close_ && partner[c] == uint8(c); d++ {
			if !s.cols[d].swaps || out[d] <= close_ || partner[d] != uint8(d) {
				continue
			}
			x, y := s.compare(words, ra[c], rb[d]), s.compare(words, ra[d], rb[c])
			if min(x, y) <= close_ && gain(x, y) > gain(out[c], out[d]) {
				out[c], out[d], partner[c], partner[d], swapped = x, y, uint8(d), uint8(c), true
			}
		}
	}
	for c := range s.cols {
		d := int(partner[c])
		if on := s.of[c]; on >= 0 && out[on] == same {
			continue // how frequent its value is says nothing more
		}
		rarity += s.rare(c, d, out[c], ra[c], rb[d])
	}
	return swapped, rarity
}

var gains = [...]int{4, 4, 3, 1, 0, 0}

func gain(x, y level) int { return gains[x] + gains[y] }

// rare says by how much (log2) the agreement of values a in column c and b in column d says more than the average one.
func (s *scan) rare(c, d int, l level, a, b int32) float64 {
	if l > close_ || s.cols[c].sort != words && s.cols[c].sort != digits {
		return 0
	}
	x, y := &s.cols[c], &s.cols[d]
	f := max((float64(x.counts[a])-1)/float64(x.n), (float64(y.counts[b])-1)/float64(y.n), 0.5/float64(x.n))
	w := math.Log2(x.agree / f)
	if l != same {
		w /= 2
	}
	return w
}

// pairs is a set of compared pairs.
type pairs struct {
	of      []uint64 // row a << 32 | row b, a < b
	levels  []level
	swapped []bool
	rarity  []float32
	rules   []rule
}

func rows(p uint64) (a, b int) { return int(p >> 32), int(uint32(p)) }

// vectors compares all pairs, on all processors, with the same outcome on any number of them.
func (s *scan) vectors(of []uint64) *pairs {
	p := &pairs{of: of, levels: make([]level, len(of)*len(s.cols)), swapped: make([]bool, len(of)), rarity: make([]float32, len(of)),
		rules: make([]rule, len(of))}
	var g errgroup.Group
	const chunk = 1 << 14
	for from := 0; from < len(of); from += chunk {
		g.Go(func() error {
			for i := from; i < min(from+chunk, len(of)); i++ {
				a, b := rows(of[i])
				v := p.levels[i*len(s.cols) : (i+1)*len(s.cols)]
				sw, r := s.vector(a, b, v)
				p.swapped[i], p.rarity[i], p.rules[i] = sw, float32(r), s.rule(a, b, v)
			}
			return nil
		})
	}
	_ = g.Wait()
	return p
}

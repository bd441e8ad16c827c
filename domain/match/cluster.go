package match

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Scan finds the pairs of a table that are one or may be, by score. Records that are one with the same third record are one
// with each other, unless their own evidence speaks against it.
func Scan(t Table, th Thresholds) []Pair {
	if len(t.Rows) < 2 || len(t.Columns) == 0 {
		return nil
	}
	s := newScan(t)
	p := s.learn(s.candidates())
	return s.decide(p, th)
}

// decide joins the likeliest pairs first.
func (s *scan) decide(p *pairs, th Thresholds) []Pair {
	order := make([]int, len(p.of))
	odds := make([]float64, len(p.of))
	for i := range order {
		order[i], odds[i] = i, s.logOdds(p, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(odds[b], odds[a]); c != 0 {
			return c
		}
		return cmp.Compare(p.of[a], p.of[b])
	})
	known := make(map[uint64]judged, len(p.of))
	for i, x := range p.of {
		known[x] = judged{odds[i], p.rules[i]}
	}
	of := make([]int32, len(s.t.Rows)) // the cluster of a row
	members := make([][]int32, len(s.t.Rows))
	for r := range of {
		of[r], members[r] = int32(r), []int32{int32(r)}
	}
	link, ask := logit(th.Link), logit(th.Ask)
	var out []Pair
	for _, i := range order {
		if odds[i] < ask {
			break
		}
		a, b := rows(p.of[i])
		x, y := of[a], of[b]
		if x == y {
			continue
		}
		if odds[i] >= link && !s.binds(p.rules[i]) && s.agree(members[x], members[y], known, link) {
			if len(members[x]) < len(members[y]) {
				x, y = y, x
			}
			for _, r := range members[y] {
				of[r] = x
			}
			members[x] = append(members[x], members[y]...)
			members[y] = nil
			continue
		}
		out = append(out, Pair{A: a, B: b, Score: probability(odds[i]), Decision: Ask})
	}
	out = slices.DeleteFunc(out, func(p Pair) bool { return of[p.A] == of[p.B] })
	for _, m := range members {
		slices.Sort(m)
		for i, a := range m {
			for _, b := range m[i+1:] {
				if s.across(a, b) {
					out = append(out, Pair{A: int(a), B: int(b), Score: probability(s.judge(a, b, known).odds), Decision: Link})
				}
			}
		}
	}
	for i := range out {
		out[i].Reasons = s.reasons(out[i].A, out[i].B)
	}
	slices.SortFunc(out, func(x, y Pair) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	return out
}

func (s *scan) across(a, b int32) bool {
	return s.t.Split == 0 || (int(a) < s.t.Split) != (int(b) < s.t.Split)
}

// largestCluster bounds the work for a value that everything shares.
const largestCluster = 50

// agree reports whether two clusters may become one: their pairs speak for it on average.
func (s *scan) agree(x, y []int32, known map[uint64]judged, link float64) bool {
	if len(x)+len(y) > largestCluster {
		return false
	}
	sum, n := 0.0, 0.0
	for _, a := range x {
		for _, b := range y {
			j := s.judge(a, b, known)
			if s.binds(j.rule) {
				return false
			}
			sum += min(max(j.odds, -40), 40)
			n++
		}
	}
	return sum/n >= link
}

// judged is what is known about two rows.
type judged struct {
	odds float64
	rule rule
}

// judge compares any two rows.
func (s *scan) judge(a, b int32, known map[uint64]judged) judged {
	key := uint64(min(a, b))<<32 | uint64(max(a, b))
	j, ok := known[key]
	if !ok {
		p := s.vectors([]uint64{key})
		j = judged{s.logOdds(p, 0), p.rules[0]}
		known[key] = j
	}
	return j
}

func logit(p float64) float64 { return math.Log2(p / (1 - p)) }

var levelWords = [...]string{same: "the same", near: "almost the same", close_: "alike", related: "something in common", differ: "different"}

// reasons say in words what speaks for and against two rows being one, a rule first.
func (s *scan) reasons(a, b int) []string {
	v := make([]level, len(s.cols))
	swapped, _ := s.vector(a, b, v)
	var out []string
	if r := s.rule(a, b, v); s.binds(r) {
		out = append(out, ruleReasons[r])
	}
	if swapped {
		out = append(out, "values in each other's column")
	}
	for l, word := range levelWords {
		var names []string
		for c := range s.cols {
			if v[c] == level(l) {
				names = append(names, s.cols[c].Name)
			}
		}
		if len(names) > 0 {
			out = append(out, word+": "+strings.Join(names, ", "))
		}
	}
	return out
}

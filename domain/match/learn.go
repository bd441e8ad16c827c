package match

import (
	"math"
	"slices"
)

// The weights follow Fellegi and Sunter: log2 of how much more often two records of one thing agree in this way than two
// chance records do. Both are learnt from the table itself, without examples: chance agreement from random pairs, the
// agreement of matches by expectation maximisation over the candidates. A guess to begin with counts as some matches more, so that
// a table with few matches is not fitted to noise.

const (
	rounds   = 20
	randoms  = 200_000 // random pairs
	believed = 10.0    // how many matches the first guess counts for
)

// firstGuess is how often matches agree in which way, by sort of column.
var firstGuess = map[sort][levels]float64{
	words:  {0.72, 0.12, 0.05, 0.03, 0.08},
	digits: {0.84, 0.06, 0.02, 0.01, 0.07},
	dates:  {0.90, 0.03, 0.01, 0.01, 0.05},
	idents: {0.90, 0.03, 0.01, 0.01, 0.05},
	abns:   {0.95, 0.02, 0.01, 0.01, 0.01},
}

// learn sets m, u and the prior from the table.
func (s *scan) learn(found []uint64) *pairs {
	n := len(s.t.Rows)
	random := s.vectors(s.random())
	s.m, s.u = make([][levels]float64, len(s.cols)), make([][levels]float64, len(s.cols))
	for c := range s.cols {
		s.m[c] = firstGuess[s.cols[c].sort]
	}
	s.ms, s.us = 0.05, 0.001
	s.names = s.naming()
	s.countChance(random)
	total := float64(n) * float64(n-1) / 2
	if s.t.Split > 0 {
		total = float64(s.t.Split) * float64(n-s.t.Split)
	}
	s.setPrior(0.1*float64(n), total)
	s.weigh()
	all := s.vectors(found)
	// Pairs far below any doubt are no matches under any weights that could be learnt.
	likely := s.filter(all, -20)
	for range rounds {
		var matches, swapped float64
		m := make([][levels]float64, len(s.cols))
		for i := range likely.of {
			p := probability(s.logOdds(likely, i))
			if p < 1e-6 {
				continue
			}
			matches += p
			if likely.swapped[i] {
				swapped += p
			}
			for c, l := range likely.levels[i*len(s.cols) : (i+1)*len(s.cols)] {
				if l < missing {
					m[c][l] += p
				}
			}
		}
		for c := range m {
			guess := firstGuess[s.cols[c].sort]
			sum := believed
			for _, x := range m[c] {
				sum += x
			}
			if s.cols[c].Field == FirstName {
				s.families = m[c][differ] > manyRelatives*sum
			}
			for l := range m[c] {
				s.m[c][l] = max((m[c][l]+believed*guess[l])/sum, 1e-4)
			}
		}
		s.ms = (swapped + 0.5) / (matches + believed)
		s.countChance(random)
		s.setPrior(matches, total)
		s.weigh()
	}
	return s.filter(likely, -14)
}

func (s *scan) setPrior(matches, total float64) {
	p := min(max(matches, 1)/max(total, 2), 0.5)
	s.prior = math.Log2(p / (1 - p))
}

// countChance learns u from random pairs, as far as they are no matches.
func (s *scan) countChance(random *pairs) {
	u, where := make([][levels]float64, len(s.cols)), make([][levels]float64, len(s.cols))
	s.where = make([][levels]float64, len(s.cols))
	swapped, all := 0.5, 1.0
	for i := range random.of {
		q := 1.0
		if s.weights != nil {
			if odds := s.logOdds(random, i); odds > -10 {
				q = 1 - probability(odds)
			}
		}
		all += q
		if random.swapped[i] {
			swapped += q
		}
		v := random.levels[i*len(s.cols) : (i+1)*len(s.cols)]
		for c, l := range v {
			if l < missing {
				if l == same && slices.Contains(s.names, c) {
					continue // a value that names a record is shared by no chance
				}
				u[c][l] += q
				if on := s.of[c]; on >= 0 && v[on] == same {
					where[c][l] += q
				}
			}
		}
	}
	s.us = swapped / all
	for c := range u {
		sum := 0.0
		for _, x := range u[c] {
			sum += x
		}
		for l := range u[c] {
			s.u[c][l] = (u[c][l] + 0.2) / (sum + 1)
		}
		sum = believed
		for _, x := range where[c] {
			sum += x
		}
		for l := range where[c] {
			s.where[c][l] = (where[c][l] + believed*s.u[c][l]) / sum
		}
	}
}

// naming returns the identifiers that few rows share: within each of two files nearly none, in one file no more than two on average.
// Two rows that share such a value are counted as no chance: in a table with little else to compare they could not be told from
// matches by counting.
func (s *scan) naming() (cols []int) {
	for c, k := range s.cols {
		if k.Field != IDField && k.Field != ABN {
			continue
		}
		distinct := [2]map[int32]bool{{}, {}}
		rows := [2]int{}
		for r := range s.t.Rows {
			f := 0
			if s.t.Split > 0 && r >= s.t.Split {
				f = 1
			}
			if id := s.id(r, c); id >= 0 {
				distinct[f][id] = true
				rows[f]++
			}
		}
		few := 2*len(distinct[0]) >= rows[0]
		if s.t.Split > 0 {
			few = 20*len(distinct[0]) >= 19*rows[0] && 20*len(distinct[1]) >= 19*rows[1]
		}
		if few {
			cols = append(cols, c)
		}
	}
	return cols
}

func (s *scan) weigh() {
	s.weights, s.depends = make([][levels]float64, len(s.cols)), make([][levels]float64, len(s.cols))
	for c := range s.cols {
		for l := range levels {
			s.weights[c][l] = math.Log2(s.m[c][l] / s.u[c][l])
			s.depends[c][l] = math.Log2(s.m[c][l] / s.where[c][l])
			if l > 0 { // agreeing less never says more
				s.weights[c][l] = min(s.weights[c][l], s.weights[c][l-1])
				s.depends[c][l] = min(s.depends[c][l], s.depends[c][l-1])
			}
		}
	}
}

// logOdds is log2 of the odds that pair i is a match.
func (s *scan) logOdds(p *pairs, i int) float64 {
	if p.rules[i] == differentABN {
		return never
	}
	w := s.prior + float64(p.rarity[i])
	v := p.levels[i*len(s.cols) : (i+1)*len(s.cols)]
	for c, l := range v {
		switch {
		case l >= missing:
		case s.of[c] >= 0 && v[s.of[c]] == same:
			w += s.depends[c][l]
		default:
			w += s.weights[c][l]
		}
	}
	if p.swapped[i] {
		return w + math.Log2(s.ms/s.us)
	}
	return w + math.Log2((1-s.ms)/(1-s.us))
}

func probability(logOdds float64) float64 {
	if logOdds < -60 {
		return 0
	}
	return 1 / (1 + math.Exp2(-logOdds))
}

// filter returns the pairs whose log odds are at least floor.
func (s *scan) filter(p *pairs, floor float64) *pairs {
	q := &pairs{}
	for i := range p.of {
		if s.logOdds(p, i) >= floor {
			q.of = append(q.of, p.of[i])
			q.levels = append(q.levels, p.levels[i*len(s.cols):(i+1)*len(s.cols)]...)
			q.swapped = append(q.swapped, p.swapped[i])
			q.rarity = append(q.rarity, p.rarity[i])
			q.rules = append(q.rules, p.rules[i])
		}
	}
	return q
}

// random returns pairs of rows picked without regard to what they say, the same ones every time.
func (s *scan) random() []uint64 {
	n := uint64(len(s.t.Rows))
	if n < 2 {
		return nil
	}
	of := make([]uint64, 0, randoms)
	for x := uint64(1); len(of) < min(randoms, int(n*(n-1)/2)); x++ {
		a, b := mix(2*x)%n, mix(2*x+1)%n
		if split := uint64(s.t.Split); split > 0 {
			a, b = a%split, split+b%(n-split)
		} else if a == b {
			continue
		}
		of = append(of, min(a, b)<<32|max(a, b))
	}
	return of
}

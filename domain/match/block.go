package match

import (
	"cmp"
	"slices"
)

// Blocking finds the pairs that are worth comparing. Each pass gives every row some keys and compares rows that share one. A
// key is what a row says in two places (its surname as it sounds and its date of birth, …), so that a pair is found unless
// nearly everything about it differs. Blocks are bounded: of a large one only neighbours in a fixed order are compared, so
// that the work for each row is the same however many rows there are.
const (
	wholeBlock = 8  // rows of which all pairs are compared
	neighbours = 3  // in larger blocks, how many of the following rows each is compared with
	largest    = 64 // blocks above this are no evidence at all
)

// atom is one thing that a row says, as a hash; 0 for nothing.
type atom struct {
	hash uint64
	col  uint8
}

// candidates returns the distinct pairs to compare, in order.
func (s *scan) candidates() []uint64 {
	groups := s.groups()
	n := len(s.t.Rows)
	rank := s.ranks()
	var found []uint64
	type keyed struct {
		key uint64
		row int32
	}
	perRow := make([][][]atom, len(groups))
	for g, group := range groups {
		perRow[g] = make([][]atom, n)
		for r := range n {
			perRow[g][r] = s.atoms(r, group)
		}
	}
	keys := make([]keyed, 0, 8*n)
	pass := func(g, h int) {
		keys = keys[:0]
		for r := range n {
			for i, x := range perRow[g][r] {
				others := perRow[h][r]
				if g == h {
					keys = append(keys, keyed{x.hash, int32(r)}) // alone
					others = others[i+1:]
				}
				for _, y := range others {
					if x.col != y.col {
						keys = append(keys, keyed{mix(x.hash + y.hash), int32(r)})
					}
				}
			}
		}
		slices.SortFunc(keys, func(a, b keyed) int {
			if c := cmp.Compare(a.key, b.key); c != 0 {
				return c
			}
			return cmp.Compare(rank[a.row], rank[b.row])
		})
		for i := 0; i < len(keys); {
			j := i + 1
			for j < len(keys) && keys[j].key == keys[i].key {
				j++
			}
			block := keys[i:j]
			i = j
			if len(block) > largest {
				continue
			}
			reach := len(block)
			if len(block) > wholeBlock {
				reach = neighbours
			}
			for x := range block {
				for y := x + 1; y < len(block) && y <= x+reach; y++ {
					a, b := block[x].row, block[y].row
					if a > b {
						a, b = b, a
					}
					if a != b && (s.t.Split == 0 || int(a) < s.t.Split && int(b) >= s.t.Split) {
						found = append(found, uint64(a)<<32|uint64(b))
					}
				}
			}
		}
	}
	for g := range groups {
		for h := g; h < len(groups); h++ {
			pass(g, h)
		}
		slices.Sort(found)
		found = slices.Compact(found)
	}
	return found
}

// groups are the columns by what may stand in whose place.
func (s *scan) groups() [][]int {
	var groups [][]int
	place := map[string]int{}
	for c, k := range s.cols {
		name := "column " + k.Name
		switch k.Field {
		case FirstName, LastName:
			name = "person"
		case LegalName, TradingName:
			name = "company"
		case StreetField, TextField:
			if k.swaps {
				name = "address"
			}
		}
		g, ok := place[name]
		if !ok {
			g = len(groups)
			place[name] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], c)
	}
	return groups
}

// atoms are what a row says in a group of columns.
func (s *scan) atoms(row int, group []int) []atom {
	var as []atom
	for _, c := range group {
		id := s.id(row, c)
		if id < 0 {
			continue
		}
		v := &s.vals[id]
		sort := s.cols[c].sort
		salt := uint64(group[0]+1) << 8
		as = append(as, atom{hash(salt, v.flat), uint8(c)})
		switch {
		case sort == words && s.cols[c].swaps && v.sound != 0:
			as = append(as, atom{mix(v.sound + salt), uint8(c)})
		case (sort == idents || sort == abns || sort == dates) && len(v.flat) > 5:
			h := len(v.flat) / 2
			as = append(as, atom{hash(salt+2, v.flat[:h]), uint8(c)}, atom{hash(salt+3, v.flat[h:]), uint8(c)})
		}
	}
	return as
}

// ranks is a fixed order of the rows in which similar ones stand near each other.
func (s *scan) ranks() []int32 {
	n := len(s.t.Rows)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	cols := make([]int, len(s.cols))
	for c := range cols {
		cols[c] = c
	}
	// The telling columns first.
	slices.SortStableFunc(cols, func(a, b int) int { return cmp.Compare(s.cols[a].agree, s.cols[b].agree) })
	slices.SortStableFunc(order, func(a, b int32) int {
		for _, c := range cols {
			if x, y := s.id(int(a), c), s.id(int(b), c); x != y {
				if x < 0 || y < 0 {
					return cmp.Compare(x, y)
				}
				return cmp.Compare(s.vals[x].text, s.vals[y].text)
			}
		}
		return cmp.Compare(a, b)
	})
	rank := make([]int32, n)
	for i, r := range order {
		rank[r] = int32(i)
	}
	return rank
}

func hash(salt uint64, rs []rune) uint64 {
	h := mix(salt)
	for _, r := range rs {
		h = (h ^ uint64(r)) * 0x100000001b3
	}
	return mix(h)
}

func hashText(salt uint64, s string) uint64 {
	h := mix(salt)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix is the finaliser of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

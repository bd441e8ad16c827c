package match_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// corpus makes people with errors after the manner of Febrl's generator (Christen, Pudjijono 2009): originals from frequency
// tables, and duplicates of them with slips of the pen and of the ear, misread characters, words split and joined, values
// lost, put into the wrong column or replaced. Its tables are its own.
type corpus struct {
	*rand.Rand
	originals  int
	duplicates int
	most       int     // duplicates of one original
	perField   int     // modifications of one value
	perRecord  int     // of one duplicate
	missing    float64 // share of values that the originals lack
	real       bool    // a suburb has one postcode and lies in one state, and people live together
	plain      bool    // the duplicates are in a file of their own
}

// person is given name, surname, street number, two lines of address, suburb, postcode, state, birth, number.
type person [10]string

var corpusHeader = []string{"rec_id", "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state", "date_of_birth", "soc_sec_id"}

var syllables = strings.Fields("ba be bi bo bur ca cor cul da del don dun el fa fer fin ga gar gil go ha har hol in jar ka kar kel ki la lan lee " +
	"lo lum ma mar mer mi mon mor na nar nel no o par pen per ra rei ren ri ro sa san sel sha so ta tal tem ter to tul u va ven wa wal war wil win ya yar yor zan")

var givenNames = strings.Fields("joshua emily jack sophie lachlan jessica thomas isabella james chloe daniel georgia ethan olivia william hannah matthew ella " +
	"samuel grace benjamin charlotte nicholas mia luke lucy alexander holly harrison ruby liam caitlin jacob lily ryan sarah connor zoe dylan maddison " +
	"oliver amelia cooper paige mitchell jasmine riley abbey tyler alexandra max bella jordan imogen caleb kayla patrick molly blake madeline kyle tahlia " +
	"noah laura isaac eliza nathan rebecca lewis hayley hamish alyssa callum mikayla charlie erin jayden brianna zachary lauren bailey ashley toby claire " +
	"adam kate sean nicole michael amy david phoebe christopher lara angus stephanie hugo rachel jake annabelle finn samantha timothy brooke marcus jade " +
	"edward tara george ebony hayden courtney jonathan bethany henry gabrielle andrew alana aidan summer joseph eva declan sienna harry freya peter rosie " +
	"bradley skye cameron willow dominic poppy anthony talia elliot natalie fraser zara kieran tess lincoln lilly jasper keely owen april xavier madison")

var commonSurnames = strings.Fields("smith jones williams brown white wilson taylor nguyen johnson martin anderson thompson ryan campbell clarke webb green " +
	"walker harris lee kelly king morrison miller robinson reid dixon matthews berry young hall allen wright scott mitchell morris baker bennett hill " +
	"coleman watson dalton crook howard lowe goode noble blake paine burford donaldson beams stephenson mccarthy rudd farrell")

var streetTypes = strings.Fields("street street street street place place place crescent crescent circuit circuit court court drive drive avenue avenue road close terrace way")
var states = strings.Fields("nsw nsw nsw nsw nsw nsw nsw vic vic vic vic vic qld qld qld qld wa wa sa tas act")
var estates = strings.Fields("village park farm gardens lodge estate villa stud vale station retrmnt plaza complex flats ridge glen grange view")

func (c *corpus) word(parts int) string {
	var b strings.Builder
	for range parts {
		b.WriteString(syllables[c.IntN(len(syllables))])
	}
	return b.String()
}

// zipf picks an index below n, the first ones more often.
func (c *corpus) zipf(n int) int {
	return min(int(math.Exp(c.Float64()*math.Log(float64(n)+1)))-1+c.IntN(max(n/20, 1)), n-1)
}

// tables are the values of one corpus: how many differ grows slowly with its size, as with real names.
type tables struct{ given, surname, street, place, suburb, postcode []string }

func (c *corpus) tables() tables {
	n := 500 + int(30*math.Sqrt(float64(c.originals)))
	t := tables{given: givenNames, surname: commonSurnames}
	for range n {
		t.surname = append(t.surname, c.word(2+c.IntN(2)))
		t.street = append(t.street, c.word(2+c.IntN(2))+" "+streetTypes[c.IntN(len(streetTypes))])
		p := c.word(2 + c.IntN(3))
		if c.IntN(2) == 0 {
			p += " " + estates[c.IntN(len(estates))]
		}
		t.place = append(t.place, p)
		s := c.word(2 + c.IntN(2))
		if c.IntN(4) == 0 {
			s += []string{" north", " heights", " bay", " south", " park"}[c.IntN(5)]
		}
		t.suburb = append(t.suburb, s)
		t.postcode = append(t.postcode, fmt.Sprint(2000+c.IntN(5500)))
	}
	for range 100 {
		t.given = append(t.given, c.word(2))
	}
	return t
}

func (c *corpus) original(t tables) person {
	number := fmt.Sprint(1 + c.zipf(250))
	p := person{t.given[c.zipf(len(t.given))], t.surname[c.zipf(len(t.surname))], number, t.street[c.IntN(len(t.street))],
		t.place[c.zipf(len(t.place))], t.suburb[c.zipf(len(t.suburb))], t.postcode[c.IntN(len(t.postcode))], states[c.IntN(len(states))],
		c.birth(), fmt.Sprint(1000000 + c.IntN(9000000))}
	if c.real {
		i := c.zipf(len(t.suburb))
		p[5], p[6], p[7] = t.suburb[i], t.postcode[i], states[i%len(states)]
	}
	if c.Float64() < 0.3 {
		p[4] = ""
	}
	for f := range 9 {
		if c.Float64() < c.missing {
			p[f] = ""
		}
	}
	return p
}

func (c *corpus) birth() string {
	return fmt.Sprintf("19%02d%02d%02d", c.IntN(100), 1+c.IntN(12), 1+c.IntN(28))
}

var sounds = strings.NewReplacer("ph", "f", "ck", "k", "sh", "s", "th", "t", "ee", "ea", "oo", "u", "mc", "mac", "ie", "y", "ll", "l", "tt", "t", "wh", "w", "qu", "k", "x", "ks", "c", "k", "z", "s")
var misread = strings.NewReplacer("m", "rn", "cl", "d", "1", "l", "0", "o", "5", "s", "vv", "w", "b", "6", "g", "9", "h", "b", "i", "1", "e", "c")
var keyboard = map[byte]string{'a': "sqz", 'b': "vn", 'c': "xv", 'd': "sf", 'e': "wr", 'f': "dg", 'g': "fh", 'h': "gj", 'i': "uo", 'j': "hk", 'k': "jl", 'l': "k",
	'm': "n", 'n': "bm", 'o': "ip", 'p': "o", 'q': "w", 'r': "et", 's': "ad", 't': "ry", 'u': "yi", 'v': "cb", 'w': "qe", 'x': "zc", 'y': "tu", 'z': "x"}

// slip makes one mistake in a value.
func (c *corpus) slip(s string) string {
	if s == "" {
		return s
	}
	i := c.IntN(len(s))
	letter := func() string {
		if s[i] >= '0' && s[i] <= '9' {
			return string(rune('0' + c.IntN(10)))
		}
		if k := keyboard[s[i]]; k != "" && c.IntN(3) > 0 {
			return string(k[c.IntN(len(k))])
		}
		return string(rune('a' + c.IntN(26)))
	}
	switch n := c.IntN(10); {
	case n < 2:
		return s[:i] + letter() + s[i:]
	case n < 4 && len(s) > 1:
		return s[:i] + s[i+1:]
	case n < 7 || len(s) < 2:
		return s[:i] + letter() + s[i+1:]
	default:
		i = min(i, len(s)-2)
		return s[:i] + s[i+1:i+2] + s[i:i+1] + s[i+2:]
	}
}

func (c *corpus) damage(p person, t tables) person {
	fresh := c.original(t)
	var done [10]int
	for range 1 + c.IntN(c.perRecord) {
		f := []int{0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9}[c.IntN(15)]
		if done[f] >= c.perField {
			continue
		}
		done[f]++
		switch n := c.IntN(100); {
		case n < 8:
			p[f] = ""
		case n < 18 && f != 7:
			p[f] = fresh[f]
		case n < 26 && f < 2:
			p[0], p[1] = p[1], p[0]
		case n < 26 && (f == 3 || f == 4):
			p[3], p[4] = p[4], p[3]
		case n < 32 && f < 6 && f != 2:
			p[f] = sounds.Replace(p[f])
		case n < 38 && f < 6:
			if r := misread.Replace(p[f]); len(p[f]) > 0 {
				i := c.IntN(len(p[f]))
				p[f] = p[f][:i] + misread.Replace(p[f][i:min(i+2, len(p[f]))]) + p[f][min(i+2, len(p[f])):]
				_ = r
			}
		case n < 44 && f < 6 && len(p[f]) > 3:
			i := 1 + c.IntN(len(p[f])-2)
			p[f] = p[f][:i] + " " + p[f][i:]
		case n < 48 && f < 6:
			p[f] = strings.Replace(p[f], " ", "", 1)
		default:
			p[f] = c.slip(p[f])
		}
		p[f] = strings.TrimSpace(p[f])
	}
	return p
}

// write returns one file, or two if the duplicates have a file of their own.
func (c *corpus) write() (one, two string) {
	t := c.tables()
	var rows, dups [][]string
	row := func(id string, p person) []string { return append([]string{id}, p[:]...) }
	people := make([]person, c.originals)
	for i := range people {
		people[i] = c.original(t)
		if c.real && i > 0 && c.IntN(4) == 0 { // of the household of the one before
			copy(people[i][1:8], people[i-1][1:8])
		}
		rows = append(rows, row(fmt.Sprintf("rec-%d-org", i), people[i]))
	}
	count := make([]int, c.originals)
	for n := 0; n < c.duplicates; {
		i := c.IntN(c.originals)
		for k := 1 + c.zipf(c.most); k > 0 && n < c.duplicates && count[i] < c.most; k-- {
			dups = append(dups, row(fmt.Sprintf("rec-%d-dup-%d", i, count[i]), c.damage(people[i], t)))
			count[i]++
			n++
		}
	}
	text := func(rows [][]string) string {
		c.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var b strings.Builder
		b.WriteString(strings.Join(corpusHeader, ", ") + "\n")
		w := csv.NewWriter(&b)
		_ = w.WriteAll(rows)
		return b.String()
	}
	if c.plain {
		return text(rows), text(dups)
	}
	return text(append(rows, dups...)), ""
}

func newCorpus(seed uint64, originals, duplicates, most, perField, perRecord int) *corpus {
	return &corpus{Rand: rand.New(rand.NewPCG(seed, 1)), originals: originals, duplicates: duplicates, most: most, perField: perField, perRecord: perRecord, missing: 0.03}
}

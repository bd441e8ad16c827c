package ownership

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Way is what a brake watches.
type Way string

// Ways.
const (
	In    Way = "in"    // what a system changes of golden values
	Gone  Way = "gone"  // what is deleted in a system, or no longer listed
	Out   Way = "out"   // what a policy, an import, a flow, a mapping or a run of reprocessing would write to a system
	Edits Way = "edits" // what edits through the API would write to a system
)

var ways = []Way{In, Gone, Out, Edits}

// Brake says how much may change at once before a person is asked: more than Limit of a system's records within Window.
type Brake struct {
	Off    bool
	Count  int           // this many always may
	Share  float64       // of the records that the system holds, from 0 to 1
	Window time.Duration // what counts as at once
	New    bool          // new objects count too; else only changes of those that were there
}

// Limit is how many may change at once of so many records.
func (b Brake) Limit(records int64) int64 {
	return max(int64(b.Count), int64(b.Share*float64(records)))
}

// defaultBrakes let everyday business pass: a price rise or a clean-up by hand, but not an import gone wrong.
var defaultBrakes = map[Way]Brake{
	In:    {Count: 100, Share: 0.3, Window: 15 * time.Minute},
	Gone:  {Count: 20, Share: 0.1, Window: 15 * time.Minute},
	Out:   {Count: 20, Share: 0.2, Window: 15 * time.Minute},
	Edits: {Count: 100, Share: 0.3, Window: 15 * time.Minute},
}

// Brake returns the brake of a system.
func (p *Policy) Brake(system string, w Way) Brake {
	if b, ok := p.Brakes[system][w]; ok {
		return b
	}
	if b, ok := p.Brakes[""][w]; ok {
		return b
	}
	return defaultBrakes[w]
}

// brake reads {in: {count: 100, share: 30%, window: 15m}, gone: …, out: off, systems: {accounting: {out: …}}}.
func (p *parser) brake(e entry) {
	p.policy.Brakes = map[string]map[Way]Brake{}
	es := p.mapping(e.value, "brake")
	p.policy.Brakes[""] = p.brakes(es, "", true)
	for _, m := range es {
		if m.key != "systems" {
			continue
		}
		for _, s := range p.mapping(m.value, "systems of brake") {
			if p.policy.Adapter(s.key) == "" {
				p.add(s.line, "systems of brake: there is no system %q", s.key)
				continue
			}
			if b := p.brakes(p.mapping(s.value, "brake of "+s.key), s.key, false); len(b) > 0 {
				p.policy.Brakes[s.key] = b
			}
		}
	}
}

func (p *parser) brakes(es []entry, system string, top bool) map[Way]Brake {
	of := "brake"
	if system != "" {
		of = "brake of " + system
	}
	out := map[Way]Brake{}
	for _, m := range es {
		if top && m.key == "systems" {
			continue
		}
		w := Way(m.key)
		if !slices.Contains(ways, w) {
			p.add(m.line, "%s has no %q; it has %s%s", of, m.key, join(ways), map[bool]string{true: " and systems"}[top])
			continue
		}
		// What is not said is as for every system.
		b := p.policy.Brake("", w)
		if v := resolve(m.value); v.Value == "off" {
			b.Off = true
			out[w] = b
			continue
		}
		b.Off = false
		for _, x := range p.mapping(m.value, m.key+" of "+of) {
			what := x.key + " of " + m.key + " of " + of
			text := p.text(x.value, what)
			if text == "" {
				continue
			}
			var err error
			switch x.key {
			case "count":
				if b.Count, err = strconv.Atoi(text); err != nil || b.Count < 0 || b.Count > 1_000_000 {
					p.add(x.line, "%s is %q; it should be a number of records, 0 to 1000000", what, text)
				}
			case "share":
				n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
				if err != nil || !strings.HasSuffix(text, "%") || !(n >= 0 && n <= 100) {
					p.add(x.line, "%s is %q; it should be a part of the records such as 10%%", what, text)
				}
				b.Share = n / 100
			case "window":
				if b.Window, err = time.ParseDuration(text); err != nil || b.Window < time.Second || b.Window > 7*24*time.Hour {
					p.add(x.line, "%s is %q; it should be a time such as 15m, from 1s to 168h", what, text)
				}
			case "new":
				if text != "on" && text != "off" {
					p.add(x.line, "%s is %q; it can be on or off", what, text)
				}
				b.New = text == "on"
			default:
				p.add(x.line, "%s of %s has no %q; it has count, share, window and new, or is off", m.key, of, x.key)
			}
		}
		out[w] = b
	}
	return out
}

func (b Brake) String() string {
	if b.Off {
		return "off"
	}
	s := fmt.Sprintf("{count: %d, share: %s%%, window: %s", b.Count, strconv.FormatFloat(b.Share*100, 'f', -1, 64), b.Window)
	if b.New {
		s += ", new: on"
	}
	return s + "}"
}

// writeBrakes writes what was said of brakes.
func (p *Policy) writeBrakes(b *strings.Builder) {
	if len(p.Brakes[""]) == 0 && len(p.Brakes) < 2 {
		return
	}
	b.WriteString("\nbrake:\n")
	write := func(system, indent string) {
		for _, w := range ways {
			if x, ok := p.Brakes[system][w]; ok {
				fmt.Fprintf(b, "%s%s: %s\n", indent, w, x)
			}
		}
	}
	write("", "  ")
	if len(p.Brakes) > 1 {
		b.WriteString("  systems:\n")
	}
	for _, s := range slices.Sorted(maps.Keys(p.Brakes)) {
		if len(p.Brakes[s]) > 0 && s != "" {
			fmt.Fprintf(b, "    %s:\n", s)
			write(s, "      ")
		}
	}
}

// diffBrakes names the brakes that differ: "brake.out", "brake.crm.out".
func diffBrakes(from, to *Policy, systems []string) []string {
	var names []string
	for _, w := range ways {
		if from.Brake("", w) != to.Brake("", w) {
			names = append(names, "brake."+string(w))
		}
		for _, s := range systems {
			_, inA := from.Brakes[s][w]
			_, inB := to.Brakes[s][w]
			if (inA || inB) && from.Brake(s, w) != to.Brake(s, w) {
				names = append(names, "brake."+s+"."+string(w))
			}
		}
	}
	return names
}

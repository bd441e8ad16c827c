package change

import (
	"maps"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// What a system says itself must outlive a merge: while entities are one, Datum writes the survivor's values over those of
// the others' records, and what they said is known nowhere else. So a record keeps its own word (store.Own) for as long as it
// is merged. When the merge is undone the word counts again at once, and is written back to the system.

// before is what a record said when its entity was locked.
type before struct {
	values domain.Values
	echo   map[domain.Field]bool
}

// attend notes what the records said before this change.
func (s *settlement) attend() {
	if !s.st.Merged {
		return
	}
	s.before = map[*store.Record]before{}
	for _, rec := range s.st.Records {
		values := rec.Values
		if rec == s.touched {
			if s.was == nil {
				continue // it has said nothing yet
			}
			values = domain.MapRefs(rec.Kind, s.was.Values, s.st.survivor)
		}
		s.before[rec] = before{values.Clone(), maps.Clone(rec.Echo)}
	}
}

// remember keeps the own words of records that have come to repeat somebody else's.
func (s *settlement) remember() {
	for rec, b := range s.before {
		keep := func(f domain.Field, v domain.Value) {
			if rec.Own == nil {
				rec.Own = map[domain.Field]store.Own{}
			}
			if v == "" {
				v = domain.Null
			}
			rec.Own[f], s.dirty[rec] = store.Own{Value: v}, true
		}
		for _, f := range unionFields(b.values, rec.Values) {
			moved := !equal(b.values[f], rec.Values[f])
			_, kept := rec.Own[f]
			switch {
			case s.decided[rec][f]:
				delete(rec.Own, f)
				s.dirty[rec] = true
			case rec == s.touched && s.changed[f] && !s.echoed[f]:
				if rec.Echo[f] {
					keep(f, rec.Values[f])
				} else if kept {
					delete(rec.Own, f)
					s.dirty[rec] = true
				}
			case !kept && !b.echo[f] && (moved || rec.Echo[f] && !b.values[f].Empty()):
				keep(f, b.values[f])
			}
		}
	}
}

// decide notes that a record shows what people have decided of the entity that it is of by itself: that is as good as its own
// word, whatever becomes of a merge.
func (s *settlement) decide(p store.Pin, rec *store.Record) {
	if p.Home != rec.Home {
		return
	}
	if s.decided == nil {
		s.decided = map[*store.Record]map[domain.Field]bool{}
	}
	if s.decided[rec] == nil {
		s.decided[rec] = map[domain.Field]bool{}
	}
	s.decided[rec][p.Field] = true
}

// giveBack ends what was to be written back: the system shows it again, or has said something else since.
func (s *settlement) giveBack() {
	s.echoed = map[domain.Field]bool{}
	for f := range s.changed {
		s.echoed[f] = s.touched != nil && s.touched.Echo[f]
	}
	for _, rec := range s.st.Records {
		for f, o := range rec.Own {
			switch {
			case !o.Back:
				continue
			case equal(rec.Values[f], o.Value):
				rec.Echo[f] = false
				delete(rec.Confirmed, f)
			case rec == s.touched && s.changed[f] && !s.echoed[f]:
			default:
				continue
			}
			delete(rec.Own, f)
			s.dirty[rec] = true
		}
	}
}

// forgo drops own words that would not count anyway: nothing is written back for them.
func (s *settlement) forgo() {
	for _, rec := range s.st.Records {
		for f, o := range rec.Own {
			g := s.res.Fields[f]
			if !o.Back || s.stands(rec, f, o.Value) || g.System == rec.System && g.ExternalID == rec.ExternalID || g.Owner == rec.System && g.Why != ownership.ByPin && o.Value.Empty() {
				continue
			}
			if s.st.Merged {
				rec.Own[f] = store.Own{Value: o.Value}
			} else {
				delete(rec.Own, f)
			}
			s.dirty[rec] = true
		}
	}
}

// stands reports whether the value is one that was answered and left standing.
func (s *settlement) stands(rec *store.Record, f domain.Field, v domain.Value) bool {
	h, held := rec.Held[f]
	return held && h.Value == v && h.Others != string(ownership.Restore)
}

// withOwn lays the own words that are being written back over a record's contribution.
func withOwn(rec *store.Record, c ownership.Contribution) ownership.Contribution {
	cloned := false
	for f, o := range rec.Own {
		if !o.Back {
			continue
		}
		if !cloned {
			c.Values, c.Echo, cloned = c.Values.Clone(), maps.Clone(c.Echo), true
		}
		c.Values[f], c.Echo[f] = o.Value, false
	}
	return c
}

// returned has the own words of the records count again, after a merge was undone.
func (s *settlement) returned() {
	for _, rec := range s.st.Records {
		for f, o := range rec.Own {
			s.dirty[rec] = true
			switch {
			case equal(rec.Values[f], o.Value):
				rec.Echo[f] = false
				delete(rec.Confirmed, f)
				delete(rec.Own, f)
			case rec.Deleted || s.pol.Adapter(rec.System) == ownership.Native:
				rec.Values[f], rec.Echo[f] = o.Value, false
				delete(rec.Confirmed, f)
				delete(rec.Own, f)
			default:
				rec.Own[f] = store.Own{Value: o.Value, Back: true}
			}
		}
		if rec.Alone == nil {
			continue
		}
		values, confirmed := domain.MapRefs(rec.Kind, rec.Alone.Values, s.st.survivor), domain.MapRefs(rec.Kind, rec.Alone.Confirmed, s.st.survivor)
		for _, f := range unionFields(rec.Values, values) {
			now := rec.Values[f]
			if o := rec.Own[f]; o.Back {
				now = o.Value
			}
			if !equal(now, values[f]) {
				continue // it has changed since, and is judged as it is
			}
			set(rec.Confirmed, confirmed, f)
			set(rec.Held, rec.Alone.Held, f)
			s.dirty[rec] = true
		}
	}
	if !s.st.Merged {
		store.QueueAlone(s.batch, s.st.Entity.ID)
	}
}

// set makes a field in one map what it is in another.
func set[V any](to, from map[domain.Field]V, f domain.Field) {
	if v, ok := from[f]; ok {
		to[f] = v
	} else {
		delete(to, f)
	}
}

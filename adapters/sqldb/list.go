package sqldb

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datum/domain"
)

// writeList makes the rows of a list's own table equal to what is wanted. A row that stays keeps its key and its other columns:
// rows are matched by what they say, then by what they are about, and then by their place.
func (a *adapter) writeList(ctx context.Context, tx *sql.Tx, t *table, f *field, parent []string, have, want []any) error {
	ts, err := a.typesOf(ctx, tx, f.Table)
	if err != nil {
		return err
	}
	rows := objects(have)
	target, spare := f.match(rows, objects(want))
	exec := func(s *statement) error {
		_, err := tx.ExecContext(ctx, s.sql.String(), s.args...)
		return err
	}
	for _, o := range spare {
		key, _ := scalar(o[f.Key])
		s := &statement{d: a.d}
		s.add("DELETE FROM ", a.d.table(f.Table), " WHERE ", s.equal("", []string{f.Key}, []string{key}))
		if err := exec(s); err != nil {
			return err
		}
	}
	next := make([]object, len(want))
	for i, x := range want {
		next[i] = maps.Clone(x.(object))
	}
	f.number(target, next)
	// From the last to the first: rows that make room for others move before those come.
	for i := len(next) - 1; i >= 0; i-- {
		o := target[i]
		if o == nil {
			continue
		}
		s := &statement{d: a.d}
		var sets []string
		for _, c := range slices.Sorted(maps.Keys(next[i])) {
			if domain.ValueOf(o[c]) != domain.ValueOf(next[i][c]) {
				sets = append(sets, a.d.quote(c)+" = "+s.arg(a.toDatabase(next[i][c], ts[c])))
			}
		}
		if len(sets) == 0 {
			continue
		}
		if f.Changed != "" && t.touches() {
			now, err := a.clock(ctx, tx)
			if err != nil {
				return err
			}
			sets = append(sets, a.d.quote(f.Changed)+" = "+s.arg(a.toDatabase(now, ts[f.Changed])))
		}
		key, _ := scalar(o[f.Key])
		s.add("UPDATE ", a.d.table(f.Table), " SET ", strings.Join(sets, ", "), " WHERE ", s.equal("", []string{f.Key}, []string{key}))
		if err := exec(s); err != nil {
			return err
		}
	}
	for i, o := range next {
		if target[i] != nil {
			continue
		}
		for j, c := range f.Parent {
			o[c] = parent[j]
		}
		if f.Changed != "" && t.touches() {
			if o[f.Changed], err = a.clock(ctx, tx); err != nil {
				return err
			}
		}
		s := &statement{d: a.d}
		var cols, vals []string
		for _, c := range slices.Sorted(maps.Keys(o)) {
			if o[c] != nil {
				cols, vals = append(cols, c), append(vals, s.arg(a.toDatabase(o[c], ts[c])))
			}
		}
		s.add("INSERT INTO ", a.d.table(f.Table), " (", a.d.list("", cols), ") VALUES (", strings.Join(vals, ", "), ")")
		if err := exec(s); err != nil {
			return err
		}
	}
	return nil
}

func objects(list []any) []object {
	out := make([]object, len(list))
	for i, x := range list {
		out[i], _ = x.(object)
	}
	return out
}

// match pairs what is wanted with the rows that are there: target has one for each wanted, nil for one to be made; spare are
// those that nobody wants.
func (f *field) match(rows, want []object) (target, spare []object) {
	target = make([]object, len(want))
	used := make([]bool, len(rows))
	pair := func(alike func(row, w object) bool) {
		for i, w := range want {
			for j, row := range rows {
				if target[i] == nil && !used[j] && alike(row, w) {
					target[i], used[j] = row, true
				}
			}
		}
	}
	if _, list := f.Columns["quantity"]; f.Position != "" || !list {
		pair(func(row, w object) bool {
			for c, v := range w {
				if !alike(row[c], v) {
					return false
				}
			}
			return true
		})
		pair(func(row, w object) bool { about := f.about(w); return about != "" && f.about(row) == about })
		pair(func(row, w object) bool { return f.about(w) == "" || f.about(row) == "" })
	} else {
		// The order is that of the keys, so that a row cannot move.
		pair(func(object, object) bool { return true })
	}
	for j, row := range rows {
		if !used[j] {
			spare = append(spare, row)
		}
	}
	return target, spare
}

// alike compares a column's value with one to be written, which may spell a number otherwise: 2 and 2.0000.
func alike(a, b any) bool {
	x, okX := scalar(a)
	y, okY := scalar(b)
	if !okX || !okY || x == y {
		return x == y && okX == okY
	}
	p, err := strconv.ParseFloat(x, 64)
	q, err2 := strconv.ParseFloat(y, 64)
	return err == nil && err2 == nil && p == q
}

// about is what an entry is about: its product or document, or else its code or name.
func (f *field) about(o object) string {
	for _, name := range []string{"product", "invoice", "creditNote", "sku", "email", "name"} {
		m := f.Columns[name]
		if m == nil {
			continue
		}
		if parts, ok := keyOf(o, m.Column); ok && joinKey(parts) != "" {
			return name + ":" + joinKey(parts)
		}
	}
	return ""
}

// number gives the wanted rows their places: those that are in order keep theirs.
func (f *field) number(target, next []object) {
	if f.Position == "" {
		return
	}
	last := 0
	for _, o := range target {
		if n, ok := place(o, f.Position); ok && n == 0 {
			last = -1 // counted from nought
		}
	}
	for i := range next {
		n, ok := place(target[i], f.Position)
		if !ok || n <= last {
			n = last + 1
		}
		last = n
		next[i][f.Position] = strconv.Itoa(n)
	}
}

func place(o object, column string) (int, bool) {
	s, _ := scalar(o[column])
	n, err := strconv.Atoi(s)
	return n, err == nil
}

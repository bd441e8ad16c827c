package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Fetch reads one row and what belongs to it. A row that is marked as deleted is NotFound.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "sqldb.Fetch")
	t, _, err := a.carries(kind)
	if err != nil {
		return rec, err
	}
	recs, err := a.fetch(ctx, t, []string{externalID})
	if err != nil {
		return rec, err
	}
	for _, r := range recs {
		if r.ExternalID == externalID && !r.Deleted {
			return r, nil
		}
	}
	return rec, a.err(domain.NotFound, "%s has no row %s", t.Table, externalID)
}

// FetchMany reads rows by their keys, in one statement.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "sqldb.FetchMany")
	t, _, err := a.carries(kind)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(externalIDs, maxPage) {
		found, err := a.fetch(ctx, t, chunk)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if !r.Deleted && slices.Contains(chunk, r.ExternalID) {
				recs = append(recs, r)
			}
		}
	}
	return recs, nil
}

func (a *adapter) fetch(ctx context.Context, t *table, ids []string) (recs []domain.Record, err error) {
	path := t.Table + "/" + url.PathEscape(strings.Join(ids, "/"))
	if len(ids) > 3 {
		path = fmt.Sprintf("%s?keys=%d", t.Table, len(ids))
	}
	err = a.run(ctx, "SELECT", path, nil, false, func(ctx context.Context) (any, error) {
		err := a.reading(ctx, func(tx *sql.Tx, at time.Time) error {
			var err error
			objects, err := a.byKey(ctx, tx, t, ids, "")
			if err != nil {
				return err
			}
			recs, err = a.records(t, slices.DeleteFunc(objects, func(o object) bool { return !t.isOne(o) }), at)
			return err
		})
		return said(recs), err
	})
	return recs, err
}

// said is what the log keeps of records that were read.
func said(recs []domain.Record) any {
	if len(recs) == 1 {
		return recs[0].Raw
	}
	return map[string]int{"rows": len(recs)}
}

// byKey reads rows by external id, whatever else they are, with lock behind the statement.
func (a *adapter) byKey(ctx context.Context, q querier, t *table, ids []string, lock string) ([]object, error) {
	ts, err := a.typesOf(ctx, q, t.Table)
	if err != nil {
		return nil, err
	}
	var keys [][]string
	for _, id := range ids {
		// A key that the columns cannot hold is no row's.
		if parts, ok := splitKey(id, len(t.Key)); ok && fitKey(parts, t.Key, ts) {
			keys = append(keys, parts)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	s := &statement{d: a.d}
	s.add("SELECT ", a.selected(t), " FROM ", a.d.table(t.Table), " t WHERE ", s.among("t.", t.Key, keys), " ORDER BY ", a.d.list("t.", t.Key), lock)
	objects, err := a.rows(ctx, q, t, s)
	if err != nil {
		return nil, err
	}
	// MySQL compares keys loosely: 12 equals "12abc".
	return slices.DeleteFunc(objects, func(o object) bool {
		parts, ok := keyOf(o, t.Key)
		return !ok || !slices.Contains(ids, joinKey(parts))
	}), nil
}

// fitKey reports whether columns of these types can hold the values at all.
func fitKey(parts, columns []string, ts types) bool {
	for i, p := range parts {
		typ := ts[columns[i]]
		switch {
		case isInteger(typ):
			digits := strings.TrimPrefix(p, "-")
			if digits == "" || len(digits) > 18 || strings.Trim(digits, "0123456789") != "" {
				return false
			}
		case typ == "UUID":
			if len(p) != 36 || strings.Trim(p, "0123456789abcdef-") != "" {
				return false
			}
		case strings.ContainsRune(p, 0):
			return false
		}
	}
	return true
}

func isInteger(typ string) bool {
	typ = strings.TrimPrefix(typ, "UNSIGNED ")
	return slices.Contains([]string{"INT2", "INT4", "INT8", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"}, typ)
}

// selected are the columns that are read: all, so that new ones are noticed, unless the mapping says that it knows.
func (a *adapter) selected(t *table) string {
	if slices.Contains(t.Known, "*") {
		return a.d.list("t.", t.columns())
	}
	return "t.*"
}

// rows reads rows of a kind's table together with the rows of its lists.
func (a *adapter) rows(ctx context.Context, q querier, t *table, s *statement) ([]object, error) {
	objects, _, err := a.query(ctx, q, s)
	if err != nil || len(objects) == 0 {
		return objects, err
	}
	by := map[string]object{}
	keys := [][]string{}
	for _, o := range objects {
		parts, ok := keyOf(o, t.Key)
		if !ok {
			return nil, a.err(domain.Invalid, "a row of %s has no value in its key %s; the mapping's key must be the table's", t.Table, strings.Join(t.Key, ", "))
		}
		by[joinKey(parts)] = o
		keys = append(keys, parts)
	}
	for _, f := range t.children() {
		for _, o := range objects {
			o[f.place()] = []any{}
		}
		for chunk := range slices.Chunk(keys, 1000) {
			c := &statement{d: a.d}
			order := []string{}
			if f.Position != "" {
				order = append(order, f.Position)
			}
			c.add("SELECT ", a.d.list("", f.ownColumns()), " FROM ", a.d.table(f.Table), " WHERE ", c.among("", f.Parent, chunk),
				" ORDER BY ", a.d.list("", append(order, f.Key)))
			entries, _, err := a.query(ctx, q, c)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				parts, _ := keyOf(e, f.Parent)
				if o := by[joinKey(parts)]; o != nil {
					o[f.place()] = append(o[f.place()].([]any), e)
				}
			}
		}
	}
	return objects, nil
}

// isOne reports whether a row of the table is of the kind at all.
func (t *table) isOne(o object) bool {
	for c, want := range t.Only {
		if s, _ := scalar(o[c]); s != want {
			return false
		}
	}
	return true
}

func (t *table) isDeleted(o object) bool {
	if t.Deleted == nil {
		return false
	}
	s, _ := scalar(o[t.Deleted.Column])
	if t.Deleted.Value == nil {
		return s != "" && s != "false" && s != "0"
	}
	return s == *t.Deleted.Value
}

func (a *adapter) records(t *table, objects []object, at time.Time) ([]domain.Record, error) {
	recs := make([]domain.Record, 0, len(objects))
	for _, o := range objects {
		r, err := a.record(t, o, at)
		if err != nil {
			return nil, err
		}
		if r.ExternalID != "" { // a key of no characters is no id
			recs = append(recs, r)
		}
	}
	return recs, nil
}

// record makes a row into a record. What orders its versions is when it was read: the column with the time of the last change
// is often that of the beginning of a transaction, so that a later state can have an earlier time.
func (a *adapter) record(t *table, o object, at time.Time) (domain.Record, error) {
	parts, _ := keyOf(o, t.Key)
	raw, err := json.Marshal(o)
	if err != nil {
		return domain.Record{}, a.err(domain.Internal, "a row of %s cannot be kept as JSON", t.Table)
	}
	sum := sha256.Sum256(raw)
	r := domain.Record{Kind: t.kind, ExternalID: joinKey(parts), Version: hex.EncodeToString(sum[:8]), ModifiedAt: at, FetchedAt: at,
		Raw: raw, Deleted: t.isDeleted(o)}
	if t.ID != "" {
		r.CanonicalID, _ = scalar(o[t.ID])
	}
	r.Values, r.Issues, r.Unknown = a.maps[t.kind].Read(o)
	if slices.Contains(t.Known, "*") {
		r.Unknown = nil
	}
	return r, nil
}

// cursor is where a reading of changes stands. Instants are RFC 3339 in UTC, by the database's clock.
type cursor struct {
	All   bool     `json:"all,omitempty"`   // the first pass, which reads everything
	From  string   `json:"from,omitempty"`  // this pass reads what changed since then
	Start string   `json:"start,omitempty"` // when this pass began
	After []string `json:"after,omitempty"` // key of the last row of the page before

	Outbox bool    `json:"outbox,omitempty"` // goes by the outbox
	Notes  []int64 `json:"notes,omitempty"`  // of the page before
}

// Changes reads everything at first, in the order of the key, and from then on what changed since the pass before began, less
// the overlap. A row that is changed during a pass is read by the next one. Rows that were removed are seen only with an
// outbox; else List finds them. Without a changed column and without an outbox there is only the first pass.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "sqldb.Changes")
	t, _, err := a.carries(kind)
	if err != nil {
		return page, err
	}
	c, err := a.resume(cur)
	if err != nil {
		return page, err
	}
	err = a.run(ctx, "SELECT", t.Table+"?changes", c, false, func(ctx context.Context) (any, error) {
		if a.outbox != "" {
			if err := a.taken(ctx, t, c); err != nil {
				return nil, err
			}
		}
		err := a.reading(ctx, func(tx *sql.Tx, at time.Time) error {
			switch {
			case c.All:
				page, err = a.backfill(ctx, tx, at, t, c)
			case a.outbox != "":
				page, err = a.notes(ctx, tx, at, t)
			case t.Changed != "":
				page, err = a.since(ctx, tx, at, t, c)
			default:
				page = adapters.Page{Cursor: save(c)}
			}
			return err
		})
		return said(page.Records), err
	})
	return page, err
}

// resume reads a cursor; one that says too little for how changes are now found begins anew.
func (a *adapter) resume(cur string) (c cursor, err error) {
	if cur != "" {
		if json.Unmarshal([]byte(cur), &c) != nil {
			return c, a.err(domain.Invalid, "the cursor is not one of this adapter's; begin anew")
		}
	}
	if !c.All && (cur == "" || a.outbox != "" && !c.Outbox || a.outbox == "" && c.From == "") {
		c = cursor{All: true}
	}
	return c, nil
}

func save(c cursor) string {
	b, _ := json.Marshal(c) // text and numbers
	return string(b)
}

// clock is the instant by the database's clock.
func (a *adapter) clock(ctx context.Context, q querier) (string, error) {
	objects, _, err := a.query(ctx, q, (&statement{d: a.d}).add("SELECT ", a.d.text(a.d.now()), " AS at"))
	if err != nil || len(objects) != 1 {
		return "", err
	}
	s, _ := scalar(objects[0]["at"])
	for _, layout := range []string{"2006-01-02 15:04:05.999999-07", "2006-01-02 15:04:05.999999-07:00", "2006-01-02 15:04:05.999999"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", a.err(domain.Internal, "the database's clock says %q", s)
}

// begun notes when the pass begins, if this is its first page.
func (a *adapter) begun(ctx context.Context, tx *sql.Tx, c *cursor) (err error) {
	if c.Start != "" {
		return nil
	}
	c.Start, err = a.clock(ctx, tx)
	return err
}

func (a *adapter) backfill(ctx context.Context, tx *sql.Tx, at time.Time, t *table, c cursor) (page adapters.Page, err error) {
	if err := a.begun(ctx, tx, &c); err != nil {
		return page, err
	}
	recs, last, more, err := a.page(ctx, tx, at, t, c.After, "", &statement{d: a.d})
	if err != nil {
		return page, err
	}
	page = adapters.Page{Records: slices.DeleteFunc(recs, func(r domain.Record) bool { return r.Deleted }), More: more}
	if c.After = last; !more {
		c = cursor{From: a.reachBack(c.Start), Outbox: a.outbox != ""}
	}
	page.Cursor = save(c)
	return page, nil
}

// since reads a page of what changed since c.From, in a list's own table too if that has a changed column.
func (a *adapter) since(ctx context.Context, tx *sql.Tx, at time.Time, t *table, c cursor) (page adapters.Page, err error) {
	if err := a.begun(ctx, tx, &c); err != nil {
		return page, err
	}
	s := &statement{d: a.d}
	terms := []string{}
	changed := func(name, column, before, after string) error {
		ts, err := a.typesOf(ctx, tx, name)
		if err != nil {
			return err
		}
		terms = append(terms, before+a.d.quote(column)+" >= "+s.arg(a.timeFor(a.repeated(c.From, ts[column]), ts[column]))+after)
		return nil
	}
	if err := changed(t.Table, t.Changed, "t.", ""); err != nil {
		return page, err
	}
	for _, f := range t.children() {
		if f.Changed == "" {
			continue
		}
		in := "(" + a.d.list("t.", t.Key) + ") IN (SELECT " + a.d.list("c.", f.Parent) + " FROM " + a.d.table(f.Table) + " c WHERE c."
		if err := changed(f.Table, f.Changed, in, ")"); err != nil {
			return page, err
		}
	}
	recs, last, more, err := a.page(ctx, tx, at, t, c.After, "("+strings.Join(terms, " OR ")+")", s)
	if err != nil {
		return page, err
	}
	page = adapters.Page{Records: recs, More: more}
	if c.After = last; !more {
		c = cursor{From: a.reachBack(c.Start)}
	}
	page.Cursor = save(c)
	return page, nil
}

// reachBack is the instant the overlap before another.
func (a *adapter) reachBack(start string) string {
	at, _ := time.Parse(time.RFC3339Nano, start) // written by clock
	return at.Add(-a.overlap).Format(time.RFC3339Nano)
}

// repeated moves an instant back by the hour that a clock without zone shows twice when summer time ends.
func (a *adapter) repeated(from, typ string) string {
	at, _ := time.Parse(time.RFC3339Nano, from)
	if !a.d.isNaive(typ) {
		return from
	}
	_, now := at.In(a.zone).Zone()
	if _, before := at.Add(-3 * time.Hour).In(a.zone).Zone(); before > now {
		return at.Add(time.Duration(now-before) * time.Second).Format(time.RFC3339Nano)
	}
	return from
}

// page reads rows of the kind in the order of the key. where may use the arguments that are in s already.
func (a *adapter) page(ctx context.Context, tx *sql.Tx, at time.Time, t *table, after []string, where string, s *statement) (recs []domain.Record, last []string, more bool, err error) {
	terms := []string{}
	if where != "" {
		terms = append(terms, where)
	}
	for _, c := range slices.Sorted(maps.Keys(t.Only)) {
		terms = append(terms, "t."+a.d.quote(c)+" = "+s.arg(t.Only[c]))
	}
	if len(after) == len(t.Key) {
		terms = append(terms, s.after("t.", t.Key, after))
	}
	s.add("SELECT ", a.selected(t), " FROM ", a.d.table(t.Table), " t")
	if len(terms) > 0 {
		s.add(" WHERE ", strings.Join(terms, " AND "))
	}
	s.add(" ORDER BY ", a.d.list("t.", t.Key), fmt.Sprintf(" LIMIT %d", a.size+1))
	objects, err := a.rows(ctx, tx, t, s)
	if err != nil {
		return nil, nil, false, err
	}
	if more = len(objects) > a.size; more {
		objects = objects[:a.size]
	}
	if len(objects) > 0 {
		last, _ = keyOf(objects[len(objects)-1], t.Key)
	}
	recs, err = a.records(t, objects, at)
	return recs, last, more, err
}

// List reads every row that is not marked as deleted, in the order of the key, which never changes: whatever was there all
// along is read, and the last page is always Complete.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "sqldb.List")
	t, _, err := a.carries(kind)
	if err != nil {
		return page, err
	}
	var c cursor
	if cur != "" && (json.Unmarshal([]byte(cur), &c) != nil || len(c.After) != len(t.Key)) {
		return page, a.err(domain.Invalid, "the cursor is not one of this adapter's; begin anew")
	}
	err = a.run(ctx, "SELECT", t.Table+"?all", c, false, func(ctx context.Context) (any, error) {
		err := a.reading(ctx, func(tx *sql.Tx, at time.Time) error {
			recs, last, more, err := a.page(ctx, tx, at, t, c.After, "", &statement{d: a.d})
			if err != nil {
				return err
			}
			page = adapters.Page{Records: slices.DeleteFunc(recs, func(r domain.Record) bool { return r.Deleted }), More: more, Complete: !more}
			if more {
				page.Cursor = save(cursor{After: last})
			}
			return nil
		})
		return said(page.Records), err
	})
	return page, err
}

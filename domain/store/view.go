package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/domain"
)

// View is a golden entity as apps read it.
type View struct {
	Of   string // what was asked for: the id, of which the entity may be the survivor, or the parent
	ID   string
	Kind domain.Kind
	// JSON has the golden values by field, and id, version, createdAt and updatedAt. Custom fields are a list of key and value.
	JSON []byte
	// SortKey is for the next page's cursor.
	SortKey string
}

const viewColumns = `e.id, e.kind, e.golden || jsonb_build_object('id', e.id, 'version', e.version, 'createdAt', e.created_at, 'updatedAt', e.updated_at,
	'customFields', CASE WHEN jsonb_typeof(e.golden -> 'customFields') = 'object' THEN (
		SELECT coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'value', f.value) ORDER BY f.key COLLATE "C"), '[]')
		FROM jsonb_each_text(e.golden -> 'customFields') f) ELSE '[]' END) AS json`

// Views returns the entities with these ids, following merges; unknown ids are missing.
func Views(ctx context.Context, db DB, ids []string) ([]View, error) {
	found, err := views(ctx, db, ids)
	if err != nil || len(found) == len(ids) {
		return found, err
	}
	to, err := Survivors(ctx, db, slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(found, func(v View) bool { return v.ID == id })
	}))
	if err != nil || len(to) == 0 {
		return found, err
	}
	survivors, err := views(ctx, db, slices.Collect(maps.Values(to)))
	for gone, id := range to {
		for _, s := range survivors {
			if s.ID == id {
				s.Of = gone
				found = append(found, s)
			}
		}
	}
	return found, err
}

func views(ctx context.Context, db DB, ids []string) ([]View, error) {
	rows, err := db.Query(ctx, `-- name: Views
		SELECT e.id AS of, `+viewColumns+`, '' AS sort_key FROM entities e WHERE e.id = ANY($1) AND e.merged_into IS NULL ORDER BY e.id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.Views: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[View])
}

// ViewFilter narrows a list of one kind. Zero members do not narrow.
type ViewFilter struct {
	Search       string                    // part of what identifies the kind, any case
	Is           map[domain.Field][]string // the field has one of the values; fields of text, enumerations and references
	From, Until  string                    // days, both inclusive, of the kind's own date
	DueBefore    string                    // day
	State        string                    // of a customer's billing address
	Product      string                    // on one of the lines
	Pays         string                    // invoice that a payment or credit note is allocated to
	HasCase      *bool                     // has an open case
	UpdatedSince *time.Time
}

// ViewOrder is the order of a list.
type ViewOrder string

// Orders; each is made total by the id. Those without a value come first.
const (
	ByID      ViewOrder = "id" // the order of creation
	ByUpdated ViewOrder = "updated"
	ByName    ViewOrder = "name"
	BySKU     ViewOrder = "sku"
	ByNumber  ViewOrder = "number"
	ByDate    ViewOrder = "date"
	ByTotal   ViewOrder = "total"
)

// ViewPage asks for a page by keyset.
type ViewPage struct {
	Order ViewOrder
	Desc  bool
	// AfterKey and AfterID are the sort key and id of the last entity of the page before; empty to begin.
	AfterKey, AfterID string
	Limit             int
}

// dated are the fields with the date of a document.
var dated = map[domain.Kind]domain.Field{domain.KindQuote: "issueDate", domain.KindOrder: "orderDate", domain.KindInvoice: "issueDate",
	domain.KindCreditNote: "issueDate", domain.KindPayment: "date"}

// sortKey returns the expression that a kind's list is ordered by, and its type; "" if the kind has no such order.
func sortKey(ki domain.KindInfo, o ViewOrder) (expr, typ string) {
	text := func(f domain.Field) (string, string) {
		if _, ok := ki.Field(f); !ok {
			return "", ""
		}
		return "coalesce(lower(t." + snake(f) + `) COLLATE "C", '')`, "text"
	}
	switch o {
	case ByUpdated:
		return "t.updated_at", "timestamptz"
	case ByName:
		if ki.Kind == domain.KindCustomer {
			return text("legalName")
		}
		return text("name")
	case BySKU:
		return text("sku")
	case ByNumber:
		return text("number")
	case ByDate:
		if f := dated[ki.Kind]; f != "" {
			return "coalesce(t." + snake(f) + ", '-infinity'::date)", "date"
		}
	case ByTotal:
		for _, f := range []domain.Field{"total", "amount"} {
			if _, ok := ki.Field(f); ok {
				return "coalesce(t." + snake(f) + ", -1e30)", "numeric"
			}
		}
	}
	return "", ""
}

// where collects the conditions of a query.
type where struct {
	conds []string
	args  []any
}

// arg adds an argument and returns its place.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *where) add(format string, args ...any) {
	places := make([]any, len(args))
	for i, a := range args {
		places[i] = w.arg(a)
	}
	w.conds = append(w.conds, fmt.Sprintf(format, places...))
}

// filter adds the conditions of a filter; the error is Invalid and names what the kind does not have.
func (w *where) filter(ki domain.KindInfo, f ViewFilter) error {
	if f.Search != "" {
		escaped := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(f.Search)
		w.add("t.search LIKE '%%' || lower(%s) || '%%'", escaped)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Is)) { // the same question is the same statement
		fi, ok := ki.Field(name)
		switch {
		case ok && (fi.Type == domain.TypeText || fi.Type == domain.TypeEnum || fi.Type == domain.TypeRef || fi.Type == domain.TypeEmail || fi.Type == domain.TypeABN):
		default:
			return domain.Errorf(domain.Invalid, "a list of %s cannot be narrowed by %s", ki.Kind, name)
		}
		w.add("t."+pgx.Identifier{snake(name)}.Sanitize()+" = ANY(%s)", f.Is[name])
	}
	date := dated[ki.Kind]
	if date == "" && f.From+f.Until != "" {
		return domain.Errorf(domain.Invalid, "a list of %s cannot be narrowed by date", ki.Kind)
	}
	if f.From != "" {
		w.add("t."+snake(date)+" >= %s::text::date", f.From)
	}
	if f.Until != "" {
		w.add("t."+snake(date)+" <= %s::text::date", f.Until)
	}
	if f.DueBefore != "" {
		w.add("t.due_date < %s::text::date", f.DueBefore)
	}
	if f.State != "" {
		w.add("t.billing_state = %s", f.State)
	}
	if f.Product != "" {
		w.add("t.id IN (SELECT l.document FROM document_lines l WHERE l.product = %s)", f.Product)
	}
	if f.Pays != "" {
		w.add("t.id IN (SELECT a.document FROM allocations a WHERE a.invoice = %s)", f.Pays)
	}
	if f.HasCase != nil {
		w.add("%s = EXISTS (SELECT FROM cases k WHERE k.status = 'open' AND (k.entity_id = t.id OR k.other_id = t.id))", *f.HasCase)
	}
	if f.UpdatedSince != nil {
		w.add("t.updated_at >= %s", *f.UpdatedSince)
	}
	return nil
}

// ListViews returns a page of the entities of one kind. The error is Invalid for a filter or an order that the kind does not
// have, and for a sort key that is none.
func ListViews(ctx context.Context, db DB, kind domain.Kind, f ViewFilter, p ViewPage) ([]View, error) {
	ki, ok := kind.Info()
	if !ok {
		return nil, domain.Errorf(domain.Invalid, "there is no kind %q", kind)
	}
	w := &where{}
	if err := w.filter(ki, f); err != nil {
		return nil, err
	}
	cmp, dir := ">", "ASC"
	if p.Desc {
		cmp, dir = "<", "DESC"
	}
	key, typ := "", ""
	order := "t.id " + dir
	if p.Order != ByID {
		if key, typ = sortKey(ki, p.Order); key == "" {
			return nil, domain.Errorf(domain.Invalid, "a list of %s cannot be ordered by %s", kind, p.Order)
		}
		order = key + " " + dir + ", " + order
	}
	switch {
	case p.AfterID == "":
	case key == "":
		w.add("t.id "+cmp+" %s", p.AfterID)
	default:
		w.add("("+key+", t.id) "+cmp+" (%s::text::"+typ+", %s)", p.AfterKey, p.AfterID)
	}
	if key == "" {
		key = "''"
	}
	sql := `-- name: ListViews
		SELECT '' AS of, ` + viewColumns + `, (` + key + `)::text AS sort_key FROM ` + tables[kind] + ` t JOIN entities e ON e.id = t.id`
	if len(w.conds) > 0 {
		sql += "\n\t\tWHERE " + strings.Join(w.conds, " AND ")
	}
	sql += "\n\t\tORDER BY " + order + " LIMIT " + w.arg(p.Limit)
	rows, err := db.Query(ctx, sql, w.args...)
	if err != nil {
		return nil, fmt.Errorf("store.ListViews: %w", err)
	}
	vs, err := pgx.CollectRows(rows, pgx.RowToStructByName[View])
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pe.Code, "22") && p.AfterKey != "" { // data exception
		return nil, domain.Errorf(domain.Invalid, "%q is not a place in a list by %s", p.AfterKey, p.Order)
	}
	return vs, err
}

// Way is how children hang on their parents.
type Way string

// Ways beside that of a field which refers to the parent, which is named by the field.
const (
	PaysInvoice    Way = "pays an invoice"
	PaysCreditNote Way = "gives back a credit note"
	CorrectsOrPays Way = "corrects an invoice or is set off against it"
)

// Children are those of one kind that hang on their parents in one way, newest first, after the one with the id.
type Children struct {
	Kind  domain.Kind
	Way   Way
	After string
	Limit int // for each parent
}

// ChildViews returns the children of the parents, by parent; View.Of is the parent.
func ChildViews(ctx context.Context, db DB, c Children, parents []string) ([]View, error) {
	ki, _ := c.Kind.Info()
	cond := ""
	switch c.Way {
	case PaysInvoice:
		cond = "t.id IN (SELECT a.document FROM allocations a WHERE a.invoice = p.id)"
	case PaysCreditNote:
		cond = "t.id IN (SELECT a.document FROM allocations a WHERE a.credit_note = p.id)"
	case CorrectsOrPays:
		cond = "t.id IN (SELECT n.id FROM credit_notes n WHERE n.invoice = p.id UNION SELECT a.document FROM allocations a WHERE a.invoice = p.id)"
	default:
		fi, ok := ki.Field(domain.Field(c.Way))
		if !ok || fi.Type != domain.TypeRef && fi.Name != "origin" {
			return nil, domain.Errorf(domain.Internal, "store.ChildViews: %s does not refer to anything by %q", c.Kind, c.Way)
		}
		cond = "t." + pgx.Identifier{snake(fi.Name)}.Sanitize() + " = p.id"
	}
	rows, err := db.Query(ctx, `-- name: ChildViews
		SELECT p.id AS of, x.* FROM unnest($1::text[]) WITH ORDINALITY p(id, n) CROSS JOIN LATERAL (
			SELECT `+viewColumns+`, '' AS sort_key FROM `+tables[c.Kind]+` t JOIN entities e ON e.id = t.id
			WHERE `+cond+` AND ($2 = '' OR t.id < $2) ORDER BY t.id DESC LIMIT $3) x
		ORDER BY p.n, x.id DESC`, parents, c.After, c.Limit)
	if err != nil {
		return nil, fmt.Errorf("store.ChildViews: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[View])
}

// Movement is what moved the stock of one level, once.
type Movement struct {
	ID            int64
	StockLevel    string
	Reason        string
	OnHand        string // how much more is there
	Committed     string // how much more is promised
	ExternalID    string // what moved it
	Document      string // the order or credit note behind it, "" if none
	System        string // who reported it; "" is Datum
	CorrelationID string
	At            time.Time
}

// Movements returns up to limit movements of each stock level before the one with the id (0: from the newest), newest first.
func Movements(ctx context.Context, db DB, levels []string, before int64, limit int) ([]Movement, error) {
	rows, err := db.Query(ctx, `-- name: Movements
		SELECT x.* FROM unnest($1::text[]) WITH ORDINALITY p(id, n) CROSS JOIN LATERAL (
			SELECT m.id, m.stock_level, m.reason, m.on_hand::text, m.committed::text, m.external_id, m.document, m.system, m.correlation_id, m.at
			FROM stock_movements m WHERE m.stock_level = p.id AND ($2 = 0 OR m.id < $2) ORDER BY m.id DESC LIMIT $3) x
		ORDER BY p.n, x.id DESC`, levels, before, limit)
	if err != nil {
		return nil, fmt.Errorf("store.Movements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Movement])
}

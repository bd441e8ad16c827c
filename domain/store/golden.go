package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/money"
)

// tables are where the kinds' golden values are kept, typed.
var tables = map[domain.Kind]string{
	domain.KindCustomer: "customers", domain.KindProduct: "products", domain.KindLocation: "locations", domain.KindStockLevel: "stock_levels",
	domain.KindQuote: "quotes", domain.KindOrder: "orders", domain.KindInvoice: "invoices", domain.KindCreditNote: "credit_notes",
	domain.KindPayment: "payments",
}

// snake is a field's name as a column's: "salePrice" is "sale_price".
func snake(f domain.Field) string {
	var b strings.Builder
	for _, r := range f {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// searched are the fields in which a list's search looks.
var searched = []domain.Field{"number", "sku", "name", "title", "reference", "barcode", "code", "email", "origin"}

// columns collects the columns of one golden row.
type columns struct {
	names, exprs []string
	args         []any
}

func (c *columns) add(name, cast string, arg any) {
	c.args = append(c.args, arg)
	c.names = append(c.names, pgx.Identifier{name}.Sanitize())
	c.exprs = append(c.exprs, fmt.Sprintf("$%d%s", len(c.args), cast))
}

// text is null for an empty value.
func text(v domain.Value) *string {
	if s := v.Text(); s != "" {
		return &s
	}
	return nil
}

// queueGolden adds the upsert of an entity's typed row, its lines and its allocations to the batch.
func queueGolden(b *pgx.Batch, e *Entity) error {
	table, ki := tables[e.Kind], domain.KindInfo{}
	if table != "" {
		ki, _ = e.Kind.Info()
	}
	if ki.Kind == "" {
		return domain.Errorf(domain.Internal, "kind %s has no table", e.Kind)
	}
	c := &columns{}
	c.add("id", "", e.ID)
	c.add("version", "", e.Version)
	var search []string
	for _, fi := range ki.Fields {
		v, name := e.Golden[fi.Name], snake(fi.Name)
		if slices.Contains(searched, fi.Name) {
			search = append(search, v.Text())
		}
		switch fi.Type {
		case domain.TypeLines:
			queueLines(b, e.ID, domain.LinesOf(v))
		case domain.TypeAllocations:
			queueAllocations(b, e.ID, domain.AllocationsOf(v))
		case domain.TypeMoney:
			var m *money.Money
			if err := v.Decode(&m); err != nil {
				return shapeError(e, fi.Name, err)
			}
			var amount, currency *string
			if m != nil {
				s := m.Amount.String()
				amount, currency = &s, &m.Currency
			}
			c.add(name, "::text::numeric", amount)
			c.add(name+"_currency", "", currency)
		case domain.TypeAddress:
			var a domain.Address
			if err := v.Decode(&a); err != nil {
				return shapeError(e, fi.Name, err)
			}
			c.add(name+"_lines", "", a.Lines)
			for _, part := range [][2]string{{"suburb", a.Suburb}, {"state", a.State}, {"postcode", a.Postcode}, {"country", a.Country}} {
				c.add(name+"_"+part[0], "", text(domain.TextValue(part[1])))
			}
		case domain.TypeTags:
			var tags []string
			if err := v.Decode(&tags); err != nil {
				return shapeError(e, fi.Name, err)
			}
			c.add(name, "", tags)
		case domain.TypeCustomFields:
			var custom any
			if !v.Empty() {
				custom = v
			}
			c.add(name, "::jsonb", custom)
		case domain.TypeBool:
			c.add(name, "::text::boolean", text(v))
		case domain.TypeDecimal:
			c.add(name, "::text::numeric", text(v))
		case domain.TypeDate:
			c.add(name, "::text::date", text(v))
		case domain.TypeTime:
			c.add(name, "::text::timestamptz", text(v))
		default:
			c.add(name, "", text(v))
		}
	}
	c.add("search", "", strings.ToLower(strings.Join(search, " ")))
	sets := []string{"updated_at = now()"}
	for _, n := range c.names[1:] {
		sets = append(sets, n+" = excluded."+n)
	}
	b.Queue("-- name: queueGolden\nINSERT INTO "+table+" ("+strings.Join(c.names, ", ")+") VALUES ("+strings.Join(c.exprs, ", ")+
		") ON CONFLICT (id) DO UPDATE SET "+strings.Join(sets, ", "), c.args...)
	return nil
}

func shapeError(e *Entity, f domain.Field, err error) error {
	return &domain.Error{Code: domain.Internal, Op: "store.queueGolden", Field: f, Message: "the stored value does not fit " + string(e.Kind), Err: err}
}

func queueLines(b *pgx.Batch, id string, lines []domain.Line) {
	b.Queue(`-- name: queueLinesDelete
		DELETE FROM document_lines WHERE document = $1`, id)
	for i, l := range lines {
		b.Queue(`-- name: queueLine
			INSERT INTO document_lines (document, position, kind, product, sku, description, quantity, unit_price, discount_rate, discount_amount,
				tax_code, amount, tax, account)
			VALUES ($1, $2, coalesce(nullif($3, ''), 'ITEM'), nullif($4, ''), nullif($5, ''), nullif($6, ''), nullif($7, '')::numeric, nullif($8, '')::numeric,
				nullif($9, '')::numeric, nullif($10, '')::numeric, nullif($11, ''), nullif($12, '')::numeric, nullif($13, '')::numeric, nullif($14, ''))`,
			id, i, l.Kind, l.Product, l.SKU, l.Description, l.Quantity, l.UnitPrice, l.DiscountRate, l.DiscountAmount, l.TaxCode, l.Amount, l.Tax, l.Account)
	}
}

func queueAllocations(b *pgx.Batch, id string, as []domain.Allocation) {
	b.Queue(`-- name: queueAllocationsDelete
		DELETE FROM allocations WHERE document = $1`, id)
	for i, a := range as {
		b.Queue(`-- name: queueAllocation
			INSERT INTO allocations (document, position, invoice, credit_note, amount, date)
			VALUES ($1, $2, nullif($3, ''), nullif($4, ''), $5::text::numeric, nullif($6, '')::date)`, id, i, a.Invoice, a.CreditNote, a.Amount, a.Date)
	}
}

// reference is a typed column that refers to entities of one kind, and the column that says whose it is.
type reference struct{ table, owner, column string }

// referring returns the typed columns that refer to entities of the kind.
func referring(kind domain.Kind) (rs []reference) {
	for _, ki := range domain.KindsAll() {
		for _, fi := range ki.Fields {
			if fi.Type == domain.TypeRef && fi.Ref == kind {
				rs = append(rs, reference{tables[ki.Kind], "id", pgx.Identifier{snake(fi.Name)}.Sanitize()})
			}
		}
	}
	switch kind {
	case domain.KindProduct:
		rs = append(rs, reference{"document_lines", "document", "product"})
	case domain.KindInvoice:
		rs = append(rs, reference{"allocations", "document", "invoice"})
	case domain.KindCreditNote:
		rs = append(rs, reference{"allocations", "document", "credit_note"})
	}
	return rs
}

// queueRepoint makes everything typed that refers to the loser refer to the survivor.
func queueRepoint(b *pgx.Batch, kind domain.Kind, loser, survivor string) {
	for _, r := range referring(kind) {
		b.Queue("-- name: queueRepoint\nUPDATE "+r.table+" SET "+r.column+" = $2 WHERE "+r.column+" = $1", loser, survivor)
	}
}

// Survivors returns, for those of the ids that were merged away, the entity that now stands for them.
func Survivors(ctx context.Context, db DB, ids []string) (map[string]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := db.Query(ctx, `-- name: Survivors
		WITH RECURSIVE chain(start, id, merged_into, depth) AS (
			SELECT id, id, merged_into, 0 FROM entities WHERE id = ANY($1) AND merged_into IS NOT NULL
			UNION ALL SELECT c.start, e.id, e.merged_into, depth + 1 FROM entities e JOIN chain c ON e.id = c.merged_into WHERE depth < 50)
		SELECT DISTINCT ON (start) start, id FROM chain ORDER BY start, depth DESC`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.Survivors: %w", err)
	}
	to := map[string]string{}
	var from, id string
	_, err = pgx.ForEachRow(rows, []any{&from, &id}, func() error { to[from] = id; return nil })
	return to, err
}

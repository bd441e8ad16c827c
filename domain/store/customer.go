package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/money"
)

func queueCustomer(b *pgx.Batch, c *domain.Customer) {
	var ba, sa domain.Address
	if c.BillingAddress != nil {
		ba = *c.BillingAddress
	}
	if c.ShippingAddress != nil {
		sa = *c.ShippingAddress
	}
	var terms domain.PaymentTerms
	var days *int
	if c.PaymentTerms != nil {
		terms, days = *c.PaymentTerms, &c.PaymentTerms.Days
	}
	var credit *string
	var creditCurrency string
	if c.CreditLimit != nil {
		s := c.CreditLimit.Amount.String()
		credit, creditCurrency = &s, c.CreditLimit.Currency
	}
	var custom any
	if len(c.CustomFields) > 0 {
		custom = c.CustomFields
	}
	search := strings.ToLower(strings.Join([]string{c.LegalName, c.TradingName, c.Email, c.ABN}, " "))
	b.Queue(`-- name: queueCustomer
		INSERT INTO customers (created_at, id, version, kind, legal_name, trading_name, abn, acn, gst_registered, email, phone, mobile, website,
			billing_lines, billing_suburb, billing_state, billing_postcode, billing_country,
			shipping_lines, shipping_suburb, shipping_state, shipping_postcode, shipping_country,
			lifecycle_stage, sales_owner, terms_basis, terms_days, credit_amount, credit_currency, currency, tags, notes,
			custom_fields, status, search)
		VALUES (coalesce((SELECT created_at FROM entities WHERE id = $1), now()), $1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, ''), nullif($7, ''), $8, nullif($9, ''),
			nullif($10, ''), nullif($11, ''), nullif($12, ''), $13, nullif($14, ''), nullif($15, ''), nullif($16, ''), nullif($17, ''),
			$18, nullif($19, ''), nullif($20, ''), nullif($21, ''), nullif($22, ''), nullif($23, ''), nullif($24, ''),
			nullif($25, ''), $26, $27::text::numeric, nullif($28, ''), nullif($29, ''), $30, nullif($31, ''), $32, nullif($33, ''), $34)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, updated_at = now(), kind = excluded.kind,
			legal_name = excluded.legal_name, trading_name = excluded.trading_name, abn = excluded.abn, acn = excluded.acn,
			gst_registered = excluded.gst_registered, email = excluded.email, phone = excluded.phone, mobile = excluded.mobile,
			website = excluded.website, billing_lines = excluded.billing_lines, billing_suburb = excluded.billing_suburb,
			billing_state = excluded.billing_state, billing_postcode = excluded.billing_postcode,
			billing_country = excluded.billing_country, shipping_lines = excluded.shipping_lines,
			shipping_suburb = excluded.shipping_suburb, shipping_state = excluded.shipping_state,
			shipping_postcode = excluded.shipping_postcode, shipping_country = excluded.shipping_country,
			lifecycle_stage = excluded.lifecycle_stage, sales_owner = excluded.sales_owner, terms_basis = excluded.terms_basis,
			terms_days = excluded.terms_days, credit_amount = excluded.credit_amount, credit_currency = excluded.credit_currency,
			currency = excluded.currency, tags = excluded.tags, notes = excluded.notes, custom_fields = excluded.custom_fields,
			status = excluded.status, search = excluded.search`,
		c.ID, c.Version, c.Kind, c.LegalName, c.TradingName, c.ABN, c.ACN, c.GSTRegistered, c.Email, c.Phone, c.Mobile, c.Website,
		ba.Lines, ba.Suburb, ba.State, ba.Postcode, ba.Country, sa.Lines, sa.Suburb, sa.State, sa.Postcode, sa.Country,
		c.LifecycleStage, c.SalesOwner, terms.Basis, days, credit, creditCurrency, c.Currency, c.Tags, c.Notes, custom, c.Status, search)
	b.Queue(`-- name: queueCustomerContactsDelete
		DELETE FROM customer_contacts WHERE customer_id = $1 AND position >= $2`, c.ID, len(c.Contacts))
	for i, p := range c.Contacts {
		b.Queue(`-- name: queueCustomerContact
			INSERT INTO customer_contacts (customer_id, position, first_name, last_name, email, phone, role)
			VALUES ($1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, ''), nullif($7, ''))
			ON CONFLICT (customer_id, position) DO UPDATE SET first_name = excluded.first_name, last_name = excluded.last_name,
				email = excluded.email, phone = excluded.phone, role = excluded.role`,
			c.ID, i, p.FirstName, p.LastName, p.Email, p.Phone, p.Role)
	}
}

// customerColumns reads a customer in one statement; the contacts come along as a JSON array.
const customerColumns = `c.id, c.version, c.created_at, c.updated_at, coalesce(c.kind, ''), coalesce(c.legal_name, ''),
	coalesce(c.trading_name, ''), coalesce(c.abn, ''), coalesce(c.acn, ''), c.gst_registered, coalesce(c.email, ''), coalesce(c.phone, ''),
	coalesce(c.mobile, ''), coalesce(c.website, ''), c.billing_lines, coalesce(c.billing_suburb, ''), coalesce(c.billing_state, ''),
	coalesce(c.billing_postcode, ''), coalesce(c.billing_country, ''), c.shipping_lines, coalesce(c.shipping_suburb, ''),
	coalesce(c.shipping_state, ''), coalesce(c.shipping_postcode, ''), coalesce(c.shipping_country, ''), coalesce(c.lifecycle_stage, ''),
	coalesce(c.sales_owner, ''), c.terms_basis, c.terms_days, c.credit_amount::text, c.credit_currency, coalesce(c.currency, ''), c.tags,
	coalesce(c.notes, ''), c.custom_fields, coalesce(c.status, ''),
	(SELECT json_agg(json_strip_nulls(json_build_object('firstName', p.first_name, 'lastName', p.last_name, 'email', p.email,
		'phone', p.phone, 'role', p.role)) ORDER BY p.position) FROM customer_contacts p WHERE p.customer_id = c.id)`

func scanCustomer(row pgx.CollectableRow) (*domain.Customer, error) {
	var c domain.Customer
	var ba, sa domain.Address
	var basis, credit, creditCurrency *string
	var days *int
	err := row.Scan(&c.ID, &c.Version, &c.CreatedAt, &c.UpdatedAt, &c.Kind, &c.LegalName, &c.TradingName, &c.ABN, &c.ACN,
		&c.GSTRegistered, &c.Email, &c.Phone, &c.Mobile, &c.Website, &ba.Lines, &ba.Suburb, &ba.State, &ba.Postcode, &ba.Country,
		&sa.Lines, &sa.Suburb, &sa.State, &sa.Postcode, &sa.Country, &c.LifecycleStage, &c.SalesOwner, &basis, &days, &credit,
		&creditCurrency, &c.Currency, &c.Tags, &c.Notes, &c.CustomFields, &c.Status, &c.Contacts)
	if err != nil {
		return nil, err
	}
	if !emptyAddress(ba) {
		c.BillingAddress = &ba
	}
	if !emptyAddress(sa) {
		c.ShippingAddress = &sa
	}
	if basis != nil && days != nil {
		c.PaymentTerms = &domain.PaymentTerms{Basis: *basis, Days: *days}
	}
	if credit != nil && creditCurrency != nil {
		d, err := decimal.NewFromString(*credit)
		if err != nil {
			return nil, err
		}
		c.CreditLimit = &money.Money{Amount: d, Currency: *creditCurrency}
	}
	return &c, nil
}

func emptyAddress(a domain.Address) bool {
	return len(a.Lines) == 0 && a.Suburb+a.State+a.Postcode+a.Country == ""
}

// Customers returns the golden customers with these ids; unknown and merged ids are missing.
func Customers(ctx context.Context, db DB, ids []string) ([]*domain.Customer, error) {
	rows, err := db.Query(ctx, `-- name: Customers
		SELECT `+customerColumns+` FROM customers c WHERE c.id = ANY($1) ORDER BY c.id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.Customers: %w", err)
	}
	return pgx.CollectRows(rows, scanCustomer)
}

// Customer returns one golden customer, following merges; NotFound if there is none.
func Customer(ctx context.Context, db DB, id string) (*domain.Customer, error) {
	rows, err := db.Query(ctx, `-- name: Customer
		SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("store.Customer: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCustomer)
	if !errors.Is(err, pgx.ErrNoRows) {
		return c, err
	}
	s, err := Survivor(ctx, db, id)
	if err != nil {
		return nil, err
	}
	if s == id {
		return nil, domain.Errorf(domain.NotFound, "there is no customer %s", id)
	}
	return Customer(ctx, db, s)
}

// CustomerFilter narrows a list of customers. Zero fields do not narrow.
type CustomerFilter struct {
	Search         string // part of a name, e-mail or ABN, any case
	ABN            string // 11 digits
	Email          string
	Kind           string
	LifecycleStage string
	Status         string
	State          string  // of the billing address
	HasCase        *bool   // has an open case
	UpdatedSince   *string // RFC 3339
}

// CustomerOrder is the order of a list of customers.
type CustomerOrder string

// Orders; each is made total by the id.
const (
	OrderByID      CustomerOrder = "id" // the order of creation
	OrderByName    CustomerOrder = "name"
	OrderByUpdated CustomerOrder = "updated"
)

// CustomerPage asks for a page by keyset.
type CustomerPage struct {
	Order CustomerOrder
	Desc  bool
	// AfterKey and AfterID are the sort key (as text) and id of the last customer of the page before; empty to begin.
	AfterKey, AfterID string
	Limit             int
}

// CustomerRow is a customer with its sort key, for the next page's cursor.
type CustomerRow struct {
	*domain.Customer
	SortKey string
}

// ListCustomers returns a page of customers.
func ListCustomers(ctx context.Context, db DB, f CustomerFilter, p CustomerPage) ([]CustomerRow, error) {
	key := map[CustomerOrder]string{OrderByID: "''::text", OrderByName: "coalesce(lower(c.legal_name), '')",
		OrderByUpdated: "to_char(c.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"}[p.Order]
	if key == "" {
		return nil, domain.Errorf(domain.Invalid, "customers cannot be ordered by %q", p.Order)
	}
	cmp, dir := ">", "ASC"
	if p.Desc {
		cmp, dir = "<", "DESC"
	}
	rows, err := db.Query(ctx, `-- name: ListCustomers
		SELECT `+customerColumns+`, `+key+` AS sort_key FROM customers c
		WHERE ($1 = '' OR c.search LIKE '%' || replace(replace(replace(lower($1), '\', '\\'), '%', '\%'), '_', '\_') || '%')
			AND ($2 = '' OR c.abn = $2) AND ($3 = '' OR c.email = $3) AND ($4 = '' OR c.kind = $4)
			AND ($5 = '' OR c.lifecycle_stage = $5) AND ($6 = '' OR c.status = $6) AND ($7 = '' OR c.billing_state = $7)
			AND ($8::boolean IS NULL OR $8 = EXISTS (SELECT 1 FROM cases k WHERE k.status = 'open' AND (k.entity_id = c.id OR k.other_id = c.id)))
			AND ($9::text IS NULL OR c.updated_at >= $9::text::timestamptz)
			AND ($11 = '' OR (`+key+` `+cmp+` $10 OR (`+key+` = $10 AND c.id `+cmp+` $11)))
		ORDER BY `+key+` `+dir+`, c.id `+dir+` LIMIT $12`,
		f.Search, f.ABN, f.Email, f.Kind, f.LifecycleStage, f.Status, f.State, f.HasCase, f.UpdatedSince, p.AfterKey, p.AfterID, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("store.ListCustomers: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (CustomerRow, error) {
		var r CustomerRow
		var err error
		r.Customer, err = scanCustomer(lastColumn{row, &r.SortKey})
		return r, err
	})
}

// lastColumn scans one column more than the wrapped scan asks for.
type lastColumn struct {
	pgx.CollectableRow
	dst any
}

func (r lastColumn) Scan(dst ...any) error { return r.CollectableRow.Scan(append(dst, r.dst)...) }

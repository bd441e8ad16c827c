package store

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"datum/domain"
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

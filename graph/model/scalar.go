// Package model has the types of the GraphQL schema: generated ones, and the scalars written here. It leaves filling
// them to package graph.
package model

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/money"
)

func invalid(message string) error {
	return &domain.Error{Code: domain.Invalid, Message: message}
}

// MarshalTime writes a moment in UTC, RFC 3339; the zero time is null.
func MarshalTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(time.RFC3339Nano)))
	})
}

// UnmarshalTime reads RFC 3339 with an offset.
func UnmarshalTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, invalid("a time is text such as 2026-07-01T09:30:00+10:00")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, invalid("a time is text such as 2026-07-01T09:30:00+10:00")
	}
	return t.UTC(), nil
}

// MarshalDecimal writes an amount of money as text, with at least two decimals.
func MarshalDecimal(d decimal.Decimal) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(money.Money{Amount: d}.Decimal()))
	})
}

// UnmarshalDecimal reads text, or a JSON number, which arrives here with its digits intact. A float literal in a query
// has already lost them and is refused.
func UnmarshalDecimal(v any) (decimal.Decimal, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	case int64:
		s = strconv.FormatInt(v, 10)
	default:
		return decimal.Decimal{}, invalid(`a decimal is text such as "1234.50"`)
	}
	// An exponent such as 1e999999999 would be a huge number once written out.
	if len(s) > 40 || bytes.ContainsAny([]byte(s), "eE") {
		return decimal.Decimal{}, invalid(`a decimal is text such as "1234.50", at most 40 characters`)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}, invalid(`a decimal is text such as "1234.50"`)
	}
	return d, nil
}

// Exact is a decimal that is not an amount of money: a quantity, a unit price, a weight. It stays as it is kept, without
// trailing zeros.
type Exact string

// MarshalGQL writes it as text.
func (e Exact) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(e))) }

// UnmarshalGQL reads what UnmarshalDecimal does.
func (e *Exact) UnmarshalGQL(v any) error {
	d, err := UnmarshalDecimal(v)
	*e = Exact(d.String())
	return err
}

// MarshalDate writes a day.
func MarshalDate(s string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(s)) })
}

// UnmarshalDate reads a day.
func UnmarshalDate(v any) (string, error) {
	s, _ := v.(string)
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", invalid("a date is text such as 2026-03-31")
	}
	return s, nil
}

// MarshalJSON writes the value as it stands; nil is null.
func MarshalJSON(b json.RawMessage) graphql.Marshaler {
	if len(b) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(b) })
}

// UnmarshalJSON reads any value.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, invalid("not a JSON value")
	}
	return b, nil
}

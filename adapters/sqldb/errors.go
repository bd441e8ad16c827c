package sqldb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/adapters"
	"datum/domain"
)

func (a *adapter) err(code domain.Code, format string, args ...any) *domain.Error {
	e := domain.Errorf(code, format, args...)
	e.System = a.s.System
	return e
}

// failure classifies what a driver returns before anything is committed, so that nothing was done. t may be nil.
func (a *adapter) failure(ctx context.Context, t *table, err error) error {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return a.refusal(t, postgresCode(pg.Code), pg.Message, pg.ColumnName+" "+pg.Detail+" "+pg.ConstraintName+" "+pg.Message, pg)
	}
	if my, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return a.refusal(t, mysqlCode(my.Number), my.Message, my.Message, my)
	}
	if ctx.Err() != nil {
		return &domain.Error{Code: domain.Unavailable, System: a.s.System, Message: "stopped before the database had answered; nothing was changed", Err: context.Cause(ctx)}
	}
	return &domain.Error{Code: domain.Unavailable, System: a.s.System, Message: "no connection to the database, or it was lost; nothing was changed", Err: err}
}

// refusal is what the database says no with, in its own words.
func (a *adapter) refusal(t *table, code domain.Code, words, names string, cause error) *domain.Error {
	e := &domain.Error{Code: code, System: a.s.System, Err: cause}
	switch code {
	case domain.Unauthorized:
		e.Message = "the database refuses the user or password; set dsn anew"
	case domain.Forbidden:
		e.Message = "the database refused access: " + words + "; grant it to the user of the dsn"
	case domain.Unavailable:
		e.Message = "the database cannot do it now: " + words
	default:
		a.forget()
		e.Message = "the database refused: " + words
		if t != nil {
			if f, column := t.named(names); column != "" {
				e.Field = f
				if !strings.Contains(words, column) {
					e.Message += " (column " + column + ")"
				}
			}
		}
	}
	return e
}

// postgresCode classifies an SQLSTATE (PostgreSQL manual, appendix A).
func postgresCode(state string) domain.Code {
	class := state
	if len(state) == 5 {
		class = state[:2]
	}
	switch {
	case state == "23505" || state == "23P01":
		return domain.Conflict
	case state == "42501" || state == "25006": // privilege; a replica
		return domain.Forbidden
	case class == "28":
		return domain.Unauthorized
	case state == "57014" || state == "55P03" || state == "55006":
		return domain.Unavailable
	case slices.Contains([]string{"08", "40", "53", "57", "58", "XX"}, class):
		return domain.Unavailable
	}
	return domain.Invalid
}

// mysqlCode classifies an error number (MySQL and MariaDB server error references).
func mysqlCode(n uint16) domain.Code {
	switch n {
	case 1062, 1586, 1859:
		return domain.Conflict
	case 1044, 1142, 1143, 1227, 1290, 1370, 1792, 1836:
		return domain.Forbidden
	case 1045, 1698, 1862, 3118:
		return domain.Unauthorized
	case 1020, 1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1206, 1213, 1226, 1317, 1637, 1969, 3024:
		return domain.Unavailable
	}
	return domain.Invalid
}

var word = regexp.MustCompile(`[A-Za-z0-9_]+`)

// named finds the column that a message names, and its field.
func (t *table) named(text string) (domain.Field, string) {
	words := word.FindAllString(text, -1)
	for _, w := range words {
		for name, f := range t.Fields {
			if slices.Contains(f.columns(), w) || f.Table != "" && slices.Contains(f.ownColumns(), w) {
				return name, w
			}
		}
	}
	for _, w := range words {
		if slices.Contains(t.columns(), w) {
			return "", w
		}
	}
	return "", ""
}

var width = regexp.MustCompile(`character(?: varying)?\((\d+)\)`)

// tooLong is the field of a write that does not fit a column whose width is all that Postgres says of it.
func tooLong(w adapters.Write, message string) domain.Field {
	m := width.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	n, _ := strconv.Atoi(m[1])
	for _, f := range w.Values.Fields() {
		if utf8.RuneCountInString(w.Values[f].Text()) > n {
			return f
		}
	}
	return ""
}

// label names a write in an error.
func label(w adapters.Write) string {
	id := w.ExternalID
	if id == "" {
		id = w.CanonicalID
	}
	for _, f := range []domain.Field{"legalName", "name", "number", "sku", "reference"} {
		for _, v := range []domain.Values{w.Values, w.Golden} {
			if s := v[f].Text(); s != "" {
				return fmt.Sprintf("%s %q (%s)", strings.ToLower(string(w.Kind)), s, id)
			}
		}
	}
	return strings.ToLower(string(w.Kind)) + " " + id
}

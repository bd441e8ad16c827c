package sqldb

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"datum/adapters"
	"datum/domain"
)

type object = adapters.Object

// types are the database's names of the types of a table's columns, by column.
type types map[string]string

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// query returns the rows as objects with the values of JSON, and the types of their columns.
func (a *adapter) query(ctx context.Context, q querier, s *statement) ([]object, types, error) {
	rows, err := q.QueryContext(ctx, s.sql.String(), s.args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	cols, err := rows.ColumnTypes()
	if err != nil {
		return nil, nil, err
	}
	ts := types{}
	for _, c := range cols {
		ts[c.Name()] = c.DatabaseTypeName()
	}
	var objects []object
	vals, dest := make([]any, len(cols)), make([]any, len(cols))
	for i := range vals {
		dest[i] = &vals[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, nil, err
		}
		o := make(object, len(cols))
		for i, c := range cols {
			o[c.Name()] = a.fromDatabase(vals[i], c.DatabaseTypeName())
		}
		objects = append(objects, o)
	}
	return objects, ts, rows.Err()
}

// typesOf returns the types of a table's columns, asking the database the first time.
func (a *adapter) typesOf(ctx context.Context, q querier, name string) (types, error) {
	a.mu.Lock()
	ts := a.types[name]
	a.mu.Unlock()
	if ts != nil {
		return ts, nil
	}
	_, ts, err := a.query(ctx, q, (&statement{d: a.d}).add("SELECT * FROM ", a.d.table(name), " WHERE 1 = 0"))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.types[name] = ts
	return ts, nil
}

// forget makes the types of columns be asked for again: a refusal may come from a table that was altered.
func (a *adapter) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.types)
}

// isNaive reports whether values of the type are times of day without a zone.
func (d dialect) isNaive(typ string) bool {
	return d == postgres && typ == "TIMESTAMP" || d == mariadb && (typ == "TIMESTAMP" || typ == "DATETIME")
}

func isTime(typ string) bool { return typ == "TIMESTAMP" || typ == "TIMESTAMPTZ" || typ == "DATETIME" }

// fromDatabase makes what the driver returns into a value of JSON. Times become instants in UTC; those without zone are taken
// to be in the setting's.
func (a *adapter) fromDatabase(x any, typ string) any {
	switch x := x.(type) {
	case nil, bool:
		return x
	case int64:
		return json.Number(strconv.FormatInt(x, 10))
	case uint64:
		return json.Number(strconv.FormatUint(x, 10))
	case float64:
		return json.Number(strconv.FormatFloat(x, 'f', -1, 64))
	case float32:
		return json.Number(strconv.FormatFloat(float64(x), 'f', -1, 32))
	case time.Time:
		switch {
		case x.IsZero(): // MySQL's 0000-00-00
			return nil
		case typ == "DATE":
			return x.Format(time.DateOnly)
		case a.d.isNaive(typ):
			x = time.Date(x.Year(), x.Month(), x.Day(), x.Hour(), x.Minute(), x.Second(), x.Nanosecond(), a.zone)
		}
		return x.UTC().Format(time.RFC3339Nano)
	case []byte:
		switch {
		case typ == "BIT":
			var n uint64
			for _, b := range x {
				n = n<<8 | uint64(b)
			}
			return json.Number(strconv.FormatUint(n, 10))
		case typ == "BYTEA" || strings.Contains(typ, "BLOB") || strings.Contains(typ, "BINARY") || !utf8.Valid(x):
			return hex.EncodeToString(x)
		}
		return fromText(string(x), typ)
	case string:
		return fromText(x, typ)
	}
	return fmt.Sprint(x)
}

func fromText(s, typ string) any {
	switch typ {
	case "JSON", "JSONB":
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		var v any
		if d.Decode(&v) == nil {
			return v
		}
	case "_TEXT", "_VARCHAR", "_BPCHAR":
		var list []string
		if pgtype.NewMap().Scan(pgtype.TextArrayOID, pgtype.TextFormatCode, []byte(s), &list) == nil {
			out := make([]any, len(list))
			for i, t := range list {
				out[i] = t
			}
			return out
		}
	case "BPCHAR", "CHAR":
		return strings.TrimRight(s, " ")
	}
	return s
}

// toDatabase makes a value of JSON into an argument for a column of the type: text, which both databases convert, or NULL.
func (a *adapter) toDatabase(x any, typ string) any {
	switch x := x.(type) {
	case nil:
		return nil
	case bool:
		if typ == "BOOL" && a.d == postgres {
			return strconv.FormatBool(x)
		}
		n := int64(0)
		if x {
			n = 1
		}
		if typ == "BIT" && a.d == mariadb {
			return n
		}
		return strconv.FormatInt(n, 10)
	case string:
		if n, err := strconv.ParseInt(x, 10, 64); err == nil && typ == "BIT" && a.d == mariadb {
			return n // as text it would be the digit's own bits
		}
		return a.timeFor(x, typ)
	case json.Number:
		return x.String()
	case []any:
		if strings.HasPrefix(typ, "_") {
			return arrayOf(x)
		}
	}
	return string(domain.ValueOf(x))
}

// timeFor spells an instant or a date for columns that hold times, and leaves any other text as it is.
func (a *adapter) timeFor(s, typ string) string {
	if !isTime(typ) && typ != "DATE" {
		return s
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.ParseInLocation(time.DateOnly, s, a.zone); err != nil {
			return s
		}
	}
	switch {
	case typ == "DATE":
		return t.In(a.zone).Format(time.DateOnly)
	case a.d.isNaive(typ):
		return t.In(a.zone).Format("2006-01-02 15:04:05.999999")
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// arrayOf spells a list of text as Postgres does.
func arrayOf(list []any) string {
	quoted := make([]string, len(list))
	for i, x := range list {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(fmt.Sprint(x)) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// scalar returns a value of JSON as text, "" for null, and whether it is one and not a list or an object.
func scalar(x any) (string, bool) {
	switch x := x.(type) {
	case nil:
		return "", true
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// Keys of several columns are one external id with commas between, and with commas and per cent signs inside written %2C and
// %25.
var keyEscape, keyUnescape = strings.NewReplacer("%", "%25", ",", "%2C"), strings.NewReplacer("%25", "%", "%2C", ",")

func joinKey(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = keyEscape.Replace(p)
	}
	return strings.Join(escaped, ",")
}

// splitKey returns the values of a key of n columns, false if the id is not of one.
func splitKey(id string, n int) ([]string, bool) {
	if n == 1 {
		return []string{id}, id != ""
	}
	parts := strings.Split(id, ",")
	if len(parts) != n {
		return nil, false
	}
	for i := range parts {
		parts[i] = keyUnescape.Replace(parts[i])
	}
	return parts, true
}

// keyOf returns the texts of an object's columns, false if one of them is NULL or not there.
func keyOf(o object, columns []string) ([]string, bool) {
	parts := make([]string, len(columns))
	for i, c := range columns {
		s, ok := scalar(o[c])
		if !ok || o[c] == nil {
			return nil, false
		}
		parts[i] = s
	}
	return parts, true
}

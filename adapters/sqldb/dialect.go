package sqldb

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"datum/domain"
)

// dialect is what differs between the databases' SQL.
type dialect int

const (
	postgres dialect = iota
	mariadb          // and MySQL
)

// connect returns a pool for the address of a database. It makes no connection. No part of the address is in its errors.
func connect(dsn string) (*sql.DB, dialect, string, error) {
	bad := domain.Errorf(domain.Invalid, "the setting dsn must be an address such as postgres://user:password@host:5432/database or mysql://user:password@host:3306/database")
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" && u.Query().Get("host") == "" || strings.Trim(u.Path, "/") == "" {
		return nil, 0, "", bad
	}
	name := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "postgres", "postgresql":
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, 0, "", bad
		}
		if cfg.RuntimeParams["application_name"] == "" {
			cfg.RuntimeParams["application_name"] = "datum"
		}
		// A pooler between us and the database may not know statements that were prepared on another connection.
		cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
		return stdlib.OpenDB(*cfg), postgres, name, nil
	case "mysql", "mariadb":
		host, network := u.Host, "tcp"
		if u.Port() == "" {
			host += ":3306"
		}
		if s := u.Query().Get("socket"); s != "" {
			host, network = s, "unix"
			q := u.Query()
			q.Del("socket")
			u.RawQuery = q.Encode()
		}
		cfg, err := mysql.ParseDSN(fmt.Sprintf("%s(%s)/?%s", network, host, u.RawQuery))
		if err != nil {
			return nil, 0, "", bad
		}
		cfg.DBName, cfg.User = name, u.User.Username()
		cfg.Passwd, _ = u.User.Password()
		cfg.ParseTime, cfg.Loc = true, time.UTC
		cfg.AllowAllFiles, cfg.MultiStatements, cfg.InterpolateParams = false, false, false
		cfg.ClientFoundRows = true
		cfg.Logger = &mysql.NopLogger{}
		c, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, 0, "", bad
		}
		return sql.OpenDB(c), mariadb, name, nil
	}
	return nil, 0, "", bad
}

// quote makes a name of the configuration into an identifier; a dot parts schema and table.
func (d dialect) quote(name string) string {
	q := `"`
	if d == mariadb {
		q = "`"
	}
	return q + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), q, q+q) + q
}

// table quotes the name of a table, which may have its schema before a dot.
func (d dialect) table(name string) string {
	if schema, t, ok := strings.Cut(name, "."); ok {
		return d.quote(schema) + "." + d.quote(t)
	}
	return d.quote(name)
}

// text casts an expression to text.
func (d dialect) text(expr string) string {
	if d == mariadb {
		return "CAST(" + expr + " AS CHAR)"
	}
	return "CAST(" + expr + " AS text)"
}

// now is the instant by the database's clock, in UTC.
func (d dialect) now() string {
	if d == mariadb {
		return "UTC_TIMESTAMP(6)"
	}
	return "statement_timestamp()"
}

// statement is SQL as it grows, with its arguments.
type statement struct {
	d    dialect
	sql  strings.Builder
	args []any
}

func (s *statement) add(parts ...string) *statement {
	for _, p := range parts {
		s.sql.WriteString(p)
	}
	return s
}

// arg adds an argument and returns its place holder.
func (s *statement) arg(x any) string {
	s.args = append(s.args, x)
	if s.d == mariadb {
		return "?"
	}
	return fmt.Sprintf("$%d", len(s.args))
}

// equal is the condition that the columns have the values.
func (s *statement) equal(alias string, columns, vals []string) string {
	var terms []string
	for i, c := range columns {
		terms = append(terms, alias+s.d.quote(c)+" = "+s.arg(vals[i]))
	}
	return "(" + strings.Join(terms, " AND ") + ")"
}

// among is the condition that the columns have one of the keys' values.
func (s *statement) among(alias string, columns []string, keys [][]string) string {
	terms := make([]string, len(keys))
	for i, k := range keys {
		if len(columns) == 1 {
			terms[i] = s.arg(k[0])
		} else {
			terms[i] = s.equal(alias, columns, k)
		}
	}
	if len(columns) == 1 {
		return alias + s.d.quote(columns[0]) + " IN (" + strings.Join(terms, ", ") + ")"
	}
	return "(" + strings.Join(terms, " OR ") + ")"
}

// after is the condition that the columns come after the values in their order.
func (s *statement) after(alias string, columns, vals []string) string {
	var alternatives []string
	for i, c := range columns {
		var terms []string
		if i > 0 {
			terms = append(terms, s.equal(alias, columns[:i], vals[:i]))
		}
		terms = append(terms, alias+s.d.quote(c)+" > "+s.arg(vals[i]))
		alternatives = append(alternatives, strings.Join(terms, " AND "))
	}
	return "(" + strings.Join(alternatives, " OR ") + ")"
}

// list quotes columns, each with the alias before it.
func (d dialect) list(alias string, columns []string) string {
	qs := make([]string, len(columns))
	for i, c := range columns {
		qs[i] = alias + d.quote(c)
	}
	return strings.Join(qs, ", ")
}

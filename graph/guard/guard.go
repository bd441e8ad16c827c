// Package guard refuses GraphQL requests that would cost too much before they are validated, planned or run. Every
// measure visits each fragment once, however often it is spread, so that looking costs no more than the text is long.
// It also provides the cache of parsed queries, capped by bytes. What a caller may see is left to the resolvers.
package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// Refused is the code of a request that would cost too much.
const Refused = "TOO_EXPENSIVE"

// Limits are the most that one request may have of each. All are inclusive.
type Limits struct {
	Bytes         int // of query text
	Tokens        int // of query text
	Operations    int // in the document
	Fragments     int // in the document
	Variables     int // defined by one operation
	Aliases       int // in the document
	Directives    int // in the document
	Depth         int // of nested fields, fragments expanded
	Fields        int // of the operations, fragments expanded
	RootFields    int // of one operation, fragments expanded
	Introspection int // occurrences of __schema and __type, fragments expanded
	Repeats       int // fields that occur more than once at one place: validation compares them in pairs
	Page          int // of a connection: first
	List          int // elements of one list among arguments and variables
	Values        int // values in all variables together
	Cost          int // objects and fields in the answer at most, as far as can be told beforehand
}

// DefaultLimits leave room for the introspection of common tools and for a page of 100 customers with everything.
func DefaultLimits() Limits {
	return Limits{
		Bytes: 64 << 10, Tokens: 6000, Operations: 10, Fragments: 100, Variables: 100, Aliases: 100, Directives: 100,
		Depth: 16, Fields: 2000, RootFields: 20, Introspection: 4, Repeats: 200, Page: 100, List: 500, Values: 5000,
		Cost: 100_000,
	}
}

// Work is what looking at a request took and found.
type Work struct {
	Visits int // nodes of the document that were visited
	Depth  int
	Fields int // fragments expanded
	Cost   int
}

// Guard is a gqlgen extension. It is safe for concurrent use.
type Guard struct {
	schema *ast.Schema
	limits Limits
	docs   *Cache
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = (*Guard)(nil)

// New returns a guard. docs is the executor's query cache: what is in it has been parsed and validated before.
func New(schema *ast.Schema, limits Limits, docs *Cache) *Guard {
	return &Guard{schema: schema, limits: limits, docs: docs}
}

// ExtensionName implements graphql.HandlerExtension.
func (g *Guard) ExtensionName() string { return "Guard" }

// Validate implements graphql.HandlerExtension.
func (g *Guard) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator; it runs before parsing and validation.
func (g *Guard) MutateOperationParameters(ctx context.Context, p *graphql.RawParams) *gqlerror.Error {
	_, err := g.Check(ctx, p.Query, p.Variables)
	return err
}

// Check measures a request. The error has the code Refused, or GRAPHQL_PARSE_FAILED if the query cannot be parsed;
// what is merely invalid passes, for validation to say so.
func (g *Guard) Check(ctx context.Context, query string, vars map[string]any) (Work, *gqlerror.Error) {
	if err := g.over("bytes", len(query), g.limits.Bytes); err != nil {
		return Work{}, err
	}
	if err := g.checkVariables(vars); err != nil {
		return Work{}, err
	}
	doc, known := g.docs.Get(ctx, query)
	if !known {
		var err error
		doc, err = parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, g.limits.Tokens)
		if err != nil {
			ge := &gqlerror.Error{}
			if !errors.As(err, &ge) {
				ge = gqlerror.Wrap(err)
			}
			if strings.Contains(ge.Message, "token limit") {
				return Work{}, refuse("tokens", g.limits.Tokens, fmt.Sprintf("the query has more than %d tokens", g.limits.Tokens))
			}
			if strings.Contains(ge.Message, "nesting depth") {
				return Work{}, refuse("levels", g.limits.Depth, fmt.Sprintf("the query has too many levels, at most %d", g.limits.Depth))
			}
			ge.Extensions = map[string]any{"code": errcode.ParseFailed}
			return Work{}, ge
		}
	}
	m := &measure{g: g, doc: doc, vars: vars, fragments: map[string]*size{}}
	err := m.document(known)
	return m.work, err
}

func (g *Guard) over(what string, have, limit int) *gqlerror.Error {
	if have <= limit {
		return nil
	}
	return refuse(what, limit, fmt.Sprintf("the query has too many %s: %d, at most %d", what, have, limit))
}

func refuse(what string, limit int, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": Refused, "limit": what, "max": limit}}
}

// checkVariables bounds lists and the number of values among the variables.
func (g *Guard) checkVariables(vars map[string]any) *gqlerror.Error {
	values := 0
	var walk func(v any) *gqlerror.Error
	walk = func(v any) *gqlerror.Error {
		if values++; values > g.limits.Values {
			return refuse("values", g.limits.Values, fmt.Sprintf("the variables have more than %d values", g.limits.Values))
		}
		switch v := v.(type) {
		case []any:
			if len(v) > g.limits.List {
				return refuse("list", g.limits.List, fmt.Sprintf("a list has %d elements, at most %d", len(v), g.limits.List))
			}
			for _, e := range v {
				if err := walk(e); err != nil {
					return err
				}
			}
		case map[string]any:
			for _, e := range v {
				if err := walk(e); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, v := range vars {
		if err := walk(v); err != nil {
			return err
		}
	}
	return nil
}

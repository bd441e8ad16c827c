// Package graph is Datum's GraphQL API: the schema, thin resolvers, who may call what, and what a caller may see of an
// error. Reads go to package store through loaders, writes to package change, events come from package feed; how GraphQL
// travels is left to graph/transport, and what a query may cost to graph/guard.
package graph

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/guard"
	"datum/graph/loader"
	"datum/graph/transport"
)

// Config configures the API. Pool, Feed, Changes and Log are needed; other zero values mean the defaults.
type Config struct {
	Pool    *pgxpool.Pool
	Feed    *feed.Hub
	Changes *change.Applier
	Log     *slog.Logger

	// Policy says what a published policy must fit; a Schema that is nil is this API's.
	Policy ownership.Surroundings

	// Sealer seals the secrets of alerts, and Metrics are what they may watch.
	Sealer  store.Sealer
	Metrics []string

	// Mappings knows how systems' objects are mapped; nil: nothing can be said about it.
	Mappings Mappings

	Introspection bool // the schema can be read, and messages suggest names
	Playground    bool // GET with Accept: text/html answers with GraphiQL
	// PlaygroundKey is an API key that the playground shows to whoever can reach it: for demos only.
	PlaygroundKey string
	// Origins are other origins, such as "https://app.example.com", whose pages may send mutations and open WebSockets.
	Origins []string
	// Done ends all streams when it is closed, so that the process can stop; clients come back with their cursor.
	Done <-chan struct{}
	// Limits are the guard's; zero means guard.DefaultLimits.
	Limits guard.Limits
	// QueryCache is how many bytes of query text are kept parsed; 512 KiB. The parsed form takes about a hundred times it.
	QueryCache int
	// HealthInterval is how often systemHealth looks; 2 s.
	HealthInterval time.Duration
	// Now is the clock of the cache of API keys.
	Now func() time.Time
	// Transport has the limits of the transports; the rest of it is filled in here.
	Transport transport.Config
}

// Schema returns the schema.
func Schema() *ast.Schema {
	return gen.NewExecutableSchema(gen.Config{}).Schema()
}

// NewHandler returns the handler of the API, to be served at one path, /graphql by custom: queries and mutations over
// HTTP, subscriptions over server-sent events and WebSocket. Every request needs an API key.
func NewHandler(c Config) (http.Handler, error) {
	if c.Pool == nil || c.Feed == nil || c.Changes == nil || c.Log == nil {
		return nil, errors.New("graph.NewHandler: Pool, Feed, Changes and Log are needed")
	}
	if c.Limits == (guard.Limits{}) {
		c.Limits = guard.DefaultLimits()
	}
	if c.QueryCache == 0 {
		c.QueryCache = 512 << 10
	}
	if c.HealthInterval == 0 {
		c.HealthInterval = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Mappings == nil {
		c.Mappings = noMappings{}
	}
	if c.Policy.Schema == nil {
		c.Policy.Schema = Schema()
	}
	r := &Resolver{pool: c.Pool, feed: c.Feed, changes: c.Changes, log: c.Log, around: c.Policy, sealer: c.Sealer, metrics: c.Metrics, mappings: c.Mappings, health: newHealthWatch(c.Pool, c.HealthInterval)}
	p := presenter{log: c.Log, suggest: c.Introspection}
	t := c.Transport
	t.Exec, t.Gate, t.Log, t.Present, t.Done = newExecutor(c, r, p), newGate(c.Pool, c.Now), c.Log, p.present, c.Done
	cross := http.NewCrossOriginProtection()
	for _, o := range c.Origins {
		if err := cross.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	cross.SetDenyHandler(http.HandlerFunc(transport.RefuseOrigin))
	t.Origins = hosts(c.Origins)
	h := cross.Handler(transport.New(t))
	if c.Playground {
		var err error
		if h, err = playground(h, c.PlaygroundKey); err != nil {
			return nil, err
		}
	}
	return correlated(h), nil
}

func newExecutor(c Config, r *Resolver, p presenter) *executor.Executor {
	es := gen.NewExecutableSchema(gen.Config{Resolvers: r, Directives: gen.DirectiveRoot{Requires: requires}})
	docs := guard.NewCache(c.QueryCache)
	x := executor.New(es)
	x.SetQueryCache(docs)
	x.SetParserTokenLimit(c.Limits.Tokens)
	x.SetDisableSuggestion(!c.Introspection)
	x.SetErrorPresenter(p.present)
	x.SetRecoverFunc(func(ctx context.Context, v any) error { return p.recovered(ctx, v, debug.Stack()) })
	x.Use(guard.New(es.Schema(), c.Limits, docs))
	if c.Introspection {
		x.Use(introspection{})
	}
	x.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		// Fresh for every response, so an event of a subscription never shows what a former one read.
		resp := next(loader.With(ctx, loader.New(c.Pool)))
		if resp != nil {
			resp.Errors = capErrors(resp.Errors)
		}
		return resp
	})
	return x
}

// correlated gives every request a correlation id, the caller's own if it sends one in X-Correlation-Id, and tells it to the
// caller.
func correlated(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := domain.Correlation(r.Context())
		if id == "" {
			if id = r.Header.Get("X-Correlation-Id"); !domain.ValidCorrelation(id) {
				id = domain.NewID("req")
			}
			r = r.WithContext(domain.WithCorrelation(r.Context(), id))
		}
		w.Header().Set("X-Correlation-Id", id)
		h.ServeHTTP(w, r)
	})
}

// hosts returns the hosts of origins, in the form that the WebSocket library matches.
func hosts(origins []string) []string {
	var hs []string
	for _, o := range origins {
		if u, err := url.Parse(o); err == nil && u.Host != "" {
			hs = append(hs, u.Host)
		}
	}
	return hs
}

// introspection is an extension that lets the schema be read.
type introspection struct{}

var _ graphql.OperationContextMutator = introspection{}

func (introspection) ExtensionName() string { return "Introspection" }

func (introspection) Validate(graphql.ExecutableSchema) error { return nil }

func (introspection) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = false
	return nil
}

package shopifysim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"datum/adapters/sim"
)

// ServeVendor is the shop's API.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.Now().Format(http.TimeFormat))
	if s.opts.Latency > 0 {
		t := time.NewTimer(s.opts.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/oauth/authorize", s.authorize)
	mux.HandleFunc("POST /admin/oauth/access_token", s.token)
	mux.HandleFunc("POST /admin/api/{version}/graphql.json", s.graphql)
	mux.HandleFunc("GET /bulk/{id}", s.download)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		sim.WriteJSON(w, http.StatusNotFound, map[string]string{"errors": "Not Found"})
	})
	return mux
}

// WriteFault answers as Shopify's edge does: the errors are one sentence.
func (s *Sim) WriteFault(w http.ResponseWriter, r *http.Request, status int) {
	text := map[int]string{
		401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
		402: "Unavailable Shop", 403: "[API] This action requires merchant approval for the scope.", 404: "Not Found", 423: "Shop is locked",
		429: "Exceeded call rate per api client. Reduce request rates to resume uninterrupted service.", 430: "Shopify Security Rejection",
	}[status]
	if text == "" {
		text = sim.Words(r, http.StatusText(status))
	}
	sim.WriteJSON(w, status, map[string]string{"errors": text})
}

var versionForm = regexp.MustCompile(`^(20\d\d-(01|04|07|10)|unstable)$`)

// graphql is the one endpoint. A request that is understood is answered with 200, whatever became of it.
func (s *Sim) graphql(w http.ResponseWriter, r *http.Request) {
	version := r.PathValue("version")
	if !versionForm.MatchString(version) {
		s.WriteFault(w, r, http.StatusNotFound)
		return
	}
	w.Header().Set("X-Shopify-API-Version", max(version, s.opts.Oldest)) // "unstable" comes after every date
	if !s.signedIn(r) {
		s.WriteFault(w, r, http.StatusUnauthorized)
		return
	}
	var in struct {
		Query         string         `json:"query"`
		Variables     map[string]any `json:"variables"`
		OperationName string         `json:"operationName"`
	}
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(&in); err != nil || in.Query == "" {
		sim.WriteJSON(w, http.StatusBadRequest, map[string]any{"errors": map[string]string{"query": "Required parameter missing or invalid"}})
		return
	}
	op, vars, fails := s.prepare(in.Query, in.Variables, in.OperationName)
	if fails != nil {
		sim.WriteJSON(w, http.StatusOK, map[string]any{"errors": fails})
		return
	}
	if n := largest(vars); n > maxInput {
		f := failed("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of %d.", n, maxInput)
		sim.WriteJSON(w, http.StatusOK, map[string]any{"errors": []*failure{f}})
		return
	}
	r.Pattern = string(op.Operation) + " " + name(op) // the ledger tells operations apart
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = "http://" + r.Host
	x := &exec{s: s, vars: vars}
	answer := s.run(x, op)
	if len(x.deprecated) > 0 {
		slices.Sort(x.deprecated)
		w.Header().Set("X-Shopify-API-Deprecated-Reason", "https://shopify.dev/api/usage/versioning#deprecation-practices "+strings.Join(x.deprecated, ", "))
	}
	if op.Operation == ast.Mutation && answer.Data != nil {
		s.Wrote(r, x.created, x.updated, x.noop)
	}
	if r.Header.Get("Shopify-GraphQL-Cost-Debug") == "1" {
		answer.Extensions["cost"].(map[string]any)["fields"] = s.costs(x, op)
	}
	sim.WriteJSON(w, http.StatusOK, answer)
}

// maxInput is the length of the longest list that an input may hold.
const maxInput = 250

func largest(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			n = max(n, largest(x))
		}
	case []any:
		n = len(v)
		for _, x := range v {
			n = max(n, largest(x))
		}
	}
	return n
}

func name(op *ast.OperationDefinition) string {
	if op.Name != "" {
		return op.Name
	}
	for _, sel := range op.SelectionSet {
		if f, ok := sel.(*ast.Field); ok {
			return f.Name
		}
	}
	return "anonymous"
}

// answer is the body of an answer.
type answer struct {
	Data       any            `json:"data,omitempty"`
	Errors     []*failure     `json:"errors,omitempty"`
	Extensions map[string]any `json:"extensions"`
}

// run charges for and executes one operation; the caller holds the lock.
func (s *Sim) run(x *exec, op *ast.OperationDefinition) answer {
	root := map[ast.Operation]string{ast.Query: "QueryRoot", ast.Mutation: "Mutation"}[op.Operation]
	cost := x.requested(root, op.SelectionSet)
	s.fill()
	charge := map[string]any{"requestedQueryCost": cost, "actualQueryCost": nil, "throttleStatus": s.throttle()}
	out := answer{Extensions: map[string]any{"cost": charge}}
	limited := s.opts.Restore > 0
	if cost > maxCost {
		f := failed("MAX_COST_EXCEEDED", "Query cost is %d, which exceeds the single query max cost limit (%d).\n\nSee https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\ncost of a query is calculated.", cost, maxCost)
		f.Extensions["cost"], f.Extensions["maxCost"], f.Extensions["documentation"] = cost, maxCost, "https://shopify.dev/api/usage/rate-limits"
		out.Errors = []*failure{f}
		return out
	}
	if limited && float64(cost) > s.bucket.points {
		s.Count(func(st *sim.Stats) { st.Limited++ })
		f := failed("THROTTLED", "Throttled")
		f.Extensions["documentation"] = "https://shopify.dev/api/usage/rate-limits"
		out.Errors = []*failure{f}
		return out
	}
	resolvers := s.queries
	if op.Operation == ast.Mutation {
		resolvers = s.mutations
		s.happens()
	}
	top := &node{root, fields{}}
	var data ordered
	for _, f := range x.fields(root, op.SelectionSet, false) {
		if f.Name == "__typename" {
			data = append(data, member{f.Alias, root})
			continue
		}
		if strings.HasPrefix(f.Name, "__") {
			x.errors = append(x.errors, failed("ACCESS_DENIED", "introspection is not simulated; the schema is in the package"))
			continue
		}
		resolve := resolvers[f.Name]
		if denied := s.denied(f.Name); denied != nil {
			denied.Path = []any{f.Alias}
			x.errors = append(x.errors, denied)
			data = append(data, member{f.Alias, nil})
			continue
		}
		if op.Operation == ast.Mutation {
			x.spent += mutationCost
			resolve = x.once(f, resolve)
		}
		top.f[f.Name] = lazy(func(a args) (any, *failure) { return resolve(x, a) })
		one := x.object(top, ast.SelectionSet{f}, nil)
		data = append(data, one...)
	}
	out.Data, out.Errors = data, x.errors
	actual := min(x.spent, cost)
	if op.Operation == ast.Mutation {
		actual = cost
	}
	s.bucket.points -= float64(actual)
	charge["actualQueryCost"], charge["throttleStatus"] = actual, s.throttle()
	return out
}

// costs are the fields' costs for the debug header.
func (s *Sim) costs(x *exec, op *ast.OperationDefinition) []any {
	var all []any
	root := map[ast.Operation]string{ast.Query: "QueryRoot", ast.Mutation: "Mutation"}[op.Operation]
	for _, f := range x.fields(root, op.SelectionSet, false) {
		all = append(all, map[string]any{"path": []string{f.Alias}, "requestedTotalCost": x.requested(root, ast.SelectionSet{f})})
	}
	return all
}

// scopes are what root fields need; fields that are not here need nothing.
var scopes = []struct{ part, read, write string }{
	{"customer", "read_customers", "write_customers"}, {"product", "read_products", "write_products"}, {"inventory", "read_inventory", "write_inventory"},
	{"location", "read_locations", ""}, {"order", "read_orders", "write_orders"}, {"refund", "read_orders", "write_orders"},
}

// denied checks the app's scopes.
func (s *Sim) denied(field string) *failure {
	for _, c := range scopes {
		if !strings.HasPrefix(field, c.part) {
			continue
		}
		need := c.read
		if _, writes := s.mutations[field]; writes {
			need = c.write
		}
		if !slices.Contains(s.opts.Scopes, need) {
			f := failed("ACCESS_DENIED", "Access denied for %s field. Required access: `%s` access scope.", field, need)
			f.Extensions["documentation"], f.Extensions["requiredAccess"] = "https://shopify.dev/api/usage/access-scopes", "`"+need+"` access scope."
			return f
		}
	}
	return nil
}

// prepare parses and validates a document and picks its operation.
func (s *Sim) prepare(query string, given map[string]any, operation string) (*ast.OperationDefinition, map[string]any, []*failure) {
	doc, err := parser.ParseQuery(&ast.Source{Name: "query", Input: query})
	if err != nil {
		return nil, nil, []*failure{located(err, failed("", "syntax error: %s", gqlerror.List{gqlerror.WrapIfUnwrapped(err)}[0].Message))}
	}
	if list := validator.ValidateWithRules(s.schema, doc, rules.NewDefaultRules()); len(list) > 0 {
		var fails []*failure
		for _, e := range list {
			fails = append(fails, refused(e))
		}
		return nil, nil, fails
	}
	if len(doc.Operations) > 1 && operation == "" {
		return nil, nil, []*failure{failed("", "An operation name is required")}
	}
	op := doc.Operations.ForName(operation)
	if op == nil {
		return nil, nil, []*failure{failed("", "No operation named %q", operation)}
	}
	vars, err := validator.VariableValues(s.schema, op, given)
	if err != nil {
		e := gqlerror.List{gqlerror.WrapIfUnwrapped(err)}[0]
		f := failed("INVALID_VARIABLE", "Variable %s was provided invalid value: %s", e.Path, e.Message)
		f.Extensions["problems"] = []any{map[string]any{"path": e.Path[min(2, len(e.Path)):], "explanation": e.Message}}
		return nil, nil, []*failure{located(e, f)}
	}
	return op, vars, nil
}

func located(err error, f *failure) *failure {
	if e, ok := err.(*gqlerror.Error); ok {
		for _, l := range e.Locations {
			f.Locations = append(f.Locations, map[string]int{"line": l.Line, "column": l.Column})
		}
	}
	return f
}

var noField = regexp.MustCompile(`^Cannot query field "(\w+)" on type "(\w+)"`)
var noArgument = regexp.MustCompile(`^Unknown argument "(\w+)" on field "(\w+)\.(\w+)"`)

// refused says what is wrong with a document in Shopify's words.
func refused(e *gqlerror.Error) *failure {
	var f *failure
	if m := noField.FindStringSubmatch(e.Message); m != nil {
		f = failed("undefinedField", "Field '%s' doesn't exist on type '%s'", m[1], m[2])
		f.Extensions["typeName"], f.Extensions["fieldName"] = m[2], m[1]
	} else if m := noArgument.FindStringSubmatch(e.Message); m != nil {
		f = failed("argumentNotAccepted", "Field '%s' doesn't accept argument '%s'", m[3], m[1])
		f.Extensions["name"], f.Extensions["typeName"], f.Extensions["argumentName"] = m[3], "Field", m[1]
	} else {
		code := map[string]string{"ProvidedRequiredArguments": "missingRequiredArguments", "ScalarLeafs": "selectionMismatch",
			"KnownTypeNames": "undefinedType", "KnownFragmentNames": "useAndDefineFragment", "ValuesOfCorrectType": "argumentLiteralsIncompatible",
			"VariablesInAllowedPosition": "variableMismatch", "NoUndefinedVariables": "variableNotDefined", "NoUnusedVariables": "variableNotUsed",
			"KnownDirectives": "undefinedDirective"}[e.Rule]
		f = failed(code, "%s", e.Message)
	}
	return located(e, f)
}

// attempt is what an idempotency key remembers for 24 hours.
type attempt struct {
	at     time.Time
	print  string
	failed bool
	replay func() (any, *failure)
}

const keyLife = 24 * time.Hour

// keyed are the mutations that must have an idempotency key since 2026-04.
var keyed = []string{"inventoryActivate", "inventoryAdjustQuantities", "inventorySetQuantities", "refundCreate"}

// once honours @idempotent: the first attempt with a key is carried out, a repeat is answered from the present state.
func (x *exec) once(f *ast.Field, resolve resolver) resolver {
	d := f.Directives.ForName("idempotent")
	return func(x *exec, a args) (any, *failure) {
		if !slices.Contains(keyed, f.Name) {
			if d != nil {
				return nil, failed("BAD_REQUEST", "The @idempotent directive is not supported on %s.", f.Name)
			}
			return resolve(x, a)
		}
		if d == nil {
			return nil, failed("BAD_REQUEST", "The @idempotent directive is required for this mutation but was not provided.")
		}
		key, _ := d.ArgumentMap(x.vars)["key"].(string)
		if key == "" || len(key) > 255 {
			return nil, failed("BAD_REQUEST", "The idempotency key must be 1 to 255 characters long.")
		}
		b, err := json.Marshal(a)
		if err != nil {
			return nil, failed("INTERNAL_SERVER_ERROR", "Internal error.")
		}
		now, print := x.s.Now(), fingerprint(append([]byte(f.Name), b...))
		if t := x.s.keys[key]; t != nil && now.Sub(t.at) < keyLife {
			switch {
			case t.print != print:
				return x.keyError(f, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "The same idempotency key cannot be used with different operation parameters.")
			case t.failed:
				return x.keyError(f, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "The previous attempt with this idempotency key failed. Use a new key.")
			}
			x.noop++
			return t.replay()
		}
		v, fail := resolve(x, a)
		t := &attempt{at: now, print: print, failed: fail != nil}
		if n, ok := v.(*node); ok {
			if errs, _ := n.f["userErrors"].([]*node); len(errs) > 0 {
				t.failed = true
			}
		}
		t.replay = func() (any, *failure) { return v, nil } // its objects are read anew when they are selected
		x.s.keys[key] = t
		return v, fail
	}
}

// keyError is a user error where the mutation's errors have codes, else one at the top.
func (x *exec) keyError(f *ast.Field, code, message string) (any, *failure) {
	payload := x.s.schema.Types[f.Definition.Type.Name()]
	errType := payload.Fields.ForName("userErrors").Type.Name()
	if x.s.schema.Types[errType].Fields.ForName("code") == nil {
		return nil, failed(code, "%s", message)
	}
	return &node{payload.Name, fields{"userErrors": []*node{{"", fields{"message": message, "code": code}}}}}, nil
}

// number reads an integer out of what JSON and GraphQL give, 0 if it is none.
func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case float64:
		return int64(v)
	case json.Number:
		n, _ := v.Int64()
		return n
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}

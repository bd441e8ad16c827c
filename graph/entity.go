package graph

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// listed is how many elements a list without pages has at most.
const listed = 100

// kindOf returns the kind of a type of entities.
func kindOf[E model.Entity]() domain.Kind {
	var e E
	return model.KindOf(e)
}

// words are a kind's name in a sentence: "credit note".
func words(k domain.Kind) string {
	var b strings.Builder
	for i, r := range string(k) {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// entityKind is a kind as the schema writes it: CREDIT_NOTE.
func entityKind(k domain.Kind) model.EntityKind {
	return model.EntityKind(strings.ToUpper(strings.ReplaceAll(words(k), " ", "_")))
}

// kindNamed is the reverse of entityKind; "" for nil.
func kindNamed(k *model.EntityKind) domain.Kind {
	for _, ki := range domain.KindsAll() {
		if k != nil && entityKind(ki.Kind) == *k {
			return ki.Kind
		}
	}
	return ""
}

// ref returns the entity that something refers to, the survivor if it was merged away; nil if there is none or it is of
// another type.
func ref[E model.Entity](ctx context.Context, id string) (E, error) {
	var none E
	if id == "" {
		return none, nil
	}
	e, err := loader.From(ctx).Views.Load(ctx, id)()
	found, _ := e.(E)
	return found, err
}

// now is ref for what is asked for by itself: it does not wait for others to share a statement with.
func now[E model.Entity](ctx context.Context, r *Resolver, id string) (E, error) {
	e, err := r.entity(ctx, id)
	found, _ := e.(E)
	return found, err
}

// entity returns the entity with the id, the survivor if it was merged away, nil if there is none.
func (r *Resolver) entity(ctx context.Context, id string) (model.Keyed, error) {
	if domain.KindOfID(id) == "" {
		return nil, nil
	}
	vs, err := store.Views(ctx, r.pool, []string{id})
	if err != nil || len(vs) == 0 {
		return nil, err
	}
	e, err := model.EntityOf(vs[0].Kind, vs[0].JSON)
	if err == nil {
		loader.From(ctx).Views.Prime(ctx, id, e)
	}
	return e, err
}

// page is a page of entities of one type.
type page[E any] struct {
	nodes   []E
	cursors []string
	info    *model.PageInfo
}

// edges makes the edges of a page.
func edges[E, G any](p page[E], edge func(cursor string, node E) *G) []*G {
	gs := make([]*G, len(p.nodes))
	for i, n := range p.nodes {
		gs[i] = edge(p.cursors[i], n)
	}
	return gs
}

// newPage cuts a page of n off what was read, which has one more if there is another page.
func newPage[E any](read []E, n int, after *string, at func(i int) string) page[E] {
	p := page[E]{nodes: read[:min(n, len(read))]}
	for i := range p.nodes {
		p.cursors = append(p.cursors, at(i))
	}
	p.info = pageInfo(len(p.nodes), len(read) > n, after, at)
	return p
}

var orders = map[model.EntityOrderField]store.ViewOrder{
	model.EntityOrderFieldCreatedAt: store.ByID, model.EntityOrderFieldUpdatedAt: store.ByUpdated, model.EntityOrderFieldName: store.ByName,
	model.EntityOrderFieldSku: store.BySKU, model.EntityOrderFieldNumber: store.ByNumber, model.EntityOrderFieldDate: store.ByDate,
	model.EntityOrderFieldTotal: store.ByTotal,
}

// list returns a page of the entities of one kind. filter is the kind's own input.
func list[E model.Keyed](ctx context.Context, r *Resolver, first *int, after *string, filter any, order *model.EntityOrder) (none page[E], err error) {
	n, err := pageSize(first)
	if err != nil {
		return none, err
	}
	ask := store.ViewPage{Order: store.ByID, Desc: true, Limit: n + 1}
	if order != nil {
		ask.Order, ask.Desc = orders[order.Field], order.Direction == model.DirectionDesc
	}
	tag := string(ask.Order) + strconv.FormatBool(ask.Desc)
	from, err := parseCursor(after, tag, 2)
	if err != nil {
		return none, err
	}
	ask.AfterKey, ask.AfterID = from[0], from[1]
	kind := kindOf[E]()
	f, err := viewFilter(kind, filter)
	if err != nil {
		return none, err
	}
	vs, err := store.ListViews(ctx, r.pool, kind, f, ask)
	if err != nil {
		return none, err
	}
	read, es := make([]model.Keyed, len(vs)), make([]E, len(vs))
	for i, v := range vs {
		if read[i], err = model.EntityOf(v.Kind, v.JSON); err != nil {
			return none, err
		}
		loader.From(ctx).Views.Prime(ctx, v.ID, read[i])
		es[i], _ = read[i].(E)
	}
	a := aheadOf(ctx)
	a.entities(a.nodes(graphql.GetFieldContext(ctx).Field, string(kind)), kind, read[:min(n, len(read))])
	return newPage(es, n, after, func(i int) string { return cursor(tag, vs[i].SortKey, vs[i].ID) }), nil
}

// children returns a page of what the field that is being resolved leads to, newest first.
func children[E model.Keyed](ctx context.Context, parent string, first *int, after *string) (none page[E], err error) {
	n, err := pageSize(first)
	if err != nil {
		return none, err
	}
	from, err := parseCursor(after, "children", 1)
	if err != nil {
		return none, err
	}
	es, err := some[E](ctx, parent, from[0], n+1)
	if err != nil {
		return none, err
	}
	return newPage(es, n, after, func(i int) string { return cursor("children", es[i].Key()) }), nil
}

// all is children as a list without pages.
func all[E model.Keyed](ctx context.Context, parent string) ([]E, error) {
	return some[E](ctx, parent, "", listed)
}

// newest is the first of all, nil if there is none.
func newest[E model.Keyed](ctx context.Context, parent string) (E, error) {
	es, err := some[E](ctx, parent, "", 1)
	if len(es) == 0 {
		var none E
		return none, err
	}
	return es[0], err
}

func some[E model.Keyed](ctx context.Context, parent, after string, limit int) ([]E, error) {
	fc := graphql.GetFieldContext(ctx)
	k := kids[fc.Object+"."+fc.Field.Name]
	q := store.Children{Kind: k.kind, Way: k.way, After: after, Limit: limit}
	aheadOf(ctx).then(q, fc.Field)
	es, err := loader.From(ctx).Children.Load(ctx, loader.Children{Parent: parent, Children: q})()
	return each(es, func(e model.Keyed) E { x, _ := e.(E); return x }), err
}

// viewFilter brings a kind's filter into the form in which golden values are kept. Its members are fields of the kind, but
// for those that are named here.
func viewFilter(kind domain.Kind, in any) (f store.ViewFilter, err error) {
	var members map[string]json.RawMessage
	b, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(b, &members)
	}
	if err != nil {
		return f, err
	}
	ki, _ := kind.Info()
	f.Is = map[domain.Field][]string{}
	special := map[string]any{"search": &f.Search, "from": &f.From, "until": &f.Until, "dueBefore": &f.DueBefore, "state": &f.State,
		"product": &f.Product, "invoice": &f.Pays, "hasOpenCase": &f.HasCase, "updatedSince": new(time.Time)}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if string(members[name]) == "null" {
			continue
		}
		fi, ok := ki.Field(domain.Field(name))
		if !ok {
			if err = json.Unmarshal(members[name], special[name]); err != nil {
				return f, err
			}
			if t, ok := special[name].(*time.Time); ok {
				f.UpdatedSince = t
			}
			continue
		}
		var values []string
		if json.Unmarshal(members[name], &values) != nil {
			values = make([]string, 1)
			if err = json.Unmarshal(members[name], &values[0]); err != nil {
				return f, err
			}
		}
		f.Is[fi.Name] = make([]string, len(values))
		for i, given := range values {
			v, issues := domain.Normalize(fi, domain.TextValue(given))
			if v.Empty() {
				message := "it is empty"
				if len(issues) > 0 {
					message = issues[0].Message
				}
				return f, &domain.Error{Code: domain.Invalid, Field: fi.Name, Message: "the filter by " + name + " cannot match: " + message}
			}
			f.Is[fi.Name][i] = v.Text()
		}
	}
	return f, nil
}

// entityResolver has what entities of all kinds have.
type entityResolver[E model.Keyed] struct{ *Resolver }

func (r entityResolver[E]) Records(ctx context.Context, obj E) ([]*model.Record, error) {
	rs, err := loader.From(ctx).Records.Load(ctx, obj.Key())()
	return each(rs, recordModel), err
}

func (r entityResolver[E]) Provenance(ctx context.Context, obj E) ([]*model.FieldProvenance, error) {
	e, err := loader.From(ctx).Entities.Load(ctx, obj.Key())()
	if err != nil || e == nil {
		return []*model.FieldProvenance{}, err
	}
	return provenanceModel(e), nil
}

func (r entityResolver[E]) Warnings(ctx context.Context, obj E) ([]*model.Issue, error) {
	e, err := loader.From(ctx).Entities.Load(ctx, obj.Key())()
	if err != nil || e == nil {
		return []*model.Issue{}, err
	}
	return each(domain.Warnings(e.Kind, e.Golden), issueModel), nil
}

func (r entityResolver[E]) History(ctx context.Context, obj E, asOf *time.Time, first *int, after *string) (*model.HistoryConnection, error) {
	return r.history(ctx, obj.Key(), asOf, first, after)
}

func (r entityResolver[E]) Projections(ctx context.Context, obj E) ([]*model.Projection, error) {
	ps, err := loader.From(ctx).Projections.Load(ctx, obj.Key())()
	return each(ps, projectionModel), err
}

func (r entityResolver[E]) Cases(ctx context.Context, obj E) ([]*model.Case, error) {
	cs, err := loader.From(ctx).Cases.Load(ctx, obj.Key())()
	return each(cs, func(c store.Case) *model.Case { return caseModel(&c) }), err
}

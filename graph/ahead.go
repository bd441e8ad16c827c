package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// kid is what a field of a parent leads to: entities of a kind that hang on it in a way.
type kid struct {
	kind domain.Kind
	way  store.Way
}

// kids are the fields that lead from a parent to what hangs on it.
var kids = map[string]kid{
	"Customer.quotes": {domain.KindQuote, "customer"}, "Customer.orders": {domain.KindOrder, "customer"}, "Customer.invoices": {domain.KindInvoice, "customer"},
	"Customer.creditNotes": {domain.KindCreditNote, "customer"}, "Customer.payments": {domain.KindPayment, "customer"},
	"Product.stock": {domain.KindStockLevel, "product"}, "Location.stock": {domain.KindStockLevel, "location"},
	"Quote.invoice": {domain.KindInvoice, "origin"}, "Order.invoice": {domain.KindInvoice, "origin"},
	"Order.payments": {domain.KindPayment, "order"}, "Order.creditNotes": {domain.KindCreditNote, "order"},
	"Invoice.payments": {domain.KindPayment, store.PaysInvoice}, "Invoice.creditNotes": {domain.KindCreditNote, store.CorrectsOrPays},
	"CreditNote.payments": {domain.KindPayment, store.PaysCreditNote},
}

// ahead asks the loaders for what a query will want of entities as soon as they are known, all at once: the resolvers may take
// longer to come for it than a batch stays open. What it does not foresee is read all the same, in more statements perhaps.
type ahead struct {
	ctx context.Context
	l   *loader.Loaders
	op  *graphql.OperationContext
}

// aheadOf is for the field that is being resolved.
func aheadOf(ctx context.Context) ahead {
	return ahead{ctx, loader.From(ctx), graphql.GetOperationContext(ctx)}
}

// under collects what is selected of a field's objects.
func (a ahead) under(f graphql.CollectedField, on string) []graphql.CollectedField {
	return graphql.CollectFields(a.op, f.Selections, []string{on, "Node", "Entity"})
}

// nodes are what is selected of the objects of a connection, or of f itself if it is none.
func (a ahead) nodes(f graphql.CollectedField, kind string) []graphql.CollectedField {
	if f.Definition == nil || f.Definition.Type.Name() != kind+"Connection" {
		return a.under(f, kind)
	}
	var fs []graphql.CollectedField
	for _, c := range a.under(f, kind+"Connection") {
		switch c.Name {
		case "nodes":
			fs = append(fs, a.under(c, kind)...)
		case "edges":
			for _, e := range a.under(c, kind+"Edge") {
				if e.Name == "node" {
					fs = append(fs, a.under(e, kind)...)
				}
			}
		}
	}
	return fs
}

// entities asks for what fields want of entities of one kind.
func (a ahead) entities(fields []graphql.CollectedField, kind domain.Kind, es []model.Keyed) {
	a.ids(fields, kind, each(es, model.Keyed.Key))
	for _, f := range fields {
		if f.Name == "lines" {
			for _, p := range a.under(f, "Line") {
				if p.Name == "product" {
					a.refs(p, domain.KindProduct, es, f.Name)
				}
			}
		} else if fi, ok := field(kind, f.Name); ok && fi.Type == domain.TypeRef {
			a.refs(f, fi.Ref, es, f.Name)
		}
	}
}

func field(kind domain.Kind, name string) (domain.FieldInfo, bool) {
	ki, _ := kind.Info()
	return ki.Field(domain.Field(name))
}

// refs asks for what a field of entities refers to.
func (a ahead) refs(f graphql.CollectedField, kind domain.Kind, es []model.Keyed, name string) {
	var ids []string
	for _, e := range es {
		ids = append(ids, model.Refs(e, name)...)
	}
	loader.Expect(a.ctx, a.l.Views, ids)
	a.ids(a.under(f, string(kind)), kind, ids)
}

// ids asks for what fields want of entities of which only the ids are known.
func (a ahead) ids(fields []graphql.CollectedField, kind domain.Kind, ids []string) {
	for _, f := range fields {
		switch f.Name {
		case "records":
			loader.Expect(a.ctx, a.l.Records, ids)
		case "projections":
			loader.Expect(a.ctx, a.l.Projections, ids)
		case "cases":
			loader.Expect(a.ctx, a.l.Cases, ids)
		case "provenance", "warnings":
			loader.Expect(a.ctx, a.l.Entities, ids)
		default:
			k, ok := kids[string(kind)+"."+f.Name]
			if !ok || f.Definition == nil || f.Definition.Arguments.ForName("first") != nil {
				continue // pages are asked for by the resolvers, who know their arguments
			}
			q := store.Children{Kind: k.kind, Way: k.way, Limit: listed}
			if f.Definition.Type.Elem == nil {
				q.Limit = 1
			}
			a.then(q, f)
			loader.Expect(a.ctx, a.l.Children, each(ids, func(id string) loader.Children { return loader.Children{Parent: id, Children: q} }))
		}
	}
}

// then has what the field wants of children asked for when they have been read.
func (a ahead) then(q store.Children, f graphql.CollectedField) {
	a.l.Then(q, func(es []model.Keyed) { a.entities(a.nodes(f, string(q.Kind)), q.Kind, es) })
}

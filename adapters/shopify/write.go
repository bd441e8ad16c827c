package shopify

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"datum/adapters"
	"datum/domain"
)

// Write creates and updates, one object at a time: Shopify has no batches. A customer or product is made by its unique
// metafield, so that making it again changes the same one; Created then still says true, since Shopify does not tell. Stock
// and refunds are written with an idempotency key.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	for i, w := range writes {
		outs[i].Record, outs[i].Created, outs[i].Err = a.write(ctx, w)
		domain.Wrap(&outs[i].Err, "shopify.Write")
	}
	return outs
}

func (a *adapter) write(ctx context.Context, w adapters.Write) (domain.Record, bool, error) {
	m, err := a.mapping(w.Kind)
	if err != nil {
		return domain.Record{}, false, err
	}
	if len(m.Writable()) == 0 {
		return domain.Record{}, false, a.err(domain.Unsupported, "%s of Shopify are only read", strings.ToLower(m.Object))
	}
	set := object{}
	if w.Base != nil {
		m.Carry(set, m.Stored(w.Base.Raw))
	}
	if err := m.Write(set, w.Values); err != nil {
		e := *domain.AsError(err)
		e.System = a.s.System
		return domain.Record{}, false, &e
	}
	var made func(context.Context, adapters.Write, object) (domain.Record, error)
	var changed func(context.Context, adapters.Write, object, object) (domain.Record, error)
	switch w.Kind {
	case domain.KindCustomer:
		made, changed = a.createCustomer, a.updateCustomer
	case domain.KindProduct:
		made, changed = a.createProduct, a.updateProduct
	case domain.KindStockLevel:
		made, changed = a.createLevel, a.updateLevel
	case domain.KindOrder:
		changed = a.updateOrder
	default:
		made = a.createRefund
	}
	if w.ExternalID == "" {
		if made == nil {
			return domain.Record{}, false, a.err(domain.Unsupported, "Datum does not make orders in Shopify")
		}
		r, err := made(ctx, w, set)
		return r, err == nil, err
	}
	if changed == nil {
		return domain.Record{}, false, a.err(domain.Unsupported, "a refund in Shopify cannot be changed")
	}
	base, err := a.base(ctx, w)
	if err != nil {
		return domain.Record{}, false, err
	}
	r, err := changed(ctx, w, set, base)
	return r, false, err
}

// base is the object as last seen, read now if the caller does not have it.
func (a *adapter) base(ctx context.Context, w adapters.Write) (object, error) {
	if w.Base != nil && len(w.Base.Raw) > 0 {
		return adapters.ParseObject(w.Base.Raw)
	}
	recs, err := a.fetch(ctx, w.Kind, []string{w.ExternalID})
	if err != nil {
		return nil, err
	}
	if len(recs) == 0 {
		return nil, a.err(domain.NotFound, "Shopify has no %s %s", w.Kind, w.ExternalID)
	}
	return adapters.ParseObject(recs[0].Raw)
}

// marks is the metafield that holds our id, if the object does not have one yet.
func marks(w adapters.Write, base object) []object {
	if w.CanonicalID == "" || within(base, "datumId", "value") != "" {
		return nil
	}
	return []object{{"namespace": namespace, "key": idKey, "type": "id", "value": w.CanonicalID}}
}

func customID(id string) object {
	return object{"customId": object{"namespace": namespace, "key": idKey, "value": id}}
}

// answered maps the object that a mutation returned.
func (a *adapter) answered(ctx context.Context, kind domain.Kind, o object, s sent) (domain.Record, error) {
	if len(o) == 0 {
		return domain.Record{}, a.err(domain.Unknown, "Shopify took the write and did not show what became of it; it must be looked up")
	}
	recs, err := a.records(ctx, kind, []object{o}, s)
	if err != nil {
		return domain.Record{}, err
	}
	if len(recs) == 0 {
		return domain.Record{}, a.err(domain.Invalid, "what was written is no %s that Datum reads", kind)
	}
	return recs[0], nil
}

// keyFor makes an idempotency key: the same for a repeat of the write, another once what it starts from has changed, since
// Shopify refuses one key for two inputs.
func keyFor(w adapters.Write, parts ...any) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(w.Key+fmt.Sprint(parts...))).String()
}

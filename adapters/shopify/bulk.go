package shopify

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// A first reading of many objects is a bulk operation: Shopify runs a query over everything, which costs no points, and puts
// the result into a file of lines, each object followed by its children. It is read in parts, so that a reading can go on
// in another process. What changes meanwhile is found by the poll that follows, which reaches back to the beginning.

const (
	bulkPart  = 4 << 20  // bytes read of the file at a time
	bulkMost  = 16 << 20 // that one order and its lines may take
	bulkRoots = 200      // objects in a page, so that a part is applied within a job
	bulkAgain = 5 * time.Second
)

// bulkText are the queries of the kinds that can be read in bulk. Stock cannot: its levels would nest three deep.
var bulkText = map[domain.Kind]string{domain.KindCustomer: bulkCustomers, domain.KindProduct: bulkVariants, domain.KindOrder: bulkOrders,
	domain.KindCreditNote: bulkRefunds, domain.KindPayment: bulkPayments}

// childIn is the member of an object in which its children of a type are.
var childIn = map[string]string{"LineItem": "lineItems", "ShippingLine": "shippingLines"}

// startBulk starts a bulk operation if there is enough to read; else the cursor stays empty.
func (a *adapter) startBulk(ctx context.Context, kind domain.Kind) (cursor, error) {
	text, ok := bulkText[kind]
	if !ok {
		return cursor{}, nil
	}
	var counts map[string]struct {
		Count int `json:"count"`
	}
	_, err := a.query(ctx, queryCounts, vars{"limit": a.bulkFrom, "customers": kind == domain.KindCustomer, "variants": kind == domain.KindProduct,
		"orders": kind != domain.KindCustomer && kind != domain.KindProduct}, &counts)
	if err != nil {
		return cursor{}, err
	}
	for _, c := range counts {
		if c.Count < a.bulkFrom {
			return cursor{}, nil
		}
	}
	var out struct {
		Run struct {
			Operation object      `json:"bulkOperation"`
			Errors    []userError `json:"userErrors"`
		} `json:"bulkOperationRunQuery"`
	}
	s, err := a.mutate(ctx, mutationRunBulk, vars{"query": text}, &out, true)
	if err != nil {
		return cursor{}, err
	}
	for _, e := range out.Run.Errors {
		if e.Code == "OPERATION_IN_PROGRESS" {
			busy := a.err(domain.Unavailable, "Shopify runs as many bulk operations of this app as it lets; the first reading waits for one to end")
			busy.RetryAfter = 6 * bulkAgain
			return cursor{}, busy
		}
	}
	if err := a.refused(out.Run.Errors); err != nil {
		return cursor{}, err
	}
	id := within(out.Run.Operation, "id")
	if id == "" {
		return cursor{}, a.err(domain.Unavailable, "Shopify took the bulk operation and did not say which it is; it will be started again")
	}
	return cursor{On: true, Start: s.clock.UnixMilli(), Asked: s.at.UnixMilli(), Bulk: id}, nil
}

// bulkPage reads the next part of a bulk operation's result. An operation that came to nothing is gone on with by pages: then
// the next cursor names none.
func (a *adapter) bulkPage(ctx context.Context, kind domain.Kind, c cursor, _ bool) ([]domain.Record, cursor, error) {
	var out struct {
		Operation *struct {
			Status  string `json:"status"`
			Error   string `json:"errorCode"`
			Objects string `json:"objectCount"`
			URL     string `json:"url"`
		} `json:"bulkOperation"`
	}
	if _, err := a.query(ctx, queryBulk, vars{"id": c.Bulk}, &out); err != nil {
		return nil, c, err
	}
	byPages := cursor{On: true, Start: c.Start}
	switch op := out.Operation; {
	case op == nil, op.Status == "CANCELED", op.Status == "FAILED", op.Status == "EXPIRED":
		a.s.Log.WarnContext(ctx, "a bulk operation of Shopify came to nothing; its objects are read by pages", "system", a.s.System, "kind", kind)
		return nil, byPages, nil
	case op.Status != "COMPLETED":
		e := a.err(domain.Unavailable, "Shopify is preparing the first reading: %s objects so far", op.Objects)
		e.RetryAfter = bulkAgain
		return nil, c, e
	case op.URL == "":
		return nil, c.finished(), nil // nothing to list
	}
	for size := int64(bulkPart); ; size *= 2 {
		part, last, err := a.download(ctx, out.Operation.URL, c.Offset, size)
		if code := domain.CodeOf(err); code == domain.Forbidden || code == domain.NotFound || code == domain.Invalid {
			a.s.Log.WarnContext(ctx, "the result of a bulk operation of Shopify cannot be read; its objects are read by pages", "system", a.s.System, "kind", kind, "code", code)
			return nil, byPages, nil
		}
		if err != nil {
			return nil, c, err
		}
		roots, read, err := assemble(part, last, bulkRoots)
		if err != nil {
			return nil, c, a.err(domain.Unavailable, "the result of Shopify's bulk operation cannot be read: %s", err)
		}
		if read == 0 && !last {
			if size >= bulkMost {
				return nil, byPages, nil
			}
			continue
		}
		recs, err := a.bulkRecords(ctx, kind, roots, time.UnixMilli(c.Asked).UTC())
		if err != nil {
			return nil, c, err
		}
		c.Offset += read
		if last && read == int64(len(part)) {
			return recs, c.finished(), nil
		}
		return recs, c, nil
	}
}

// finished is the cursor at the end of a bulk operation's result.
func (c cursor) finished() cursor { return cursor{On: true, Start: c.Start, Done: true} }

// download reads a part of a file; last says that it goes to the file's end.
func (a *adapter) download(ctx context.Context, url string, offset, size int64) (part []byte, last bool, err error) {
	resp, err := a.s.HTTP.Do(ctx, adapters.Call{Method: http.MethodGet, URL: url, Accept: []int{http.StatusRequestedRangeNotSatisfiable},
		Header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+size-1)}, "Accept": {"*/*"}}})
	switch {
	case err != nil:
		return nil, false, err
	case resp.Status == http.StatusRequestedRangeNotSatisfiable:
		return nil, true, nil
	case resp.Status == http.StatusPartialContent:
		return resp.Body, int64(len(resp.Body)) < size, nil
	}
	return resp.Body[min(offset, int64(len(resp.Body))):], true, nil // it reads no parts and sent the whole
}

// assemble puts objects together with their children, most at a time, and returns how many bytes of the part that took. The
// last object of a part that is not the file's last may go on in the next.
func assemble(part []byte, last bool, most int) (roots []object, read int64, err error) {
	var at int64 // where the line begins
	for len(part) > 0 {
		line, rest, whole := bytes.Cut(part, []byte{'\n'})
		if !whole && !last {
			break
		}
		o, err := adapters.ParseObject(line)
		if err != nil {
			return nil, 0, err
		}
		if within(o, "__parentId") == "" {
			if read = at; len(roots) == most {
				return roots, read, nil
			}
			for _, member := range childIn {
				if strings.HasPrefix(within(o, "id"), "gid://shopify/Order/") {
					into(o, []any{}, member, "nodes")
				}
			}
			roots = append(roots, o)
		} else if err := adoptChild(roots, o); err != nil {
			return nil, 0, err
		}
		at += int64(len(part) - len(rest))
		part = rest
	}
	if last {
		return roots, at, nil
	}
	if len(roots) > 0 {
		roots = roots[:len(roots)-1] // it may go on
	}
	return roots, read, nil
}

// adoptChild puts a child into the object before it, which it names.
func adoptChild(roots []object, child object) error {
	parent, id := within(child, "__parentId"), within(child, "id")
	if len(roots) == 0 || within(roots[len(roots)-1], "id") != parent {
		return fmt.Errorf("%s does not follow %s", id, parent)
	}
	typ, _, _ := strings.Cut(strings.TrimPrefix(id, "gid://shopify/"), "/")
	member := childIn[typ]
	if member == "" {
		return fmt.Errorf("%s was not asked for", id)
	}
	delete(child, "__parentId")
	root := roots[len(roots)-1]
	nodes, _ := at(root, member)["nodes"].([]any)
	into(root, append(nodes, child), member, "nodes")
	return nil
}

// bulkRecords maps what a bulk operation listed. It is as old as the operation.
func (a *adapter) bulkRecords(ctx context.Context, kind domain.Kind, roots []object, asked time.Time) ([]domain.Record, error) {
	objects := roots
	switch kind {
	case domain.KindCreditNote:
		var gids []string
		for _, o := range roots {
			for _, r := range list(o, "refunds") {
				gids = append(gids, within(r, "id"))
			}
		}
		whole, s, err := a.nodes(ctx, kind, gids)
		if err != nil {
			return nil, err
		}
		return a.records(ctx, kind, whole, s)
	case domain.KindPayment:
		objects = nil
		for _, o := range roots {
			objects = append(objects, paymentsOf(o, list(o, "transactions"))...)
		}
	}
	return a.records(ctx, kind, objects, sent{at: asked, clock: asked})
}

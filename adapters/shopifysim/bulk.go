package shopifysim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// maxBulks is how many bulk queries of one app run at once in one shop.
const maxBulks = 5

type bulk struct {
	meta
	query         string
	status        string
	done          time.Time
	objects, root int
	result        []byte
	secret        string // of the result's address
}

// settle finishes what has run for long enough.
func (s *Sim) settle(b *bulk) {
	if b.status == "CREATED" || b.status == "RUNNING" {
		b.status = "RUNNING"
		if !s.Now().Before(b.created.Add(s.opts.BulkTakes)) {
			s.runQuery(b)
			b.done = s.Now()
			s.happens()
			s.tell("bulk_operations/finish", map[string]any{"admin_graphql_api_id": gid("BulkOperation", b.id), "completed_at": when(b.done), "created_at": when(b.created),
				"error_code": nil, "status": strings.ToLower(b.status), "type": "query"})
		}
	}
}

func (s *Sim) bulkNode(b *bulk) *node {
	if b == nil {
		return nil
	}
	s.settle(b)
	f := fields{"id": gid("BulkOperation", b.id), "status": b.status, "type": "QUERY", "query": b.query, "createdAt": when(b.created), "completedAt": when(b.done),
		"objectCount": text(int64(b.objects)), "rootObjectCount": text(int64(b.root))}
	if b.status == "COMPLETED" && b.objects > 0 {
		f["url"], f["fileSize"] = s.base+b.secret, text(int64(len(b.result)))
	}
	return &node{"BulkOperation", f}
}

func listBulks(x *exec, a args) (any, *failure) {
	return find(x.s, sorted(x.s.bulks), a, "BulkOperation", func(b *bulk, t term) (bool, bool) {
		x.s.settle(b)
		if t.field == "status" {
			return t.text(b.status), true
		}
		return false, false
	}, x.s.bulkNode), nil
}

func currentBulk(x *exec, _ args) (any, *failure) {
	all := sorted(x.s.bulks)
	if len(all) == 0 {
		return nil, nil
	}
	return x.s.bulkNode(all[len(all)-1]), nil
}

func runBulk(x *exec, a args) (any, *failure) {
	s := x.s
	bad := func(message, code string) (any, *failure) {
		return payload("BulkOperationRunQuery", []problem{{[]string{"query"}, message, code}}, fields{}), nil
	}
	op, vars, fails := s.prepare(a.str("query"), nil, "")
	if len(fails) > 0 {
		return bad("Invalid bulk query: "+fails[0].Message, "INVALID")
	}
	if op.Operation != ast.Query {
		return bad("Bulk queries cannot be mutations", "INVALID")
	}
	switch conns, depth := (&exec{s: s, vars: vars}).shape("QueryRoot", op.SelectionSet); {
	case conns == 0:
		return bad("Bulk queries must contain at least one connection.", "INVALID")
	case conns > 5:
		return bad("Bulk queries cannot contain more than 5 connections.", "INVALID")
	case depth > 2:
		return bad("Bulk queries cannot contain connections with a nesting depth greater than 2.", "INVALID")
	}
	running := 0
	for _, b := range s.bulks {
		if s.settle(b); b.status == "CREATED" || b.status == "RUNNING" {
			running++
		}
	}
	if running >= maxBulks {
		return bad("A bulk query operation for this app and shop is already in progress.", "OPERATION_IN_PROGRESS")
	}
	b := &bulk{meta: s.made(), query: a.str("query"), status: "CREATED"}
	s.bulks[b.id] = b
	n := s.bulkNode(b)
	n.f["status"] = "CREATED"
	return payload("BulkOperationRunQuery", nil, fields{"bulkOperation": n}), nil
}

func cancelBulk(x *exec, a args) (any, *failure) {
	b := x.s.bulks[idOf("BulkOperation", a.str("id"))]
	if b == nil || b.status == "COMPLETED" {
		return payload("BulkOperationCancel", []problem{{[]string{"id"}, "The bulk operation cannot be cancelled", ""}}, fields{}), nil
	}
	b.status = "CANCELED"
	return payload("BulkOperationCancel", nil, fields{"bulkOperation": x.s.bulkNode(b)}), nil
}

// shape counts the connections of a query and how deep they nest.
func (x *exec) shape(typ string, set ast.SelectionSet) (conns, depth int) {
	for _, f := range x.fields(typ, set, true) {
		t := x.s.schema.Types[f.Definition.Type.Name()]
		if t == nil || t.IsLeafType() {
			continue
		}
		c, d := x.shape(t.Name, f.SelectionSet)
		if strings.HasSuffix(t.Name, "Connection") {
			c, d = c+1, d+1
		}
		conns, depth = conns+c, max(depth, d)
	}
	return conns, depth
}

// runQuery executes a bulk query over everything and writes its result: a line for each node, children with __parentId.
func (s *Sim) runQuery(b *bulk) {
	op, vars, fails := s.prepare(b.query, nil, "")
	if fails != nil {
		b.status = "FAILED"
		return
	}
	x := &exec{s: s, vars: vars, whole: true}
	root := &node{"QueryRoot", fields{}}
	var out bytes.Buffer
	write := func(o ordered) {
		line, err := json.Marshal(o)
		if err != nil {
			panic("shopifysim: a bulk result does not marshal: " + err.Error())
		}
		out.Write(line)
		out.WriteByte('\n')
		b.objects++
	}
	for _, f := range x.fields("QueryRoot", op.SelectionSet, false) {
		resolve := s.queries[f.Name]
		root.f[f.Name] = lazy(func(a args) (any, *failure) { return resolve(x, a) })
		for _, m := range x.object(root, ast.SelectionSet{f}, nil) {
			if o, ok := m.value.(ordered); ok {
				for _, n := range nodesOf(o) {
					b.root++
					flatten(n, "", write)
				}
			}
		}
	}
	b.status, b.result = "COMPLETED", out.Bytes()
	b.secret = "/bulk/" + text(b.id) + "?token=" + s.Token(32)
}

// nodesOf are the nodes of a connection that was answered.
func nodesOf(o ordered) []ordered {
	var all []ordered
	for _, m := range o {
		list, _ := m.value.([]any)
		for _, x := range list {
			n, ok := x.(ordered)
			if !ok {
				continue
			}
			if m.key == "nodes" {
				all = append(all, n)
			}
			for _, e := range n {
				if inner, ok := e.value.(ordered); ok && m.key == "edges" && e.key == "node" {
					all = append(all, inner)
				}
			}
		}
	}
	return all
}

func flatten(o ordered, parent string, write func(ordered)) {
	var own ordered
	var children []ordered
	id := ""
	for _, m := range o {
		if c, ok := m.value.(ordered); ok && isConnection(c) {
			children = append(children, nodesOf(c)...)
			continue
		}
		if m.key == "id" {
			id, _ = m.value.(string)
		}
		own = append(own, m)
	}
	if parent != "" {
		own = append(own, member{"__parentId", parent})
	}
	write(own)
	for _, c := range children {
		flatten(c, id, write)
	}
}

func isConnection(o ordered) bool {
	for _, m := range o {
		if _, ok := m.value.([]any); ok && (m.key == "edges" || m.key == "nodes") {
			return true
		}
	}
	return false
}

// download gives the result of a bulk operation for seven days to whoever has its address.
func (s *Sim) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bulks[number(r.PathValue("id"))]
	if b == nil || b.status != "COMPLETED" || !strings.HasSuffix(b.secret, "?token="+r.URL.Query().Get("token")) || s.Now().After(b.done.AddDate(0, 0, 7)) {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	http.ServeContent(w, r, "", b.done, bytes.NewReader(b.result)) // the store reads parts too
}

// CancelBulk cancels the bulk operations that run, as a person does.
func (s *Sim) CancelBulk() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bulks {
		if s.settle(b); b.status != "COMPLETED" {
			b.status = "CANCELED"
		}
	}
}

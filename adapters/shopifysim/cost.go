package shopifysim

import (
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	maxCost      = 1000
	mutationCost = 10
)

// bucket is the leaky bucket of points of one app in one shop.
type bucket struct {
	points float64
	at     time.Time
}

// fill adds what time has restored.
func (s *Sim) fill() {
	now := s.Now()
	if !s.bucket.at.IsZero() {
		s.bucket.points = min(s.opts.Bucket, s.bucket.points+s.opts.Restore*max(now.Sub(s.bucket.at), 0).Seconds())
	}
	s.bucket.at = now
}

// throttle describes the bucket as answers do.
func (s *Sim) throttle() map[string]any {
	return map[string]any{"maximumAvailable": s.opts.Bucket, "currentlyAvailable": int(s.bucket.points), "restoreRate": s.opts.Restore}
}

// requested is what a selection may cost at most: nothing for leaves, 1 for an object, for a connection 2 and its page size
// times a node, 10 for a mutation with the connections inside it.
func (x *exec) requested(typ string, set ast.SelectionSet) int {
	total := 0
	for _, f := range x.fields(typ, set, true) {
		t := x.s.schema.Types[f.Definition.Type.Name()]
		if t == nil || t.IsLeafType() || strings.HasPrefix(f.Name, "__") {
			continue
		}
		inner := x.requested(t.Name, f.SelectionSet)
		switch {
		case typ == "Mutation":
			total += mutationCost + x.connections(t.Name, f.SelectionSet)
		case strings.HasSuffix(t.Name, "Connection"):
			total += 2 + x.size(f)*inner
		case t.Name == "PageInfo" || strings.HasSuffix(t.Name, "Edge"):
			total += inner
		case f.Definition.Type.Elem != nil:
			total += x.size(f) * (1 + inner)
		default:
			total += 1 + inner
		}
	}
	return total
}

// connections is what the connections in a mutation's answer may cost.
func (x *exec) connections(typ string, set ast.SelectionSet) int {
	total := 0
	for _, f := range x.fields(typ, set, true) {
		t := x.s.schema.Types[f.Definition.Type.Name()]
		if t == nil || t.IsLeafType() {
			continue
		}
		if strings.HasSuffix(t.Name, "Connection") {
			total += 2 + x.size(f)*x.requested(t.Name, f.SelectionSet)
		} else {
			total += x.connections(t.Name, f.SelectionSet)
		}
	}
	return total
}

// size is the page size that a field asks for; a list of ids counts its ids.
func (x *exec) size(f *ast.Field) int {
	a := args(f.ArgumentMap(x.vars))
	for _, k := range []string{"first", "last"} {
		if n := a.int(k); n > 0 {
			return n
		}
	}
	if ids := a.list("ids"); len(ids) > 0 {
		return len(ids)
	}
	return 1
}

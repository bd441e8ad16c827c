package guard

import (
	"container/list"
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Cache keeps parsed and validated queries, least recently used out first. It is capped by bytes of query text, because
// a parsed query takes about a hundred times the memory of its text. It is safe for concurrent use.
type Cache struct {
	maxBytes, maxQuery int

	mu    sync.Mutex
	bytes int
	order *list.List // of *cached, most recently used first
	items map[string]*list.Element
}

type cached struct {
	query string
	doc   *ast.QueryDocument
}

var _ graphql.Cache[*ast.QueryDocument] = (*Cache)(nil)

// NewCache returns a cache of at most maxBytes bytes of query text; queries longer than a sixteenth of it are not kept.
func NewCache(maxBytes int) *Cache {
	return &Cache{maxBytes: maxBytes, maxQuery: maxBytes / 16, order: list.New(), items: map[string]*list.Element{}}
}

// Get implements graphql.Cache.
func (c *Cache) Get(_ context.Context, query string) (*ast.QueryDocument, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[query]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).doc, true
}

// Add implements graphql.Cache.
func (c *Cache) Add(_ context.Context, query string, doc *ast.QueryDocument) {
	if len(query) > c.maxQuery {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[query]; ok {
		return
	}
	c.items[query] = c.order.PushFront(&cached{query, doc})
	c.bytes += len(query)
	for c.bytes > c.maxBytes {
		last := c.order.Back()
		q := last.Value.(*cached).query
		c.order.Remove(last)
		delete(c.items, q)
		c.bytes -= len(q)
	}
}

// Bytes returns the bytes of query text in the cache.
func (c *Cache) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

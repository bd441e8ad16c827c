package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A burst of changes queues a job for each. Most of them would look at the same rows as one that is at it already: what
// follows keeps them from doing so one after the other, within this process; between processes the rows' locks do.

// passes counts, by system and kind, the jobs of this process that are writing projections.
type passes struct {
	mu sync.Mutex
	at map[ProjectArgs]*passing
}

type passing struct {
	jobs    int // between their beginning and their end
	unseen  int // jobs that ended at once, since the last look for due rows began
	arrived int // of these, since a job was last let in
}

// enter reports whether a job is needed. It is not while another one has still to look for due rows before it ends, unless
// so many have come that there may be a full batch for a second writer.
func (p *passes) enter(of ProjectArgs, batch int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.at[of]
	if x == nil {
		x = &passing{}
		p.at[of] = x
	}
	if x.jobs > 0 && x.arrived+1 < batch {
		x.unseen++
		x.arrived++
		return false
	}
	x.jobs++
	x.arrived = 0
	return true
}

// look notes that due rows are about to be looked for: what has come until now will be seen.
func (p *passes) look(of ProjectArgs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[of].unseen = 0
}

// leave ends a job and reports whether others have come that nobody will look for any more.
func (p *passes) leave(of ProjectArgs) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.at[of]
	if x.jobs--; x.jobs > 0 {
		return false
	}
	delete(p.at, of)
	return x.unseen > 0
}

// turns lets one job at a time follow what comes of a key, for all that wait for it.
type turns struct {
	mu sync.Mutex
	at map[string]*turn
}

type turn struct {
	ids   []string
	began bool
	done  chan struct{}
	next  *turn
	err   error
}

// join has f run with the ids of all that have joined before it begins, one run at a time for each key, and returns its error.
// Whoever joins runs f itself, or waits for one that does.
func (t *turns) join(ctx context.Context, key, id string, f func(ctx context.Context, ids []string) error) error {
	t.mu.Lock()
	now, first := t.at[key], false
	if now == nil {
		now = &turn{ids: []string{id}, began: true, done: make(chan struct{})}
		t.at[key] = now
		t.mu.Unlock()
		return t.run(ctx, key, now, f)
	}
	mine := now
	if now.began {
		if first = now.next == nil; first {
			now.next = &turn{done: make(chan struct{})}
		}
		mine = now.next
	}
	if !slices.Contains(mine.ids, id) {
		mine.ids = append(mine.ids, id)
	}
	t.mu.Unlock()
	if first {
		<-now.done // it ends by its own deadline
		return t.run(ctx, key, mine, f)
	}
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run runs f for a turn that is the key's current one.
func (t *turns) run(ctx context.Context, key string, now *turn, f func(ctx context.Context, ids []string) error) error {
	t.mu.Lock()
	now.began, now.err = true, errors.New("the run that others waited for broke off")
	ids := now.ids
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		if now.next != nil {
			t.at[key] = now.next
		} else {
			delete(t.at, key)
		}
		t.mu.Unlock()
		close(now.done)
	}()
	now.err = f(ctx, ids)
	return now.err
}

package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// watchDrift parks what would write a field that its vendor no longer shows as it did, wakes what is free again, and has others
// looked at where a member may have been cleared or may be gone. It is run every second.
func (e *Engine) watchDrift(ctx context.Context) error {
	if err := store.ParkDrifting(ctx, e.pool); err != nil {
		return err
	}
	free, err := store.UnparkDrifting(ctx, e.pool)
	for _, u := range free {
		err = errors.Join(err, e.wakeProject(ctx, u.System, u.Kind, 0))
	}
	if err != nil {
		return err
	}
	var systems []string
	var alone []store.Drift
	err = store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		systems, alone, err = store.AskWitnesses(ctx, tx)
		return err
	})
	for _, s := range systems {
		err = errors.Join(err, e.wakeIngest(ctx, s, 0))
	}
	for _, d := range alone {
		err = errors.Join(err, e.applier.ConfirmDrift(ctx, d, change.Cause{Actor: "datum", Source: change.FromSweep, CorrelationID: domain.NewID("cor")}))
	}
	return err
}

// noticeAgain is how long a notice that has been told is not told again.
const noticeAgain = 10 * time.Minute

// notices tells the applier what a system's answers say about the future of its API, and when they say it no more.
type notices struct {
	SessionConfig
	system string
	mu     sync.Mutex
	told   map[string]map[string]time.Time // by endpoint and sort: when it was told last
}

func newNotices(ctx context.Context, cfg SessionConfig, system string) *notices {
	n := &notices{SessionConfig: cfg, system: system, told: map[string]map[string]time.Time{}}
	open, err := store.Drifts(ctx, cfg.Pool, store.DriftFilter{System: system, Status: []string{store.DriftOpen, store.DriftIgnored}}, [4]string{}, 1000)
	if err != nil {
		cfg.Log.WarnContext(ctx, "what the vendor said before about its API is not known", "system", system, "error", err)
	}
	for _, d := range open {
		if d.Kind == "" {
			n.at(d.Path)[d.Sort] = time.Time{}
		}
	}
	return n
}

func (n *notices) at(path string) map[string]time.Time {
	if n.told[path] == nil {
		n.told[path] = map[string]time.Time{}
	}
	return n.told[path]
}

// Notice implements rest.Noticer.
func (n *notices) Notice(ctx context.Context, path string, ns []adapters.Notice) {
	now := n.Now()
	var tell []store.Drift
	var over []string
	n.mu.Lock()
	told := n.told[path]
	for _, x := range ns {
		if at, known := told[x.Sort]; !known || now.Sub(at) >= noticeAgain {
			tell = append(tell, store.Drift{System: n.system, Sort: x.Sort, Path: path, Was: x.Asked, Became: adapters.Clip(x.Says), Status: store.DriftOpen,
				Examples: []store.DriftExample{{Value: adapters.Clip(x.Says)}}})
			n.at(path)[x.Sort] = now
		}
	}
	for sort := range told {
		if !slices.ContainsFunc(ns, func(x adapters.Notice) bool { return x.Sort == sort }) {
			over = append(over, sort)
			delete(told, sort)
		}
	}
	n.mu.Unlock()
	if len(tell)+len(over) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := n.Applier.Notices(ctx, n.system, path, tell, over, change.Cause{Actor: "system:" + n.system, Source: change.FromPoll, CorrelationID: domain.Correlation(ctx)})
	if err != nil {
		n.Log.WarnContext(ctx, "what the vendor says about its API is not noted; the next answer says it again", "system", n.system, "error", err)
		n.mu.Lock()
		delete(n.told, path)
		n.mu.Unlock()
	}
}

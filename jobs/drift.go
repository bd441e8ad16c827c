package jobs

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

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

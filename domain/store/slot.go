package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Few writers of one system and kind at a time fill their batches instead of racing for single records. A slot is a lease
// like any other: it ends by itself, or with its process.

// TakeSlot takes a free writer slot if there is work for it: the first for any due projection, each further one only for
// another full batch. idle means that nothing is due; with neither idle nor a slot, somebody else is at it, and will look
// again before giving up the slot.
func TakeSlot(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, process string, lease uuid.UUID, d time.Duration, slots, batch int) (slot int, idle bool, err error) {
	taken, err := lockSlots(ctx, tx, system, kind, slots)
	if err != nil {
		return -1, false, err
	}
	due, _, err := Due(ctx, tx, system, kind, slots*batch)
	if err != nil {
		return -1, false, err
	}
	if due == 0 {
		return -1, true, nil
	}
	held := 0
	for _, t := range taken {
		if t {
			held++
		}
	}
	for i, t := range taken {
		if t || held > 0 && due < batch {
			continue
		}
		_, err := tx.Exec(ctx, `-- name: TakeSlot
			UPDATE writer_slots SET lease = $4, lease_process = $5, lease_until = now() + $6::interval WHERE system = $1 AND kind = $2 AND slot = $3`,
			system, kind, i, lease, process, d)
		if err != nil {
			return -1, false, fmt.Errorf("store.TakeSlot: %w", err)
		}
		return i, false, nil
	}
	return -1, false, nil
}

// lockSlots locks the slots of a system and kind until the transaction ends, and tells which are taken.
func lockSlots(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, slots int) ([]bool, error) {
	read := func() ([]bool, error) {
		rows, err := tx.Query(ctx, `-- name: lockSlots
			SELECT lease IS NOT NULL AND NOT `+free+` FROM writer_slots WHERE system = $1 AND kind = $2 AND slot < $3 ORDER BY slot FOR UPDATE`, system, kind, slots)
		if err != nil {
			return nil, fmt.Errorf("store.lockSlots: %w", err)
		}
		return pgx.CollectRows(rows, pgx.RowTo[bool])
	}
	taken, err := read()
	if err != nil || len(taken) == slots {
		return taken, err
	}
	_, err = tx.Exec(ctx, `-- name: addSlots
		INSERT INTO writer_slots (system, kind, slot) SELECT $1, $2, generate_series(0, $3 - 1) ON CONFLICT DO NOTHING`, system, kind, slots)
	if err != nil {
		return nil, fmt.Errorf("store.lockSlots: %w", err)
	}
	return read()
}

// ClaimInSlot claims projections for the holder of a slot: up to a batch, and nothing if another slot is held and there is
// less than a batch, which is then the other holder's. It returns the gate at that moment, and claims only if that lets the
// system be written to or tried.
func ClaimInSlot(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, process string, slot, slots, batch int, lease uuid.UUID, d time.Duration) (Gate, []*Projection, error) {
	others, err := othersHold(ctx, tx, system, kind, slot, slots)
	if err != nil {
		return Gate{}, nil, err
	}
	gate, err := GateOf(ctx, tx, system, kind)
	if err != nil || !gate.Writes() {
		return gate, nil, err
	}
	if others {
		if due, _, err := Due(ctx, tx, system, kind, batch); err != nil || due < batch {
			return gate, nil, err
		}
	}
	claimed, err := ClaimProjections(ctx, tx, system, kind, lease, process, d, batch)
	return gate, claimed, err
}

// othersHold locks the slots and reports whether another than the given one is taken.
func othersHold(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, slot, slots int) (bool, error) {
	taken, err := lockSlots(ctx, tx, system, kind, slots)
	for i, t := range taken {
		if t && i != slot {
			return true, err
		}
	}
	return false, err
}

// KeepSlot renews the lease; false means that it was lost.
func KeepSlot(ctx context.Context, db DB, system string, kind domain.Kind, slot int, lease uuid.UUID, d time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: KeepSlot
		UPDATE writer_slots SET lease_until = now() + $5::interval WHERE system = $1 AND kind = $2 AND slot = $3 AND lease = $4`, system, kind, slot, lease, d)
	if err != nil {
		return false, fmt.Errorf("store.KeepSlot: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// ReleaseSlot gives the slot back, unless there is work to do (and force is false): then the holder goes round again. Less
// than a batch is work for one: a holder leaves it to another. All slots are locked meanwhile, so that whoever finds them
// taken can rely on the holder's last look.
func ReleaseSlot(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, slot, slots, batch int, lease uuid.UUID, force bool) (released bool, err error) {
	others, err := othersHold(ctx, tx, system, kind, slot, slots)
	if err != nil {
		return false, err
	}
	if !force {
		due, _, err := Due(ctx, tx, system, kind, batch)
		if err != nil || due > 0 && !(others && due < batch) {
			return false, err
		}
	}
	_, err = tx.Exec(ctx, `-- name: ReleaseSlot
		UPDATE writer_slots SET lease = NULL, lease_until = NULL, lease_process = '' WHERE system = $1 AND kind = $2 AND slot = $3 AND lease = $4`,
		system, kind, slot, lease)
	if err != nil {
		return false, fmt.Errorf("store.ReleaseSlot: %w", err)
	}
	return true, nil
}

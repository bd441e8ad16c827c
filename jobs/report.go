package jobs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/store"
)

// reportPatience is how long a report waits for signals of its pass that cannot be applied.
const reportPatience = 15 * time.Minute

// report makes the reports final of the passes whose listing has ended and whose signals have been worked off.
func (e *Engine) report(ctx context.Context) error {
	ids, err := store.ListedSweeps(ctx, e.pool, reportPatience)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
			s, err := store.LockSweep(ctx, tx, id)
			if err != nil || s == nil {
				return err
			}
			c, err := e.system(ctx, s.System)
			if err != nil {
				return err
			}
			if err := e.compareSides(ctx, tx, c, s); err != nil {
				return err
			}
			b := &pgx.Batch{}
			store.QueueEvent(b, store.TopicSystem, "", s.System, "sweep", s.CorrelationID)
			if err := store.FinishSweep(ctx, tx, s); err != nil {
				return err
			}
			return tx.SendBatch(ctx, b).Close()
		})
		if err != nil {
			e.log.WarnContext(ctx, "the report of a sweep was not made; it is tried again", "sweep", id, "error", err)
			continue
		}
		e.applier.Ring()
	}
	return nil
}

// compareSides counts and adds up both sides of a pass.
func (e *Engine) compareSides(ctx context.Context, tx pgx.Tx, c *connected, s *store.Sweep) error {
	var again []store.Compared // refer to what was not linked when they were listed
	var theirs, ours side
	s.SweepReport = store.SweepReport{}
	one := func(x store.Compared) error {
		stored := domain.Hash(x.Values)
		switch x.What {
		case store.ItemDiffers:
			s.Repaired++
		case store.ItemUnknown:
			s.Unknown++
		case store.ItemMissing:
			s.Missing++
			if !x.Live {
				s.Tombstoned++
			} else if x.Later {
				s.LeftOut++
			}
		}
		listed := x.What == store.ItemSame || x.What == store.ItemDiffers || x.What == store.ItemUnknown
		values := x.Listed
		if values == nil {
			values = x.Values
		}
		switch {
		case x.Later && listed && !x.Live: // deleted since
			s.Moved++
			listed = false
		case x.Later && x.Live && listed && x.Hash != stored, x.Later && x.Live && x.What == "":
			s.Moved++
			listed, x.Hash, values = true, stored, x.Values
		}
		wanted := x.Values
		if len(x.Pending) > 0 && x.Live {
			wanted = wanted.Clone()
			maps.Copy(wanted, x.Pending)
		}
		hash := domain.Hash(wanted)
		if listed {
			theirs.add(s.Kind, values, x.Hash)
		}
		if x.Live {
			ours.add(s.Kind, wanted, hash)
		}
		switch {
		case listed && x.Live && x.Hash != hash:
			s.Differ++
		case listed && !x.Live:
			s.OnlyTheirs++
		case x.Live && !listed:
			s.OnlyOurs++
		}
		return nil
	}
	err := store.CompareSweep(ctx, tx, s, func(x store.Compared) error {
		if x.Listed != nil {
			again = append(again, x)
			return nil
		}
		return one(x)
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(again, 500) {
		signals := make([]store.Signal, len(chunk))
		for i, x := range chunk {
			signals[i] = store.Signal{Kind: s.Kind, Record: &domain.Record{Kind: s.Kind, Values: x.Listed}}
		}
		linked, err := e.linked(ctx, tx, c, signals)
		if err != nil {
			return err
		}
		for i, x := range chunk {
			n, _ := referred(signals[i].Record, linked)
			x.Listed, x.Hash = n.Values, domain.Hash(n.Values)
			if err := one(x); err != nil {
				return err
			}
		}
	}
	open, err := store.StillToMake(ctx, tx, s.System, s.Kind)
	if err != nil {
		return err
	}
	for _, v := range open {
		ours.add(s.Kind, v, domain.Hash(v))
		s.OnlyOurs++
	}
	s.TheirsCount, s.TheirsHash, s.OursCount, s.OursHash = theirs.total.Count, theirs.total.String(), ours.total.Count, ours.total.String()
	s.Money = months(theirs, ours)
	if s.LeftOut > 0 && s.Complete {
		s.Complete, s.Why = false, "the vendor's listing left out objects that are there when they are asked for one by one; nothing was taken for deleted without asking"
	}
	return nil
}

// side is one side of a comparison.
type side struct {
	total domain.Total
	money map[[2]string]decimal.Decimal // by month and currency
}

func (d *side) add(kind domain.Kind, v domain.Values, hash string) {
	d.total.Add(hash)
	month, currency, amount, ok := domain.MonthOf(kind, v)
	if !ok {
		return
	}
	if d.money == nil {
		d.money = map[[2]string]decimal.Decimal{}
	}
	k := [2]string{month, currency}
	d.money[k] = d.money[k].Add(amount)
}

// months lays the sums of both sides beside one another, latest month first.
func months(theirs, ours side) []store.SweepMoney {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(theirs.money)), maps.Keys(ours.money))
	slices.SortFunc(keys, func(a, b [2]string) int { return -strings.Compare(a[0]+a[1], b[0]+b[1]) })
	var out []store.SweepMoney
	for _, k := range slices.Compact(keys) {
		out = append(out, store.SweepMoney{Month: k[0], Currency: k[1], Theirs: theirs.money[k].StringFixed(2), Ours: ours.money[k].StringFixed(2)})
	}
	return out
}

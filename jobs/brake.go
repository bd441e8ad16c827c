package jobs

import (
	"context"
	"strings"

	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// brakeExamples are shown with the case of a mass change.
const brakeExamples = 20

// holds reports whether the brake holds signals of a system back, as far as this process has seen.
func (e *Engine) holds(system string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.braked[system]
}

// brakes looks at what is held back: what a new policy would write goes on if it is no more than may be, and otherwise, as
// for everything else that is held back, a case is open as long as there is any.
func (e *Engine) brakes(ctx context.Context) error {
	states, err := store.BrakeStates(ctx, e.pool)
	if err != nil {
		return err
	}
	braked := map[string]bool{}
	var wanted []store.Case
	for _, s := range states {
		if s.Code == store.CodeHeld {
			if s, err = e.judgeHeld(ctx, s); err != nil {
				return err
			}
			if s.Code != store.CodeBraked {
				continue
			}
		}
		if s.Way == "in" {
			braked[s.System] = true
		}
		live, err := store.LiveRecords(ctx, e.pool, s.System, s.Kind)
		if err != nil {
			return err
		}
		counts, sample, err := store.BrakeDiff(ctx, e.pool, s, brakeExamples)
		if err != nil {
			return err
		}
		wanted = append(wanted, change.MassCase(s, live, counts, sample))
	}
	e.mu.Lock()
	e.braked = braked
	e.mu.Unlock()
	open, err := store.ListCases(ctx, e.pool, store.CaseFilter{Status: "open", Kind: store.CaseMassChange}, nil, "", 1000)
	if err != nil {
		return err
	}
	is := map[string]string{}
	for _, c := range open {
		is[c.DedupeKey] = c.Detail.Message
	}
	for _, c := range wanted {
		if is[c.DedupeKey] != c.Detail.Message {
			e.log.WarnContext(ctx, "the brake holds a mass change back", "system", c.System, "kind", c.EntityKind, "count", c.Detail.Held)
			if err := e.openCase(ctx, c); err != nil {
				return err
			}
		}
		delete(is, c.DedupeKey)
	}
	for key := range is {
		if strings.HasPrefix(key, "mass_change|") {
			if err := e.closeCase(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeHeld lets go on, or brakes, what was held under a new policy, once every entity has been resolved under it.
func (e *Engine) judgeHeld(ctx context.Context, s store.BrakeState) (store.BrakeState, error) {
	busy, err := store.Resettling(ctx, e.pool)
	if err != nil || busy {
		return s, err
	}
	pol, _, err := e.applier.Policy(ctx, e.pool, 0)
	if err != nil {
		return s, err
	}
	live, err := store.LiveRecords(ctx, e.pool, s.System, s.Kind)
	if err != nil {
		return s, err
	}
	if b := pol.Brake(s.System, ownership.Out); !b.Off && s.N > b.Limit(live) {
		s.Code = store.CodeBraked
		return s, store.RecodeBraked(ctx, e.pool, s.System, s.Kind, store.CodeHeld, s.Code, "more would be written to "+s.System+" at once than could be everyday business; a person is asked")
	}
	if _, err := store.ReleaseBraked(ctx, e.pool, s.System, s.Kind, store.CodeHeld); err != nil {
		return s, err
	}
	return s, e.wakeProject(ctx, s.System, s.Kind, 0)
}

package hubspotsim

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// batch is the answer to a batch request.
type batch struct {
	started time.Time
	results []any
	errors  []*apiError
}

func newBatch(now time.Time) *batch { return &batch{started: now, results: []any{}} }

func (b *batch) fail(e *apiError, context map[string][]string) {
	c := *e
	c.Status = "error"
	c.Context = context
	if c.Errors == nil {
		c.Errors = []errorDetail{}
	}
	c.Links = map[string]string{}
	b.errors = append(b.errors, &c)
}

func (b *batch) answer(now time.Time, status int) (int, any, *apiError) {
	m := map[string]any{"status": "COMPLETE", "results": b.results, "startedAt": stamp(b.started), "completedAt": stamp(now)}
	if len(b.errors) > 0 {
		m["numErrors"], m["errors"] = len(b.errors), b.errors
		status = http.StatusMultiStatus
	}
	return status, m, nil
}

const maxBatch = 100

type batchInput struct {
	Properties            []string `json:"properties"`
	PropertiesWithHistory []string `json:"propertiesWithHistory"`
	IDProperty            string   `json:"idProperty"`
	Inputs                []input  `json:"inputs"`
}

func readBatch(r *http.Request, needIDs bool) (batchInput, *apiError) {
	in, e := decode[batchInput](r)
	if e != nil {
		return in, e
	}
	if len(in.Inputs) > maxBatch {
		return in, invalid(fmt.Sprintf("The maximum number of inputs supported in a batch request is %d, was %d", maxBatch, len(in.Inputs)))
	}
	if len(in.Inputs) == 0 {
		return in, invalid("Some required fields were not set: [inputs]")
	}
	if needIDs {
		seen := map[string]bool{}
		for _, x := range in.Inputs {
			if x.ID == "" {
				return in, invalid("Some required fields were not set: [id]")
			}
			if seen[x.ID] {
				return in, invalid("Duplicate IDs found in batch input: [" + x.ID + "]. IDs must be unique")
			}
			seen[x.ID] = true
		}
	}
	return in, nil
}

func (s *Sim) batchRead(r *http.Request, typ string) (int, any, *apiError) {
	in, e := readBatch(r, true)
	if e != nil {
		return 0, nil, e
	}
	archived := r.URL.Query().Get("archived") == "true"
	b := newBatch(s.Now())
	var missing []string
	shown := map[string]bool{}
	for _, x := range in.Inputs {
		o, e := s.findBy(typ, in.IDProperty, x.ID)
		if e != nil {
			return 0, nil, e
		}
		if o == nil || o.archived != archived {
			missing = append(missing, x.ID)
			continue
		}
		if !shown[o.id] {
			shown[o.id] = true
			b.results = append(b.results, s.show(o, view{properties: in.Properties, history: in.PropertiesWithHistory}))
		}
	}
	if len(missing) > 0 {
		b.fail(&apiError{Category: "OBJECT_NOT_FOUND", Message: fmt.Sprintf("Could not get some %s objects, they may be deleted or not exist. Check that ids are valid.", strings.ToUpper(singular(typ)))},
			map[string][]string{"ids": missing})
	}
	return b.answer(s.Now(), http.StatusOK)
}

// writeBatch runs one over every input. When all inputs have their own trace id a failure is that input's alone; else the
// first failure refuses the batch and nothing is changed.
func (s *Sim) writeBatch(r *http.Request, typ string, inputs []input, status int, check, one func(input, writing) (any, *apiError)) (int, any, *apiError) {
	traces := map[string]bool{}
	for _, x := range inputs {
		if x.TraceID != "" {
			traces[x.TraceID] = true
		}
	}
	multi := len(traces) == len(inputs) && !s.opts.AllOrNothing
	w := s.api()
	if !multi {
		for _, x := range inputs {
			if _, e := check(x, w); e != nil {
				s.Wrote(r, 0, 0, 0)
				return 0, nil, e
			}
		}
	}
	b := newBatch(s.Now())
	for _, x := range inputs {
		res, e := one(x, w)
		if e != nil {
			context := map[string][]string{"objectWriteTraceId": {x.TraceID}}
			if !multi { // two inputs of the batch clash with one another
				context = map[string][]string{"id": {x.ID}}
			}
			b.fail(e, context)
			continue
		}
		if m, ok := res.(map[string]any); ok && x.TraceID != "" {
			m["objectWriteTraceId"] = x.TraceID
		}
		b.results = append(b.results, res)
	}
	return b.answer(s.Now(), status)
}

func (s *Sim) batchCreate(r *http.Request, typ string) (int, any, *apiError) {
	in, e := readBatch(r, false)
	if e != nil {
		return 0, nil, e
	}
	created := 0
	status, body, e := s.writeBatch(r, typ, in.Inputs, http.StatusCreated,
		func(x input, _ writing) (any, *apiError) { _, e := s.check(typ, nil, x.values()); return nil, e },
		func(x input, w writing) (any, *apiError) {
			o, e := s.createFrom(typ, x, w)
			if e != nil {
				return nil, e
			}
			created++
			return s.shown(o, x.values()), nil
		})
	if e == nil {
		s.Wrote(r, created, 0, 0)
	}
	return status, body, e
}

func (s *Sim) batchUpdate(r *http.Request, typ string) (int, any, *apiError) {
	in, e := readBatch(r, true)
	if e != nil {
		return 0, nil, e
	}
	updated, noop := 0, 0
	lookup := func(x input) (*object, *apiError) {
		o, e := s.findBy(typ, x.IDProperty, x.ID)
		if e == nil && (o == nil || o.archived) {
			e = notFound(typ)
			e.Context = map[string][]string{"ids": {x.ID}}
		}
		return o, e
	}
	status, body, e := s.writeBatch(r, typ, in.Inputs, http.StatusOK,
		func(x input, _ writing) (any, *apiError) {
			o, e := lookup(x)
			if o != nil && e == nil {
				_, e = s.check(typ, o, x.values())
			} else if e != nil && e.http == http.StatusNotFound {
				return nil, nil // told per element
			}
			return nil, e
		},
		func(x input, w writing) (any, *apiError) {
			o, e := lookup(x)
			if e != nil {
				return nil, e
			}
			changed, e := s.update(o, x.values(), w)
			if e != nil {
				return nil, e
			}
			if changed {
				updated++
			} else {
				noop++
			}
			return s.shown(o, x.values()), nil
		})
	if e == nil {
		s.Wrote(r, 0, updated, noop)
	}
	return status, body, e
}

func (s *Sim) batchUpsert(r *http.Request, typ string) (int, any, *apiError) {
	in, e := readBatch(r, true)
	if e != nil {
		return 0, nil, e
	}
	created, updated, noop := 0, 0, 0
	// plan resolves an input to the object it updates, nil to create, and the values to set.
	plan := func(x input) (*object, map[string]string, *apiError) {
		if x.IDProperty == "" || x.IDProperty == "hs_object_id" {
			o := s.find(typ, x.ID)
			if o == nil || o.archived {
				return nil, nil, notFound(typ)
			}
			return o, x.values(), nil
		}
		o, e := s.findBy(typ, x.IDProperty, x.ID)
		if e != nil {
			return nil, nil, e
		}
		set := x.values()
		if set[x.IDProperty] == "" {
			set[x.IDProperty] = x.ID
		}
		return o, set, nil
	}
	status, body, e := s.writeBatch(r, typ, in.Inputs, http.StatusOK,
		func(x input, _ writing) (any, *apiError) {
			o, set, e := plan(x)
			if e == nil {
				_, e = s.check(typ, o, set)
			}
			return nil, e
		},
		func(x input, w writing) (any, *apiError) {
			o, set, e := plan(x)
			if e != nil {
				return nil, e
			}
			isNew := o == nil
			changed := false
			if isNew {
				o, e = s.create(typ, maps.Clone(set), w)
			} else {
				changed, e = s.update(o, set, w)
			}
			if e != nil {
				return nil, e
			}
			switch {
			case isNew:
				created++
			case changed:
				updated++
			default:
				noop++
			}
			m := s.shown(o, set)
			m["new"] = isNew
			return m, nil
		})
	if e == nil {
		s.Wrote(r, created, updated, noop)
	}
	return status, body, e
}

func (s *Sim) batchArchive(r *http.Request, typ string) (int, any, *apiError) {
	in, e := readBatch(r, true)
	if e != nil {
		return 0, nil, e
	}
	n := 0
	w := s.api()
	for _, x := range in.Inputs {
		if o := s.find(typ, x.ID); o != nil && !o.archived {
			s.archive(o, w)
			n++
		}
	}
	s.Wrote(r, 0, n, 0)
	return http.StatusNoContent, nil, nil
}

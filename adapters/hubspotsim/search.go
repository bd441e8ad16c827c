package hubspotsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type searchRequest struct {
	Query        string `json:"query"`
	Limit        int    `json:"limit"`
	After        any    `json:"after"`
	Properties   []string
	Sorts        []json.RawMessage `json:"sorts"`
	FilterGroups []struct {
		Filters []filter `json:"filters"`
	} `json:"filterGroups"`
}

type filter struct {
	PropertyName string `json:"propertyName"`
	Operator     string `json:"operator"`
	Value        any    `json:"value"`
	HighValue    any    `json:"highValue"`
	Values       []any  `json:"values"`
}

const (
	searchLimit = 200
	searchDepth = 10_000
)

var operators = []string{"BETWEEN", "CONTAINS_TOKEN", "EQ", "GT", "GTE", "HAS_PROPERTY", "IN", "LT", "LTE", "NEQ", "NOT_CONTAINS_TOKEN", "NOT_HAS_PROPERTY", "NOT_IN"}

func (q *searchRequest) check(known map[string]*property, isStrict bool) *apiError {
	if q.Limit == 0 {
		q.Limit = 10
	}
	if q.Limit < 0 || q.Limit > searchLimit {
		return invalid(fmt.Sprintf("limit must be at most %d", searchLimit))
	}
	if len(q.Query) > 3000 {
		return invalid("query is too long: at most 3000 characters")
	}
	if len(q.FilterGroups) > 5 {
		return invalid("There are too many filter groups: at most 5")
	}
	if len(q.Sorts) > 1 {
		return invalid("There are too many sorts: at most 1")
	}
	total := 0
	for _, g := range q.FilterGroups {
		total += len(g.Filters)
		if len(g.Filters) > 6 || total > 18 {
			return invalid("There are too many filters: at most 6 in a group and 18 in all")
		}
		for _, f := range g.Filters {
			if !slices.Contains(operators, f.Operator) {
				return invalid(fmt.Sprintf("There was a problem with the request: operator %q is not valid", f.Operator))
			}
			if isStrict && known[f.PropertyName] == nil {
				return invalid(fmt.Sprintf("There was a problem with the request: property %q does not exist", f.PropertyName))
			}
			if (f.Operator == "IN" || f.Operator == "NOT_IN") && (len(f.Values) == 0 || len(f.Values) > 100) {
				return invalid(f.Operator + " needs 1 to 100 values")
			}
		}
	}
	return nil
}

func (s *Sim) searchObjects(r *http.Request, typ string) (int, any, *apiError) {
	q, e := decode[searchRequest](r)
	if e == nil {
		e = q.check(s.props[typ], strict(typ))
	}
	if e != nil {
		return 0, nil, e
	}
	start := 0
	if after := text(q.After); after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 {
			return 0, nil, invalid("after must be a whole number")
		}
		start = n
	}
	if start+q.Limit > searchDepth {
		return 0, nil, invalid(fmt.Sprintf("The request is invalid: results beyond the first %d cannot be paged to", searchDepth))
	}
	by, descending := createdName(typ), false
	if len(q.Sorts) == 1 {
		var form struct{ PropertyName, Direction string }
		var name string
		switch {
		case json.Unmarshal(q.Sorts[0], &name) == nil:
			by = strings.TrimPrefix(name, "-")
			descending = strings.HasPrefix(name, "-")
		case json.Unmarshal(q.Sorts[0], &form) == nil && form.PropertyName != "":
			by, descending = form.PropertyName, form.Direction == "DESCENDING"
		default:
			return 0, nil, invalid("sorts is not valid")
		}
	}
	type hit struct {
		o     *object
		props map[string]string
	}
	now := s.Now()
	var hits []hit
	for _, o := range s.sorted(typ) {
		if props := s.searchable(o, now); props != nil && s.wanted(typ, props, &q) {
			hits = append(hits, hit{o, props})
		}
	}
	numericSort := s.numeric(typ, by)
	slices.SortStableFunc(hits, func(a, b hit) int {
		c := compare(a.props[by], b.props[by], numericSort)
		if descending {
			c = -c
		}
		return c
	})
	results := []any{}
	for _, h := range hits[min(start, len(hits)):min(start+q.Limit, len(hits))] {
		ghost := *h.o
		ghost.props = h.props
		if at, ok := moment(h.props[modifiedName(typ)]); ok {
			ghost.modified = at
		}
		results = append(results, s.show(&ghost, view{properties: q.Properties}))
	}
	body := map[string]any{"total": len(hits), "results": results}
	if start+q.Limit < len(hits) {
		body["paging"] = map[string]any{"next": map[string]string{"after": strconv.Itoa(start + q.Limit)}}
	}
	return http.StatusOK, body, nil
}

func (s *Sim) numeric(typ, name string) bool {
	p := s.props[typ][name]
	return p != nil && (p.Type == "number" || p.Type == "datetime" || p.Type == "date")
}

// compare orders numbers and times by size and everything else as text without regard to case; empty comes first.
func compare(a, b string, numerically bool) int {
	if numerically && a != "" && b != "" {
		return cmp.Compare(quantity(a), quantity(b))
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}

func quantity(v string) float64 {
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		return f
	}
	if t, ok := moment(v); ok {
		return float64(t.UnixMilli())
	}
	return 0
}

var searchedByQuery = map[string][]string{
	"companies": {"name", "domain", "website", "phone"},
	"contacts":  {"firstname", "lastname", "email", "phone", "company", "hs_additional_emails"},
	"deals":     {"dealname"},
	"products":  {"name", "hs_sku", "description"},
}

func (s *Sim) wanted(typ string, props map[string]string, q *searchRequest) bool {
	if q.Query != "" {
		found := slices.ContainsFunc(searchedByQuery[typ], func(name string) bool {
			return strings.Contains(strings.ToLower(props[name]), strings.ToLower(q.Query))
		})
		if !found {
			return false
		}
	}
	if len(q.FilterGroups) == 0 {
		return true
	}
	for _, g := range q.FilterGroups {
		if !slices.ContainsFunc(g.Filters, func(f filter) bool { return !s.passes(typ, props[f.PropertyName], f) }) {
			return true
		}
	}
	return false
}

func (s *Sim) passes(typ, have string, f filter) bool {
	num := s.numeric(typ, f.PropertyName)
	want := text(f.Value)
	against := func(v string) int { return compare(have, v, num) }
	switch f.Operator {
	case "HAS_PROPERTY":
		return have != ""
	case "NOT_HAS_PROPERTY":
		return have == ""
	case "NEQ":
		return against(want) != 0
	case "NOT_IN":
		return !slices.ContainsFunc(f.Values, func(v any) bool { return against(text(v)) == 0 })
	case "NOT_CONTAINS_TOKEN":
		return !hasToken(have, want)
	}
	if have == "" {
		return false
	}
	switch f.Operator {
	case "EQ":
		return against(want) == 0
	case "IN":
		return slices.ContainsFunc(f.Values, func(v any) bool { return against(text(v)) == 0 })
	case "LT":
		return against(want) < 0
	case "LTE":
		return against(want) <= 0
	case "GT":
		return against(want) > 0
	case "GTE":
		return against(want) >= 0
	case "BETWEEN":
		return against(want) >= 0 && against(text(f.HighValue)) <= 0
	case "CONTAINS_TOKEN":
		return hasToken(have, want)
	}
	return false
}

// hasToken looks for a word, with * as a wildcard at its ends.
func hasToken(have, token string) bool {
	token = strings.ToLower(token)
	bare := strings.Trim(token, "*")
	for word := range strings.FieldsFuncSeq(strings.ToLower(have), func(r rune) bool { return strings.ContainsRune(" ,;@./-", r) }) {
		switch {
		case strings.HasPrefix(token, "*") && strings.HasSuffix(token, "*"):
			if strings.Contains(word, bare) {
				return true
			}
		case strings.HasPrefix(token, "*"):
			if strings.HasSuffix(word, bare) {
				return true
			}
		case strings.HasSuffix(token, "*"):
			if strings.HasPrefix(word, bare) {
				return true
			}
		case word == bare:
			return true
		}
	}
	return strings.EqualFold(have, bare)
}

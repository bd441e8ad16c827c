package graph

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"datum/domain"
	"datum/graph/model"
)

// pageSize returns the page size asked for. The guard has refused larger ones already where it could tell.
func pageSize(first *int) (int, error) {
	if first == nil {
		return 20, nil
	}
	if *first < 0 || *first > 100 {
		return 0, domain.Errorf(domain.Invalid, "first is %d: it must be between 0 and 100", *first)
	}
	return *first, nil
}

// cursor writes the place of an edge. tag names the order it belongs to.
func cursor(tag string, parts ...string) string {
	b, _ := json.Marshal(append([]string{tag}, parts...))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads what cursor wrote for the same order; none is no parts. Each part is "" then.
func parseCursor(after *string, tag string, n int) ([]string, error) {
	parts := make([]string, n)
	if after == nil || *after == "" {
		return parts, nil
	}
	var all []string
	b, err := base64.RawURLEncoding.DecodeString(*after)
	if err != nil || json.Unmarshal(b, &all) != nil || len(all) != n+1 || all[0] != tag {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list in this order; leave it out to begin at the start")
	}
	return all[1:], nil
}

// parseTime reads the part of a cursor that is a time; "" is none.
func parseTime(part string) (*time.Time, error) {
	if part == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, part)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	return &t, nil
}

// pageInfo describes a page of n edges whose cursors at gives.
func pageInfo(n int, more bool, after *string, at func(i int) string) *model.PageInfo {
	pi := &model.PageInfo{HasNextPage: more, HasPreviousPage: after != nil && *after != ""}
	if n > 0 {
		first, last := at(0), at(n-1)
		pi.StartCursor, pi.EndCursor = &first, &last
	}
	return pi
}

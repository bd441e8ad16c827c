package domain

import (
	"context"
	"regexp"
	"slices"
)

type correlationKey struct{}

// WithCorrelation returns a context that carries the id by which everything done for one cause can be found.
func WithCorrelation(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// Correlation returns the context's correlation id, "" if there is none.
func Correlation(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

type causesKey struct{}

// WithCorrelations returns a context for what is done for several causes at once: the first is its Correlation, and by each of
// them it can be found.
func WithCorrelations(ctx context.Context, ids []string) context.Context {
	var all []string
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id != "" && !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return WithCorrelation(ctx, "")
	}
	return context.WithValue(WithCorrelation(ctx, all[0]), causesKey{}, all)
}

// Correlations returns the ids of all causes beside the context's Correlation, nil if there are none.
func Correlations(ctx context.Context) []string {
	all, _ := ctx.Value(causesKey{}).([]string)
	id := Correlation(ctx)
	if i := slices.Index(all, id); i >= 0 && len(all) > 1 {
		return slices.Delete(slices.Clone(all), i, i+1)
	}
	return nil // narrowed to one cause since
}

var correlationID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/+=-]{3,99}$`)

// ValidCorrelation reports whether a caller may choose the id: 4 to 100 letters, digits and a few marks, so that it can be
// logged and asked for.
func ValidCorrelation(id string) bool { return correlationID.MatchString(id) }

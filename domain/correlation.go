package domain

import "context"

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

package graph

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"datum/domain"
	"datum/graph/model"
)

// maxErrors is how many errors one response has at most; a client that is wrong a thousand times learns no more from it.
const maxErrors = 20

// maxMessage is how long a message may be, in bytes: some quote the query.
const maxMessage = 500

// presenter decides what a caller may see of an error. It is the only place that does.
type presenter struct {
	log *slog.Logger
	// suggest lets messages say which fields there are that are spelt alike. It goes with introspection.
	suggest bool
}

// present turns any error into a GraphQL one: domain errors keep their code and message, an Internal one becomes a
// correlation id, with everything about it in the log.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	var ge *gqlerror.Error
	isGraphQL := errors.As(err, &ge)
	var de *domain.Error
	switch {
	case errors.As(err, &de):
	case isGraphQL && ge.Err == nil: // GraphQL's own: parsing, validation, the guard
		return p.ownError(ge)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		de = &domain.Error{Code: domain.Unavailable, Message: "the operation was cancelled or took too long"}
	default:
		de = domain.AsError(err)
	}
	out := &gqlerror.Error{Message: capped(de.Message), Extensions: extensions(de)}
	if isGraphQL {
		out.Path, out.Locations = ge.Path, ge.Locations
	} else if graphql.GetFieldContext(ctx) != nil {
		out.Path = graphql.GetPath(ctx)
	}
	correlation := domain.Correlation(ctx)
	if correlation != "" {
		out.Extensions["correlationId"] = correlation
	}
	if de.Code == domain.Internal {
		p.log.ErrorContext(ctx, "graphql: internal error", "error", err, "path", out.Path.String(), "correlation_id", correlation)
		out.Message = "something went wrong inside Datum; quote the correlation id " + correlation
	}
	return out
}

func extensions(e *domain.Error) map[string]any {
	x := map[string]any{"code": string(e.Code), "retryable": retryable(e.Code)}
	for k, v := range map[string]string{"field": string(e.Field), "owner": e.Owner, "stage": e.Stage, "system": e.System} {
		if v != "" {
			x[k] = v
		}
	}
	if e.RetryAfter > 0 {
		x["retryAfterSeconds"] = e.RetryAfter.Seconds()
	}
	return x
}

// retryable reports whether the same request may succeed later without anybody doing anything.
func retryable(c domain.Code) bool {
	switch c {
	case domain.Unavailable, domain.RateLimited, domain.Unready, domain.Unknown:
		return true
	}
	return false
}

func (p presenter) ownError(ge *gqlerror.Error) *gqlerror.Error {
	out := *ge
	if len(out.Path) > 1 && out.Path[0] == ast.PathName("variable") { // the path is not one of the response
		out.Message = "variable $" + out.Path[1:].String() + ": " + out.Message
		out.Path = nil
	}
	if out.Message == "operation  not found" {
		out.Message = "the document has several operations: say in operationName which to run"
	}
	if !p.suggest {
		out.Message, _, _ = strings.Cut(out.Message, " Did you mean ")
	}
	out.Message = capped(out.Message)
	return &out
}

func capped(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// recovered turns a panic into an Internal error; the presenter logs it.
func (p presenter) recovered(ctx context.Context, v any, stack []byte) error {
	p.log.ErrorContext(ctx, "graphql: a resolver panicked", "panic", v, "stack", string(stack), "correlation_id", domain.Correlation(ctx))
	return &domain.Error{Code: domain.Internal, Message: "a resolver panicked"}
}

// capErrors bounds the errors of a response.
func capErrors(errs gqlerror.List) gqlerror.List {
	if len(errs) <= maxErrors {
		return errs
	}
	return append(errs[:maxErrors:maxErrors], &gqlerror.Error{Message: "there are more errors", Extensions: map[string]any{"code": "TOO_MANY_ERRORS"}})
}

// userError returns what the caller of a mutation is told, and false for what is nobody's mistake: that becomes an error
// of the response.
func userError(err error) (*model.UserError, bool) {
	var de *domain.Error
	if !errors.As(err, &de) {
		return nil, false
	}
	switch de.Code {
	case domain.NotFound, domain.Conflict, domain.Invalid, domain.Forbidden, domain.Unsupported, domain.NotOwner, domain.Stale, domain.Unready:
	default:
		return nil, false
	}
	return &model.UserError{Code: model.ErrorCode(de.Code), Message: de.Message, Field: text(string(de.Field)), Owner: text(de.Owner), Stage: text(de.Stage)}, true
}

// userErrors splits the outcome of a mutation: errors for the payload, or one for the response.
func userErrors(err error) ([]*model.UserError, error) {
	if err == nil {
		return []*model.UserError{}, nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*model.UserError
		for _, e := range many.Unwrap() {
			ue, ok := userError(e)
			if !ok {
				return nil, e
			}
			all = append(all, ue)
		}
		return all, nil
	}
	ue, ok := userError(err)
	if !ok {
		return nil, err
	}
	return []*model.UserError{ue}, nil
}

package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Exchange is one logged request to a vendor and its answer. It was redacted before it came here.
type Exchange struct {
	ID             int64             `db:"id"`
	System         string            `db:"system"`
	CorrelationID  string            `db:"correlation_id"`
	SentAt         time.Time         `db:"sent_at"`
	DurationMS     int               `db:"duration_ms"`
	Method         string            `db:"method"`
	Path           string            `db:"path"`
	Status         int               `db:"status"` // 0: no answer
	ErrorCode      string            `db:"error_code"`
	RequestHeader  map[string]string `db:"request_header"`
	RequestBody    string            `db:"request_body"`
	ResponseHeader map[string]string `db:"response_header"`
	ResponseBody   string            `db:"response_body"`
	// Also are the other causes that it served, beside CorrelationID. They are only written here; reading is by ExchangeFilter.
	Also []string `db:"-"`
}

// InsertExchanges stores the exchanges in one round trip.
func InsertExchanges(ctx context.Context, db DB, xs []Exchange) (err error) {
	defer domain.Wrap(&err, "store.InsertExchanges")
	b := &pgx.Batch{}
	for _, x := range xs {
		b.Queue(`-- name: InsertExchange
			WITH e AS (SELECT erasure_shown(@system, @correlation_id, @sent_at, concat(@path::text, ' ', @request_body::text, ' ', @response_body::text)) AS erased
			), x AS (INSERT INTO exchanges (system, correlation_id, sent_at, duration_ms, method, path, status, error_code,
				request_header, request_body, response_header, response_body)
			SELECT @system, @correlation_id, @sent_at, @duration_ms::integer, @method, CASE WHEN erased THEN split_part(@path::text, '?', 1) ELSE @path::text END, @status::integer, @error_code,
				CASE WHEN erased THEN '{}' ELSE @request_header::jsonb END, CASE WHEN erased AND @request_body::text <> '' THEN '`+ErasedMark+`' ELSE @request_body::text END,
				CASE WHEN erased THEN '{}' ELSE @response_header::jsonb END, CASE WHEN erased AND @response_body::text <> '' THEN '`+ErasedMark+`' ELSE @response_body::text END
			FROM e RETURNING id, sent_at)
			INSERT INTO exchange_links (correlation_id, exchange_id, sent_at) SELECT c, x.id, x.sent_at FROM x, unnest(@also::text[]) AS c
			ON CONFLICT DO NOTHING`,
			pgx.StrictNamedArgs{"system": x.System, "correlation_id": x.CorrelationID, "sent_at": x.SentAt, "duration_ms": x.DurationMS,
				"method": x.Method, "path": x.Path, "status": x.Status, "error_code": x.ErrorCode,
				"request_header": notNil(x.RequestHeader), "request_body": x.RequestBody,
				"response_header": notNil(x.ResponseHeader), "response_body": x.ResponseBody, "also": orEmpty(x.Also)})
	}
	return db.SendBatch(ctx, b).Close()
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// ExchangeFilter selects exchanges. Zero members do not restrict.
type ExchangeFilter struct {
	System        string
	CorrelationID string // of any of the causes it served
	Before        int64  // ids below
	Limit         int    // at most 500; 0 is 50
}

// Exchanges returns the newest exchanges first.
func Exchanges(ctx context.Context, db DB, f ExchangeFilter) (xs []Exchange, err error) {
	defer domain.Wrap(&err, "store.Exchanges")
	if f.Limit <= 0 {
		f.Limit = 50
	}
	cause := ""
	args := pgx.StrictNamedArgs{"system": f.System, "before": f.Before, "limit": min(f.Limit, 500)}
	if f.CorrelationID != "" {
		cause = ` AND (id, sent_at) IN (SELECT c.id, c.sent_at FROM exchanges c WHERE c.correlation_id <> '' AND c.correlation_id = @correlation_id
			UNION SELECT l.exchange_id, l.sent_at FROM exchange_links l WHERE l.correlation_id = @correlation_id)`
		args["correlation_id"] = f.CorrelationID
	}
	rows, err := db.Query(ctx, `-- name: Exchanges
		SELECT id, system, correlation_id, sent_at, duration_ms, method, path, status, error_code,
			request_header, request_body, response_header, response_body
		FROM exchanges
		WHERE (@system = '' OR system = @system) AND (@before = 0 OR id < @before)`+cause+`
		ORDER BY id DESC LIMIT @limit`, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Exchange])
}

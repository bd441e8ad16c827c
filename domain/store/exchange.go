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
}

// InsertExchanges stores the exchanges in one round trip.
func InsertExchanges(ctx context.Context, db DB, xs []Exchange) (err error) {
	defer domain.Wrap(&err, "store.InsertExchanges")
	b := &pgx.Batch{}
	for _, x := range xs {
		b.Queue(`-- name: InsertExchange
			INSERT INTO exchanges (system, correlation_id, sent_at, duration_ms, method, path, status, error_code,
				request_header, request_body, response_header, response_body)
			VALUES (@system, @correlation_id, @sent_at, @duration_ms, @method, @path, @status, @error_code,
				@request_header, @request_body, @response_header, @response_body)`,
			pgx.StrictNamedArgs{"system": x.System, "correlation_id": x.CorrelationID, "sent_at": x.SentAt, "duration_ms": x.DurationMS,
				"method": x.Method, "path": x.Path, "status": x.Status, "error_code": x.ErrorCode,
				"request_header": notNil(x.RequestHeader), "request_body": x.RequestBody,
				"response_header": notNil(x.ResponseHeader), "response_body": x.ResponseBody})
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
	CorrelationID string
	Before        int64 // ids below
	Limit         int   // at most 500; 0 is 50
}

// Exchanges returns the newest exchanges first.
func Exchanges(ctx context.Context, db DB, f ExchangeFilter) (xs []Exchange, err error) {
	defer domain.Wrap(&err, "store.Exchanges")
	if f.Limit <= 0 {
		f.Limit = 50
	}
	rows, err := db.Query(ctx, `-- name: Exchanges
		SELECT id, system, correlation_id, sent_at, duration_ms, method, path, status, error_code,
			request_header, request_body, response_header, response_body
		FROM exchanges
		WHERE (@system = '' OR system = @system) AND (@correlation_id = '' OR correlation_id = @correlation_id)
			AND (@before = 0 OR id < @before)
		ORDER BY id DESC LIMIT @limit`,
		pgx.StrictNamedArgs{"system": f.System, "correlation_id": f.CorrelationID, "before": f.Before, "limit": min(f.Limit, 500)})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Exchange])
}

// DeleteExchanges deletes exchanges sent before the time, at most limit of them, and returns how many: repeat until it
// is less than limit.
func DeleteExchanges(ctx context.Context, db DB, before time.Time, limit int) (n int64, err error) {
	defer domain.Wrap(&err, "store.DeleteExchanges")
	tag, err := db.Exec(ctx, `-- name: DeleteExchanges
		DELETE FROM exchanges WHERE id IN (SELECT id FROM exchanges WHERE sent_at < @before ORDER BY sent_at LIMIT @limit)`,
		pgx.StrictNamedArgs{"before": before, "limit": limit})
	return tag.RowsAffected(), err
}

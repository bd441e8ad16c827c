package store

import "github.com/jackc/pgx/v5"

// Topics of feed events.
const (
	TopicEntity     = "entity"     // golden values, links or the entity itself
	TopicProjection = "projection" // a projection moved
	TopicCase       = "case"       // a case opened, changed or ended
	TopicSystem     = "system"     // mode, authorisation or readiness of a system
)

// QueueEvent adds a feed event to the batch; subscribers see it once the transaction has committed. All events of a batch are
// one statement, in their order.
func QueueEvent(b *pgx.Batch, topic, entityID, system, key, correlationID string) {
	queueRow(b, insertEvents, topic, entityID, system, key, correlationID)
}

const insertEvents = `-- name: QueueEvent
	INSERT INTO feed (topic, entity_id, system, key, correlation_id)
	SELECT topic, entity_id, system, key, correlation_id
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS e (topic, entity_id, system, key, correlation_id, n) ORDER BY n`

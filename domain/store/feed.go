package store

import "github.com/jackc/pgx/v5"

// Topics of feed events.
const (
	TopicEntity     = "entity"     // golden values, links or the entity itself
	TopicProjection = "projection" // a projection moved
	TopicCase       = "case"       // a case opened, changed or ended
	TopicSystem     = "system"     // mode, authorisation or readiness of a system
)

// QueueEvent adds a feed event to the batch; subscribers see it once the transaction has committed.
func QueueEvent(b *pgx.Batch, topic, entityID, system, key, correlationID string) {
	b.Queue(`-- name: QueueEvent
		INSERT INTO feed (topic, entity_id, system, key, correlation_id) VALUES ($1, $2, $3, $4, $5)`, topic, entityID, system, key, correlationID)
}

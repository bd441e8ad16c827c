package graph

import (
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Resolver is the root of the resolvers.
type Resolver struct {
	pool    *pgxpool.Pool
	feed    *feed.Hub
	changes *change.Applier
	log     *slog.Logger
	around  ownership.Surroundings // what a policy must fit
	health  *healthWatch
	sealer  store.Sealer
	metrics []string // that alerts may watch

	mappings Mappings
}

-- Two questions that every write asks, answered without reading the whole table.
CREATE INDEX records_merged ON records (system, kind, merged_into) WHERE merged_into <> '';
CREATE INDEX projections_claim ON projections (system, kind, (lane = 'live') DESC, due_at, entity_id) WHERE status = 'pending';

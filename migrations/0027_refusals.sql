-- Why a projection is refused, as the dedupe key of the case that gathers those that are refused for the same reason; of no meaning
-- in any other status.
ALTER TABLE projections ADD COLUMN cause text NOT NULL DEFAULT '';

CREATE INDEX projections_cause ON projections (cause, entity_id) WHERE status = 'refused';

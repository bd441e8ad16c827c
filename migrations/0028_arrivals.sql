-- What waits for an entity is found without reading everything that waits: of a burst each arrival asks for it.
CREATE INDEX projections_waits_for ON projections USING gin (waits_for) WHERE status = 'parked' AND error_code = 'WAITS';
-- What is being written at this moment.
CREATE INDEX projections_intent ON projections (system) WHERE status = 'pending' AND intent_key <> '';

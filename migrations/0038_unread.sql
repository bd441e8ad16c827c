-- What waits for something to be read is looked at each second.
CREATE INDEX projections_unread ON projections (entity_id) WHERE status = 'parked' AND error_code = 'UNREAD';

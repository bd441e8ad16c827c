-- The mass-change brake. Signals that would change too much at once are parked until a person has decided.
ALTER TABLE signals DROP CONSTRAINT signals_status_check;
ALTER TABLE signals ADD CONSTRAINT signals_status_check CHECK (status IN ('pending', 'done', 'failed', 'parked'));
ALTER TABLE signals ADD COLUMN brake text NOT NULL DEFAULT '';  -- approved or rejected: what a person has decided
ALTER TABLE signals ADD COLUMN changes jsonb;                   -- of a parked one: what it would change, [{entity, name, field, from, to}]
CREATE INDEX signals_parked ON signals (system, kind) WHERE status = 'parked';

-- What has changed lately, of what the brake watches.
CREATE TABLE brake_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system       text NOT NULL,
    kind         text NOT NULL,
    way          text NOT NULL,                                 -- in, gone or out
    entity_id    text COLLATE "C" NOT NULL,
    at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX brake_log_of ON brake_log (system, kind, way, at);

-- Control: who has switched what, what is paused, and the exact requests of dry runs.

-- While switching_until lies ahead no write begins: what is under way ends, and then the mode changes. It is a lease, so that a
-- process that dies meanwhile leaves the old mode in force.
ALTER TABLE systems ADD COLUMN switching uuid, ADD COLUMN switching_until timestamptz NOT NULL DEFAULT '-infinity';

-- Every switch of a mode. Append-only.
CREATE TABLE mode_changes (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system         text NOT NULL,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor          text NOT NULL,
    mode_from      text NOT NULL,
    mode_to        text NOT NULL,
    reason         text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT ''
);
CREATE INDEX mode_changes_system ON mode_changes (system, id);

-- What a person holds back: of a system, in one direction, one kind or all ('').
CREATE TABLE pauses (
    id             text COLLATE "C" PRIMARY KEY,
    system         text NOT NULL,
    kind           text NOT NULL DEFAULT '',
    direction      text NOT NULL CHECK (direction IN ('in', 'out')),
    actor          text NOT NULL,
    reason         text NOT NULL,
    since          timestamptz NOT NULL DEFAULT now(),
    until          timestamptz,                        -- ends by itself then
    ended_at       timestamptz,
    ended_by       text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX pauses_active ON pauses (system, kind, direction) WHERE ended_at IS NULL;
CREATE INDEX pauses_system ON pauses (system, since, id);

-- The requests that a dry run would have sent, one for each projection that waits for approval.
CREATE TABLE recorded_writes (
    id              text COLLATE "C" PRIMARY KEY,
    entity_id       text COLLATE "C" NOT NULL,
    system          text NOT NULL,
    kind            text NOT NULL,
    status          text NOT NULL DEFAULT 'recorded'
                    CHECK (status IN ('recorded', 'approved', 'rejected', 'sent', 'replaced', 'lapsed')),
    op              text NOT NULL,                     -- create or update
    desired_version bigint NOT NULL,
    external_id     text NOT NULL DEFAULT '',
    values          jsonb NOT NULL,                    -- the fields it sets, in canonical form
    method          text NOT NULL,
    path            text NOT NULL,
    header          jsonb NOT NULL,                    -- of a list: no secrets
    body            text NOT NULL,
    digest          text NOT NULL,                     -- of all that is sent: an approval holds for the same request and no other
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz,
    decided_by      text NOT NULL DEFAULT '',
    sent_at         timestamptz,
    ended_at        timestamptz,
    note            text NOT NULL DEFAULT '',          -- why it was rejected, replaced or lapsed
    correlation_id  text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX recorded_writes_open ON recorded_writes (entity_id, system) WHERE status IN ('recorded', 'approved');
CREATE INDEX recorded_writes_system ON recorded_writes (system, status, id);
CREATE INDEX recorded_writes_entity ON recorded_writes (entity_id, system, id);

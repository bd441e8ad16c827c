-- What is known of each system's webhooks: what came, what should have come, and whether the subscriptions are alive.
CREATE TABLE webhooks (
    system       text PRIMARY KEY,
    received_at  timestamptz,                          -- the last notification that was accepted
    received     bigint NOT NULL DEFAULT 0,            -- how many
    checked_at   timestamptz NOT NULL,                 -- when the subscriptions were looked at
    wanted       integer NOT NULL DEFAULT 0,           -- subscriptions there should be; 0 where they are a person's to make
    active       integer NOT NULL DEFAULT 0,
    repaired     bigint NOT NULL DEFAULT 0,            -- subscriptions that were found dead and made again
    repaired_at  timestamptz,
    problem      text NOT NULL DEFAULT ''              -- why they could not be made
);

-- A change that a poll or sweep has found. Told is whether a webhook told of it too, judged some time later.
CREATE TABLE findings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system       text NOT NULL,
    kind         text NOT NULL,
    external_id  text NOT NULL,
    source       text NOT NULL,
    found_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    told         boolean
);
CREATE INDEX findings_of ON findings (system, found_at);
CREATE INDEX findings_open ON findings (found_at) WHERE told IS NULL;

-- Numbers missing in a vendor's sequence of events, until what they were about has been read.
CREATE TABLE gaps (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system       text NOT NULL,
    first_seq    bigint NOT NULL,
    last_seq     bigint NOT NULL,
    found_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at    timestamptz
);
CREATE INDEX gaps_open ON gaps (system) WHERE closed_at IS NULL;

-- When the last reading that came to its end was begun.
ALTER TABLE cursors ADD COLUMN passed_at timestamptz;

-- Who is told of what, what lasts now, and what was told.

-- Published configurations; the highest version is in force. Secrets are not in the source.
CREATE TABLE alert_configs (
    version      bigint PRIMARY KEY,
    source       text NOT NULL,
    set_by       text NOT NULL,
    set_at       timestamptz NOT NULL DEFAULT now()
);

-- Signing secrets, passwords and addresses that are secrets, sealed by channel.
CREATE TABLE alert_secrets (
    channel      text COLLATE "C" PRIMARY KEY,
    key_id       text NOT NULL,
    sealed       bytea NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- When was looked, and when a sign of life was sent: one process does it for all.
CREATE TABLE alert_clock (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    looked_at    timestamptz NOT NULL DEFAULT '-infinity',
    beat_at      timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO alert_clock DEFAULT VALUES;

-- What is wrong now: one row for a rule and a series of its metric. Without an incident it has not lasted long enough yet.
CREATE TABLE alerts (
    rule         text COLLATE "C" NOT NULL,
    series       text COLLATE "C" NOT NULL,
    incident     text NOT NULL DEFAULT '',
    since        timestamptz NOT NULL,
    fired_at     timestamptz,
    notified_at  timestamptz,
    value        double precision NOT NULL,
    PRIMARY KEY (rule, series)
);

-- What was, or is to be, told to a channel.
CREATE TABLE alert_deliveries (
    id           text COLLATE "C" PRIMARY KEY,         -- the same at every try: the receiver knows a repeat by it
    channel      text NOT NULL,
    event        text NOT NULL,                        -- firing, reminder, resolved, test
    rule         text NOT NULL,
    series       text NOT NULL DEFAULT '',
    incident     text NOT NULL DEFAULT '',
    severity     text NOT NULL DEFAULT '',
    title        text NOT NULL,
    body         text NOT NULL,
    value        double precision NOT NULL DEFAULT 0,
    since        timestamptz NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'dead')),
    queued       boolean NOT NULL DEFAULT false,       -- there is a job for it
    attempts     integer NOT NULL DEFAULT 0,
    error        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    tried_at     timestamptz,
    sent_at      timestamptz
);
CREATE INDEX alert_deliveries_new ON alert_deliveries (created_at, id) WHERE status = 'pending' AND NOT queued;
CREATE INDEX alert_deliveries_list ON alert_deliveries (created_at, id);

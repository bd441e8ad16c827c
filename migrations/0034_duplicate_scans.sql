-- Looking for duplicates in the whole database. A scan's row says how far it has come, so that it goes on after a crash; one process at
-- a time is at it, under a lease.
CREATE TABLE duplicate_scans (
    id             text COLLATE "C" PRIMARY KEY,
    kind           text NOT NULL,
    dry            boolean NOT NULL,                     -- open no cases
    ask            double precision NOT NULL,            -- the probability from which a pair counts
    per_second     integer NOT NULL CHECK (per_second > 0),
    status         text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'cancelled')),
    actor          text NOT NULL,
    correlation_id text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    ended_by       text NOT NULL DEFAULT '',             -- who cancelled it
    total          bigint NOT NULL,                      -- records when it began
    compared       bigint NOT NULL DEFAULT 0,
    pairs          bigint NOT NULL DEFAULT 0,
    at_system      text NOT NULL DEFAULT '',             -- the last record that was compared
    at_external_id text NOT NULL DEFAULT '',
    lease          uuid,
    lease_until    timestamptz,
    lease_process  text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX duplicate_scans_running ON duplicate_scans (kind) WHERE status = 'running';

-- What a scan has found: the later entity and the older one that it may be.
CREATE TABLE duplicate_pairs (
    scan_id   text COLLATE "C" NOT NULL REFERENCES duplicate_scans (id) ON DELETE CASCADE,
    entity_id text COLLATE "C" NOT NULL,
    other_id  text COLLATE "C" NOT NULL,
    score     double precision NOT NULL,
    reasons   text[] NOT NULL,
    PRIMARY KEY (scan_id, entity_id, other_id)
);
CREATE INDEX duplicate_pairs_list ON duplicate_pairs (scan_id, score DESC, entity_id, other_id);

-- What was decided about a pair is looked up for each one that is found.
CREATE INDEX cases_key ON cases (dedupe_key);

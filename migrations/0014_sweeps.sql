-- Complete comparisons of a system with Datum: each pass with its report, and what it listed until the report is final.
CREATE TABLE sweeps (
    id             text COLLATE "C" PRIMARY KEY,
    system         text NOT NULL,
    kind           text NOT NULL,
    correlation_id text NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    listed_at      timestamptz,                        -- the vendor's listing has come to its end
    finished_at    timestamptz,                        -- what it brought has been taken in: the report is final
    complete       boolean NOT NULL DEFAULT false,     -- the listing provably held every object
    why            text NOT NULL DEFAULT '',           -- it was not, and why
    theirs_count   bigint NOT NULL DEFAULT 0,
    theirs_hash    text NOT NULL DEFAULT '',
    ours_count     bigint NOT NULL DEFAULT 0,
    ours_hash      text NOT NULL DEFAULT '',
    differ         bigint NOT NULL DEFAULT 0,          -- on both sides and not equal at the end
    only_theirs    bigint NOT NULL DEFAULT 0,
    only_ours      bigint NOT NULL DEFAULT 0,
    repaired       bigint NOT NULL DEFAULT 0,          -- differed from what was stored and were taken in
    unknown        bigint NOT NULL DEFAULT 0,          -- were not stored at all
    missing        bigint NOT NULL DEFAULT 0,          -- were stored and not listed
    tombstoned     bigint NOT NULL DEFAULT 0,          -- of those: gone, on the vendor's own word for each
    left_out       bigint NOT NULL DEFAULT 0,          -- of those: there when asked for
    moved          bigint NOT NULL DEFAULT 0,          -- changed while the pass ran: the later word counts
    money          jsonb NOT NULL DEFAULT '[]'         -- [{month, currency, theirs, ours}] of documents
);
CREATE INDEX sweeps_list ON sweeps (started_at DESC, id DESC);
CREATE INDEX sweeps_of ON sweeps (system, kind, started_at DESC);
CREATE UNIQUE INDEX sweeps_running ON sweeps (system, kind) WHERE finished_at IS NULL;

-- One object of a listing. Values are kept only where they may have to be looked at again.
CREATE TABLE sweep_items (
    sweep        text COLLATE "C" NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    external_id  text NOT NULL,
    listed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    what         text NOT NULL,                        -- same, differs, unknown, gone (shown as deleted) or missing
    hash         text NOT NULL DEFAULT '',
    values       jsonb,
    PRIMARY KEY (sweep, external_id)
);

-- When the reading that runs now, or the last one, was begun.
ALTER TABLE cursors ADD COLUMN began_at timestamptz;

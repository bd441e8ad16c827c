-- Reprocessing: what failed is tried again, left out, sent again, read again or mapped again, one by one and resumably.

-- A signal that a person has left out stays, with who and why.
ALTER TABLE signals DROP CONSTRAINT signals_status_check;
ALTER TABLE signals ADD CONSTRAINT signals_status_check CHECK (status IN ('pending', 'done', 'failed', 'parked', 'skipped'));
ALTER TABLE signals ADD COLUMN skipped_by text NOT NULL DEFAULT '';
CREATE INDEX signals_failed ON signals (system, kind, external_id, id) WHERE status = 'failed';

-- One run over many items.
CREATE TABLE reprocess_runs (
    id             text COLLATE "C" PRIMARY KEY,
    action         text NOT NULL CHECK (action IN ('retry', 'skip', 'resend', 'refetch', 'replay')),
    filter         jsonb NOT NULL,                     -- what was asked for
    force          boolean NOT NULL DEFAULT false,     -- resend: write even what is level
    per_second     integer NOT NULL CHECK (per_second > 0),
    status         text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'cancelled')),
    actor          text NOT NULL,
    reason         text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    ended_by       text NOT NULL DEFAULT '',           -- who cancelled it
    lease          uuid,                               -- the process that is at it
    lease_until    timestamptz,
    lease_process  text NOT NULL DEFAULT ''
);
CREATE INDEX reprocess_runs_list ON reprocess_runs (id DESC);
CREATE INDEX reprocess_runs_running ON reprocess_runs (id) WHERE status = 'running';

-- What a run goes through, in the order in which it was received. It is the progress, too.
CREATE TABLE reprocess_items (
    run_id       text COLLATE "C" NOT NULL REFERENCES reprocess_runs (id) ON DELETE CASCADE,
    seq          bigint NOT NULL,
    what         text NOT NULL CHECK (what IN ('signal', 'projection', 'record', 'job')),
    system       text NOT NULL DEFAULT '',
    kind         text NOT NULL DEFAULT '',
    external_id  text NOT NULL DEFAULT '',
    entity_id    text COLLATE "C" NOT NULL DEFAULT '',
    signal_id    bigint,                               -- the signal itself, or the one that reads the object again
    job_id       bigint,
    status       text NOT NULL DEFAULT 'todo' CHECK (status IN ('todo', 'going', 'done', 'failed', 'cancelled')),
    error        text NOT NULL DEFAULT '',
    ended_at     timestamptz,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX reprocess_items_open ON reprocess_items (run_id, status, seq) WHERE status IN ('todo', 'going');

-- Resend with force: everything is written once, even what is level.
ALTER TABLE projections ADD COLUMN forced boolean NOT NULL DEFAULT false;

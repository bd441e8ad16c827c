-- The canonical core: systems, records, entities, golden customers, history, projections, inbox, cases, pins, feed, policy.

-- One connected vendor account, named by the business.
CREATE TABLE systems (
    name         text PRIMARY KEY,
    adapter      text NOT NULL,
    mode         text NOT NULL DEFAULT 'live' CHECK (mode IN ('off', 'observe', 'dry_run', 'live')),
    settings     jsonb NOT NULL DEFAULT '{}',          -- not secret; secrets are in credentials
    next_turn    timestamptz NOT NULL DEFAULT '-infinity', -- while the budget is tight: when single objects are read again
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- Published policies; the highest version is in force.
CREATE TABLE policies (
    version      bigint PRIMARY KEY,
    source       text NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);

-- Every entity of every kind: identity, version, lifecycle stage. Typed golden values are in the kind's own table.
CREATE TABLE entities (
    id           text COLLATE "C" PRIMARY KEY,
    kind         text NOT NULL,
    version      bigint NOT NULL DEFAULT 0,
    stage        text NOT NULL DEFAULT '',
    policy       bigint NOT NULL DEFAULT 0,            -- policy version of the last resolution
    golden       jsonb NOT NULL DEFAULT '{}',          -- field -> value; the kind's table holds the same, typed
    provenance   jsonb NOT NULL DEFAULT '{}',          -- field -> {system, record, why, owner, since}
    merged_into  text COLLATE "C" REFERENCES entities (id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX entities_policy ON entities (kind, policy, id) WHERE merged_into IS NULL;

CREATE TABLE customers (
    id                text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version           bigint NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    kind              text,
    legal_name        text,
    trading_name      text,
    abn               text,
    acn               text,
    gst_registered    boolean,
    email             text,
    phone             text,
    mobile            text,
    website           text,
    billing_lines     text[],
    billing_suburb    text,
    billing_state     text,
    billing_postcode  text,
    billing_country   text,
    shipping_lines    text[],
    shipping_suburb   text,
    shipping_state    text,
    shipping_postcode text,
    shipping_country  text,
    lifecycle_stage   text,
    sales_owner       text,
    terms_basis       text,
    terms_days        integer,
    credit_amount     numeric,
    credit_currency   text,
    currency          text,
    tags              text[],
    notes             text,
    custom_fields     jsonb,
    status            text,
    search            text NOT NULL DEFAULT ''         -- lower-case names, e-mail, ABN: for the list's filter
);
CREATE INDEX customers_abn ON customers (abn) WHERE abn IS NOT NULL;
CREATE INDEX customers_updated ON customers (updated_at, id);
CREATE INDEX customers_name ON customers (lower(legal_name), id);
CREATE INDEX customers_email ON customers (email) WHERE email IS NOT NULL;

CREATE TABLE customer_contacts (
    customer_id  text COLLATE "C" NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    position     integer NOT NULL,
    first_name   text,
    last_name    text,
    email        text,
    phone        text,
    role         text,
    PRIMARY KEY (customer_id, position)
);

-- One vendor object as last seen: the crosswalk and the contributions.
CREATE TABLE records (
    system       text NOT NULL REFERENCES systems (name),
    kind         text NOT NULL,
    external_id  text NOT NULL,
    entity_id    text COLLATE "C" REFERENCES entities (id),
    canonical_id text NOT NULL DEFAULT '',
    version      text NOT NULL DEFAULT '',
    modified_at  timestamptz NOT NULL,
    fetched_at   timestamptz NOT NULL,
    values       jsonb NOT NULL,
    issues       jsonb NOT NULL DEFAULT '[]',
    unknown      text[] NOT NULL DEFAULT '{}',
    raw          jsonb,
    deleted      boolean NOT NULL DEFAULT false,
    merged_into  text NOT NULL DEFAULT '',
    confirmed    jsonb NOT NULL DEFAULT '{}',          -- field -> last value that was equal to golden
    held         jsonb NOT NULL DEFAULT '{}',          -- field -> {value, others}: theirs, left alone (proposal or local variation)
    echo         text[] NOT NULL DEFAULT '{}',         -- fields whose value is a copy of golden
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(), -- by the last sweep, or when it was stored
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, kind, external_id)
);
CREATE INDEX records_entity ON records (entity_id);
CREATE INDEX records_canonical ON records (system, canonical_id) WHERE canonical_id <> '';

-- Former ids of records that were merged in the vendor.
CREATE TABLE record_aliases (
    system       text NOT NULL,
    kind         text NOT NULL,
    alias        text NOT NULL,
    external_id  text NOT NULL,
    PRIMARY KEY (system, kind, alias)
);

-- Normalised strong keys of records. match_locks serialises two systems that bring the same customer at once.
CREATE TABLE match_keys (
    kind         text NOT NULL,
    key          text NOT NULL,
    system       text NOT NULL,
    external_id  text NOT NULL,
    PRIMARY KEY (kind, key, system, external_id)
);
CREATE INDEX match_keys_record ON match_keys (system, kind, external_id);
CREATE TABLE match_locks (
    kind         text NOT NULL,
    key          text NOT NULL,
    touched_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, key)
);

-- A person's decision that overrides the policy for one field until the owner confirms it or it is withdrawn.
CREATE TABLE pins (
    entity_id    text COLLATE "C" NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    field        text NOT NULL,
    value        jsonb NOT NULL,
    actor        text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_id, field)
);

-- Every golden change and every decision about somebody's edit. Append-only.
CREATE TABLE history (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_id      text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    action         text NOT NULL,      -- set, created, linked, unlinked, merged, deleted, restored, proposed, kept, refused, pinned, ...
    field          text NOT NULL DEFAULT '',
    old            jsonb,
    new            jsonb,
    system         text NOT NULL DEFAULT '',
    external_id    text NOT NULL DEFAULT '',
    why            text NOT NULL DEFAULT '',
    owner          text NOT NULL DEFAULT '',
    actor          text NOT NULL DEFAULT '',
    source         text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    note           text NOT NULL DEFAULT ''
);
CREATE INDEX history_entity ON history (entity_id, id);

-- The standing duty to make one system's record equal one entity.
CREATE TABLE projections (
    entity_id         text COLLATE "C" NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    system            text NOT NULL REFERENCES systems (name),
    kind              text NOT NULL,
    status            text NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'confirmed', 'refused', 'parked', 'detached')),
    desired_version   bigint NOT NULL DEFAULT 1,
    confirmed_version bigint NOT NULL DEFAULT 0,
    external_id       text NOT NULL DEFAULT '',
    diff              jsonb NOT NULL DEFAULT '{}',     -- fields that still differ: field -> desired
    lane              text NOT NULL DEFAULT 'live',
    lease             uuid,                            -- set while a worker is at it; the fence for its result
    lease_until       timestamptz,
    lease_process     text NOT NULL DEFAULT '',        -- a lease of a dead process counts for nothing
    intent_key        text NOT NULL DEFAULT '',        -- stored before the call; cleared with its outcome
    intent_op         text NOT NULL DEFAULT '',        -- create or update
    intent_epoch      integer NOT NULL DEFAULT 0,      -- grows when a look-up has proven that the intent came to nothing
    intent_at         timestamptz,
    sent              jsonb NOT NULL DEFAULT '{}',     -- values sent whose outcome is not known yet: seen again, they are ours
    attempts          integer NOT NULL DEFAULT 0,
    due_at            timestamptz NOT NULL DEFAULT now(),
    pending_since     timestamptz,
    confirmed_at      timestamptz,
    error_code        text NOT NULL DEFAULT '',
    error             text NOT NULL DEFAULT '',
    correlation_id    text NOT NULL DEFAULT '',
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_id, system)
);
CREATE INDEX projections_due ON projections (system, kind, due_at) WHERE status = 'pending';
CREATE INDEX projections_open ON projections (system, status) WHERE status <> 'confirmed';

-- The one writer of a system and kind at a time, so that partial batches fill instead of racing each other.
CREATE TABLE writer_slots (
    system       text NOT NULL,
    kind         text NOT NULL,
    slot         integer NOT NULL,
    lease        uuid,
    lease_process text NOT NULL DEFAULT '',
    lease_until  timestamptz,
    PRIMARY KEY (system, kind, slot)
);

-- Inbox: something happened to object X in system S.
CREATE TABLE signals (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system         text NOT NULL,
    kind           text NOT NULL,
    external_id    text NOT NULL,
    source         text NOT NULL,                      -- webhook, poll, sweep, import, fence
    dedupe_key     text,
    record         jsonb,                              -- the object, when we fetched it ourselves; else null
    hint           jsonb,                              -- {path, value} that the event says; nothing new if the stored raw says so too
    occurred_at    timestamptz,
    received_at    timestamptz NOT NULL DEFAULT now(),
    status         text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'failed')),
    attempts       integer NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    lease_until    timestamptz,
    lease_process  text NOT NULL DEFAULT '',
    lane           text NOT NULL DEFAULT 'live',
    error          text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    done_at        timestamptz
);
CREATE UNIQUE INDEX signals_dedupe ON signals (system, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX signals_pending ON signals (system, due_at, id) WHERE status = 'pending';
CREATE INDEX signals_done ON signals (done_at) WHERE status = 'done';

-- Where each reading of a system stands.
CREATE TABLE cursors (
    system       text NOT NULL,
    kind         text NOT NULL,
    name         text NOT NULL,                        -- changes, sweep, webhook
    cursor       text NOT NULL DEFAULT '',
    seq          bigint NOT NULL DEFAULT 0,            -- last webhook sequence number
    ready        boolean NOT NULL DEFAULT false,       -- a complete first pass has been made
    ready_at     timestamptz,
    pass_started timestamptz,
    pass_seen    bigint NOT NULL DEFAULT 0,
    finished_at  timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, kind, name)
);

-- Something a person must decide.
CREATE TABLE cases (
    id             text COLLATE "C" PRIMARY KEY,
    kind           text NOT NULL,                      -- conflict, possible_duplicate, refused, invalid_data, drift, ...
    status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'closed')),
    entity_kind    text NOT NULL DEFAULT '',
    entity_id      text COLLATE "C",
    other_id       text COLLATE "C",                   -- the other entity of a possible duplicate
    system         text NOT NULL DEFAULT '',
    external_id    text NOT NULL DEFAULT '',
    field          text NOT NULL DEFAULT '',
    title          text NOT NULL,
    detail         jsonb NOT NULL DEFAULT '{}',        -- evidence: ours, theirs, the vendor's words
    choices        text[] NOT NULL DEFAULT '{}',
    dedupe_key     text NOT NULL,
    correlation_id text NOT NULL DEFAULT '',
    opened_at      timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    resolution     text NOT NULL DEFAULT '',
    resolved_by    text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX cases_open ON cases (dedupe_key) WHERE status = 'open';
CREATE INDEX cases_entity ON cases (entity_id);
CREATE INDEX cases_other ON cases (other_id) WHERE other_id IS NOT NULL;
CREATE INDEX cases_list ON cases (status, opened_at, id);

-- Commit-ordered events for subscribers: read in order of (tx, id) below the snapshot's xmin.
CREATE TABLE feed (
    tx           xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id           bigint GENERATED ALWAYS AS IDENTITY,
    at           timestamptz NOT NULL DEFAULT now(),
    topic        text NOT NULL,                        -- customer, projection, case, system
    entity_id    text NOT NULL DEFAULT '',
    system       text NOT NULL DEFAULT '',
    key          text NOT NULL DEFAULT '',             -- case id, or what else names the thing
    correlation_id text NOT NULL DEFAULT '',
    PRIMARY KEY (tx, id)
);
CREATE INDEX feed_at ON feed (at);

-- Answers to mutations with an idempotency key.
CREATE TABLE idempotency (
    principal    text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    entity_id    text NOT NULL DEFAULT '',
    response     jsonb NOT NULL DEFAULT '{}',
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

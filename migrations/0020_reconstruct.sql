-- Reconstructing what happened: an exchange is found from every cause it served, an entity's trace and what is unfinished
-- are found without reading whole tables, and what only grows is kept in partitions by time, which are dropped when they
-- are past their retention.

CREATE INDEX signals_object ON signals (system, kind, external_id);
CREATE INDEX signals_correlation ON signals (correlation_id) WHERE correlation_id <> '';
CREATE INDEX history_correlation ON history (correlation_id) WHERE correlation_id <> '';
CREATE INDEX cases_correlation ON cases (correlation_id) WHERE correlation_id <> '';
CREATE INDEX record_aliases_record ON record_aliases (system, kind, external_id);
CREATE INDEX entities_merged ON entities (merged_into) WHERE merged_into IS NOT NULL;

ALTER TABLE projections ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
UPDATE projections p SET created_at = e.created_at FROM entities e WHERE e.id = p.entity_id;
-- In the order, and with the keys, of the list of what is unfinished.
CREATE INDEX projections_unfinished ON projections (coalesce(pending_since, created_at), (('entity ' || entity_id || ' ' || system) COLLATE "C"))
    WHERE status IN ('pending', 'refused', 'parked');
CREATE INDEX records_unfinished ON records (first_seen_at, (('record ' || system || ' ' || kind || ' ' || external_id) COLLATE "C"))
    WHERE (entity_id IS NULL OR waits <> '{}') AND NOT deleted AND merged_into = '';

-- The partitions there are. Beside them each table has one for what fits none of them, named with _rest.
CREATE TABLE partitions (
    name         text COLLATE "C" PRIMARY KEY,
    parent       text COLLATE "C" NOT NULL,
    from_at      timestamptz NOT NULL,                 -- included
    to_at        timestamptz NOT NULL                  -- not included
);
CREATE INDEX partitions_parent ON partitions (parent, to_at);

-- Every table becomes one by time; what it holds becomes its first partition, as it is.
DO $$
DECLARE
    t record;
    i record;
    this timestamptz;
    next timestamptz;
BEGIN
    FOR t IN SELECT * FROM (VALUES ('exchanges', 'sent_at', 'id, sent_at', 'week'), ('feed', 'at', 'tx, id, at', 'week'),
            ('history', 'at', 'id, at', 'year')) AS v (name, key, pk, width) LOOP
        this := date_trunc(t.width, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
        next := date_trunc(t.width, now() AT TIME ZONE 'UTC' + ('1 ' || t.width)::interval) AT TIME ZONE 'UTC';
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t.name, t.name || '_old');
        EXECUTE format('ALTER TABLE %I ALTER COLUMN id DROP IDENTITY', t.name || '_old');
        EXECUTE format('CREATE SEQUENCE %I', t.name || '_number');
        EXECUTE format('SELECT setval(%L, coalesce(max(id), 0) + 1, false) FROM %I', t.name || '_number', t.name || '_old');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (%I)', t.name, t.name || '_old', t.key);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN id SET DEFAULT nextval(%L)', t.name, t.name || '_number');
        EXECUTE format('ALTER SEQUENCE %I OWNED BY %I.id', t.name || '_number', t.name);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', t.name || '_old', t.name || '_pkey');
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%s)', t.name, t.pk);
        FOR i IN SELECT c.relname AS name, pg_get_indexdef(x.indexrelid) AS def FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                WHERE x.indrelid = to_regclass(t.name || '_old') ORDER BY 1 LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', i.name, i.name || '_old');
            EXECUTE replace(i.def, '.' || t.name || '_old ', '.' || t.name || ' ');
        END LOOP;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', t.name, t.name || '_old', next);
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t.name || '_rest', t.name);
        INSERT INTO partitions (name, parent, from_at, to_at) VALUES (t.name || '_old', t.name, '-infinity', next);
    END LOOP;
END $$;

-- The other causes that an exchange served: a call for many objects has one correlation_id of its own and these.
CREATE TABLE exchange_links (
    correlation_id text NOT NULL,
    exchange_id    bigint NOT NULL,
    sent_at        timestamptz NOT NULL,               -- as the exchange's
    PRIMARY KEY (correlation_id, exchange_id, sent_at)
) PARTITION BY RANGE (sent_at);
CREATE TABLE exchange_links_rest PARTITION OF exchange_links DEFAULT;

-- The last position of the feed that was dropped: who comes with an older cursor has missed something.
CREATE TABLE feed_floor (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    tx           xid8 NOT NULL,
    id           bigint NOT NULL
);

-- How long things are kept, where it is not the default. No days: for good.
CREATE TABLE retention (
    name         text COLLATE "C" PRIMARY KEY,
    days         integer CHECK (days > 0),
    set_by       text NOT NULL,
    set_at       timestamptz NOT NULL DEFAULT now()
);

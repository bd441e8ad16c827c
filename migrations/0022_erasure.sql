-- Erasing a person: what was erased, and that it stays so.

ALTER TABLE entities ADD COLUMN erased_at timestamptz;

-- With this, external ids of what was erased are hashed: they are known again and cannot be read.
CREATE TABLE erasure_salt (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt         text NOT NULL DEFAULT gen_random_uuid()::text || gen_random_uuid()::text
);
INSERT INTO erasure_salt DEFAULT VALUES;

CREATE FUNCTION erasure_hash(p_system text, p_kind text, p_id text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(salt || '|' || p_system || '|' || p_kind || '|' || p_id, 'UTF8')), 'hex') FROM erasure_salt
$$;

-- The proof: what was changed where, what is left and why, and the hash of all that.
CREATE TABLE erasures (
    id             text COLLATE "C" PRIMARY KEY,
    entity_id      text COLLATE "C" NOT NULL,
    reason         text NOT NULL,
    erased_by      text NOT NULL,
    correlation_id text NOT NULL DEFAULT '',
    at             timestamptz NOT NULL DEFAULT now(),
    report         jsonb NOT NULL,
    hash           text NOT NULL                        -- SHA-256 of the report
);
CREATE INDEX erasures_list ON erasures (at DESC, id DESC);

-- Vendors' objects that must not be taken in again.
CREATE TABLE suppressions (
    system       text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    hash         text COLLATE "C" NOT NULL,
    entity_id    text COLLATE "C" NOT NULL,
    erasure_id   text COLLATE "C" NOT NULL REFERENCES erasures (id),
    seen_at      timestamptz,                           -- when the vendor showed it last
    gone_at      timestamptz,                           -- when the vendor said that it is gone
    PRIMARY KEY (system, kind, hash)
);
CREATE INDEX suppressions_erasure ON suppressions (erasure_id);

-- Who bought, where the law wants it on a document: GST Act s 29-70, sales of $1,000 and more.
CREATE TABLE erasure_identities (
    document     text COLLATE "C" PRIMARY KEY,
    erasure_id   text COLLATE "C" NOT NULL REFERENCES erasures (id),
    name         text NOT NULL,
    abn          text NOT NULL DEFAULT '',
    keep_until   date                                   -- null: for good
);
CREATE INDEX erasure_identities_erasure ON erasure_identities (erasure_id);
CREATE INDEX erasure_identities_until ON erasure_identities (keep_until) WHERE keep_until IS NOT NULL;

CREATE FUNCTION erasure_has(p_text text, p_tokens text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (SELECT FROM unnest(p_tokens) AS k WHERE strpos(p_text, k) > 0)
$$;

CREATE FUNCTION erasure_scrub(p_text text, p_tokens text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    k text;
BEGIN
    FOREACH k IN ARRAY p_tokens LOOP
        p_text := replace(p_text, k, '[erased]');
    END LOOP;
    RETURN p_text;
END $$;

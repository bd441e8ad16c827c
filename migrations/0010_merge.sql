-- Merges that can be undone at any time: everything that a merge moves keeps the name of the entity it came from.

-- The entity a record was linked to by itself; entity_id is the one that stands for it now.
ALTER TABLE records ADD COLUMN home text COLLATE "C";
UPDATE records SET home = entity_id WHERE entity_id IS NOT NULL;
CREATE INDEX records_home ON records (home);
-- field -> {value, back}: what the system itself said last, where Datum has written over it while entities were one.
-- back: the merge has been undone, and it counts again until it is written back.
ALTER TABLE records ADD COLUMN own jsonb NOT NULL DEFAULT '{}';
-- {values, confirmed, held} as they were before the first merge: what had been answered then is not asked again.
ALTER TABLE records ADD COLUMN alone jsonb;

-- home is the entity that a pin was set on. One that sleeps does not count: it was confirmed by, or gave way to what people
-- decided of, the entity in slept_by, and wakes when the two are parted.
ALTER TABLE pins ADD COLUMN home text COLLATE "C";
ALTER TABLE pins ADD COLUMN slept_by text COLLATE "C" NOT NULL DEFAULT '';
UPDATE pins SET home = entity_id;
ALTER TABLE pins ALTER COLUMN home SET NOT NULL;
ALTER TABLE pins DROP CONSTRAINT pins_pkey;
ALTER TABLE pins ADD PRIMARY KEY (home, field);
CREATE UNIQUE INDEX pins_awake ON pins (entity_id, field) WHERE slept_by = '';
CREATE INDEX pins_entity ON pins (entity_id);

-- The entity that a case was about before merges moved it.
ALTER TABLE cases ADD COLUMN moved_from text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX cases_moved ON cases (moved_from) WHERE moved_from <> '';

-- What was merged into what, by whom and why, and whether it has been undone.
CREATE TABLE merges (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL,
    loser          text COLLATE "C" NOT NULL,
    survivor       text COLLATE "C" NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    actor          text NOT NULL DEFAULT '',
    source         text NOT NULL DEFAULT '',
    reason         text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    needed         text[] NOT NULL DEFAULT '{}',       -- systems in which only the loser was needed
    undone_at      timestamptz,
    undone_by      text NOT NULL DEFAULT '',
    undone_reason  text NOT NULL DEFAULT ''
);
CREATE INDEX merges_loser ON merges (loser);
CREATE INDEX merges_survivor ON merges (survivor);
INSERT INTO merges (kind, loser, survivor, at) SELECT kind, id, merged_into, updated_at FROM entities WHERE merged_into IS NOT NULL;

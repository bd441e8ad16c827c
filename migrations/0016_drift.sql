-- Drift: how a vendor's objects or API differ from what they were, one row for each system, kind, sort and path.
CREATE TABLE drifts (
    system       text COLLATE "C" NOT NULL REFERENCES systems (name),
    kind         text COLLATE "C" NOT NULL,            -- '' of the API as a whole
    sort         text COLLATE "C" NOT NULL CHECK (sort IN ('unknown', 'missing', 'type', 'enum', 'version', 'deprecated', 'sunset')),
    path         text COLLATE "C" NOT NULL,
    field        text NOT NULL DEFAULT '',             -- canonical, '' if none
    was          text NOT NULL DEFAULT '',
    became       text NOT NULL DEFAULT '',
    -- suspected: cleared or gone, others are being looked at; gone: as it was before; ignored and accepted: a person has decided
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('suspected', 'open', 'gone', 'ignored', 'accepted')),
    parks        boolean NOT NULL DEFAULT false,       -- while open, nothing is written that says the field
    examples     jsonb NOT NULL DEFAULT '[]',          -- [{externalId, value}], the first few, clipped
    seen         bigint NOT NULL DEFAULT 1,            -- how many records have shown it, or answers
    first_seen   timestamptz NOT NULL DEFAULT now(),
    last_seen    timestamptz NOT NULL DEFAULT now(),
    fetched_at   timestamptz NOT NULL DEFAULT '-infinity', -- of the newest record that showed it
    refuted_at   timestamptz NOT NULL DEFAULT '-infinity', -- of a record that showed the member after all
    asked_at     timestamptz NOT NULL DEFAULT '-infinity', -- when others were last looked at
    case_id      text NOT NULL DEFAULT '',
    PRIMARY KEY (system, kind, sort, path)
);
CREATE INDEX drifts_live ON drifts (system) WHERE status <> 'gone';
-- Records whose values could not all be used, or that carry what no mapping knows.
CREATE INDEX records_issues ON records (system, kind) WHERE issues <> '[]';
CREATE INDEX records_unknown ON records (system, kind) WHERE unknown <> '{}';
CREATE INDEX projections_drift ON projections (system, kind) WHERE status = 'parked' AND error_code = 'DRIFT';

-- What people have been asked about already.
INSERT INTO drifts (system, kind, sort, path, status, first_seen, last_seen, case_id)
SELECT DISTINCT ON (c.system, c.entity_kind, c.dedupe_key) c.system, c.entity_kind, 'unknown', split_part(c.dedupe_key, '|', 4),
    CASE WHEN c.status = 'open' THEN 'open' WHEN c.status = 'resolved' AND c.resolution = 'ignore' THEN 'ignored' ELSE 'gone' END, c.opened_at, c.updated_at, c.id
FROM cases c JOIN systems s ON s.name = c.system WHERE c.kind = 'drift' ORDER BY c.system, c.entity_kind, c.dedupe_key, c.opened_at DESC;

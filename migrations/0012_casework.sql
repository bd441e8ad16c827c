-- Work on cases: who has one, until when it rests, which rule has answered it, and everything that was done with it.
ALTER TABLE cases ADD COLUMN assignee text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN snoozed_until timestamptz;
ALTER TABLE cases ADD COLUMN rule_id text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX cases_rule ON cases (rule_id) WHERE rule_id <> '';
CREATE INDEX cases_snoozed ON cases (snoozed_until) WHERE snoozed_until IS NOT NULL AND status = 'open';
CREATE INDEX cases_updated ON cases (updated_at);

-- A person's word that cases like one are to be ignored from now on. '' is any system, kind of entity, field or value.
CREATE TABLE case_rules (
    id          text COLLATE "C" PRIMARY KEY,
    kind        text NOT NULL,
    system      text NOT NULL DEFAULT '',
    entity_kind text NOT NULL DEFAULT '',
    field       text NOT NULL DEFAULT '',
    pattern     text NOT NULL DEFAULT '',              -- of the value or the vendor's words; * stands for anything
    note        text NOT NULL DEFAULT '',
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    removed_by  text NOT NULL DEFAULT '',
    removed_at  timestamptz
);
CREATE INDEX case_rules_kind ON case_rules (kind) WHERE removed_at IS NULL;

-- What was done with a case, by whom and when. Append-only.
CREATE TABLE case_events (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id        text COLLATE "C" NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    action         text NOT NULL,                      -- opened, changed, assigned, commented, snoozed, woke, resolved, closed
    actor          text NOT NULL DEFAULT '',
    note           text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT ''
);
CREATE INDEX case_events_case ON case_events (case_id, id);

INSERT INTO case_events (case_id, at, action, actor, note, correlation_id)
    SELECT id, opened_at, 'opened', 'datum', title, correlation_id FROM cases ORDER BY opened_at, id;
INSERT INTO case_events (case_id, at, action, actor, note)
    SELECT id, closed_at, status, resolved_by, resolution FROM cases WHERE closed_at IS NOT NULL ORDER BY closed_at, id;

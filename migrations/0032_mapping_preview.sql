-- Mapping documents that were tried out: what a person was shown counts as the approval when exactly that is applied. One that was
-- to be applied without, and would change more than could be everyday business, is parked until a person has decided.
CREATE TABLE mapping_previews (
    id           text COLLATE "C" PRIMARY KEY,
    system       text NOT NULL REFERENCES systems (name),
    base         bigint NOT NULL,                      -- the version in force when it was tried out
    source       text NOT NULL,
    effect       jsonb NOT NULL,                       -- the numbers that were shown; no values
    actor        text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    parked       boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX mapping_previews_parked ON mapping_previews (system) WHERE parked;

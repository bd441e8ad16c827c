-- What the business says over a vendor's mapping, by system; the highest version is in force and stands in the system's settings.
CREATE TABLE mappings (
    system       text NOT NULL REFERENCES systems (name),
    version      bigint NOT NULL,
    source       text NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    applied      bigint NOT NULL DEFAULT 0,            -- stored records that have been read anew under it
    applied_at   timestamptz,                          -- when all had been
    PRIMARY KEY (system, version)
);

-- API keys: who may use the GraphQL API, for which system, in which role. Of a key only the hash of its secret is kept.

CREATE TABLE api_keys (
    id           text COLLATE "C" PRIMARY KEY,
    prefix       text COLLATE "C" NOT NULL UNIQUE,     -- the part that may be shown and logged
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    system       text NOT NULL,
    role         text NOT NULL CHECK (role IN ('reader', 'editor', 'operator', 'admin')),
    name         text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz                           -- to the minute
);
CREATE INDEX api_keys_name ON api_keys (system, name);

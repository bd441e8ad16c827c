-- A change that somebody asks of the system that owns the field: it is written there, and counts once that system confirms it.
ALTER TABLE pins ADD COLUMN asked boolean NOT NULL DEFAULT false;
ALTER TABLE pins ADD COLUMN system text NOT NULL DEFAULT '';        -- the owner that is asked
ALTER TABLE pins ADD COLUMN was jsonb NOT NULL DEFAULT 'null';      -- what the owner said when it was asked: another value since is its answer
ALTER TABLE pins ADD COLUMN expires_at timestamptz;
ALTER TABLE pins ADD COLUMN correlation_id text NOT NULL DEFAULT '';
CREATE INDEX pins_expiry ON pins (expires_at) WHERE asked AND slept_by = '';

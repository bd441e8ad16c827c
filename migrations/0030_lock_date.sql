-- The last day of the part of a system's books that is locked, '' if none is, and when it is to be read next.
ALTER TABLE systems ADD COLUMN locked_until text NOT NULL DEFAULT '', ADD COLUMN lock_due_at timestamptz NOT NULL DEFAULT '-infinity';

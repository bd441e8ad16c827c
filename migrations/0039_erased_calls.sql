-- The id alone, as bodies of calls have it: what names it is not kept in the log of calls.
ALTER TABLE suppressions ADD COLUMN bare text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX suppressions_bare ON suppressions (system, bare);

-- Whether a call showed an object that was erased here, or belongs to a reading that did just before: parts of it, such as a company's
-- people, are read under ids of their own.
CREATE FUNCTION erasure_shown(p_system text, p_correlation text, p_sent timestamptz, p_text text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM suppressions WHERE system = p_system) THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM (SELECT DISTINCT m[1] AS id FROM regexp_matches(p_text, '[0-9A-Za-z][0-9A-Za-z-]{5,63}', 'g') m) t
        JOIN suppressions s ON s.system = p_system AND s.bare = erasure_hash(p_system, s.kind, t.id)
    ) OR p_correlation <> '' AND EXISTS (
        SELECT FROM exchanges x WHERE x.correlation_id = p_correlation AND x.system = p_system AND x.response_body = '[erased]'
            AND x.sent_at BETWEEN p_sent - interval '1 minute' AND p_sent
    );
END $$;

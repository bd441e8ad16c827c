-- What talking to vendors needs and all processes share: processes, credentials, budgets, exchanges. Times are the
-- database's clock, so that processes need not agree on theirs.

-- Running processes. One that has not been heard of for 5 s is dead: what it held is free.
CREATE TABLE processes (
    id           text COLLATE "C" PRIMARY KEY,
    host         text NOT NULL,
    pid          integer NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One sealed credential per system. Only what a person may see is in columns of its own.
CREATE TABLE credentials (
    system       text PRIMARY KEY,
    key_id       text NOT NULL,                        -- the vault's key that sealed it
    sealed       bytea NOT NULL,
    version      bigint NOT NULL DEFAULT 1,            -- grows with every change of the sealed part
    auth_state   text NOT NULL DEFAULT 'ok' CHECK (auth_state IN ('ok', 'needs_reauth')),
    auth_reason  text NOT NULL DEFAULT '',
    auth_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,                          -- of the access token; null if it does not expire
    refreshes    bigint NOT NULL DEFAULT 0,
    refreshed_at timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One vendor limit of one system. A rolling window keeps its grants in slots of per_ms/240: the end of each slot, oldest
-- first, and how many calls each lane took in it.
CREATE TABLE budgets (
    system            text COLLATE "C" NOT NULL,
    name              text COLLATE "C" NOT NULL,
    calls             integer NOT NULL CHECK (calls > 0),
    per_ms            bigint NOT NULL CHECK (per_ms >= 0),       -- 0: calls at once, held in budget_leases
    extra             boolean NOT NULL DEFAULT false,            -- counts only the calls that name it
    slots             timestamptz[] NOT NULL DEFAULT '{}',
    live              integer[] NOT NULL DEFAULT '{}',
    bulk              integer[] NOT NULL DEFAULT '{}',           -- bulk and sweep
    other             integer[] NOT NULL DEFAULT '{}',           -- calls of others, learnt from the vendor's headers
    blocked_until     timestamptz NOT NULL DEFAULT '-infinity',  -- the vendor said so
    live_seen_at      timestamptz NOT NULL DEFAULT '-infinity',
    live_hungry_until timestamptz NOT NULL DEFAULT '-infinity',  -- the lane was refused and will be back
    bulk_hungry_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (system, name)
) WITH (fillfactor = 50);

-- A call under way that counts against a limit on calls at once.
CREATE TABLE budget_leases (
    id           text NOT NULL,
    system       text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    live         boolean NOT NULL,
    process      text NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (id, name)
);
CREATE INDEX budget_leases_limit ON budget_leases (system, name);

-- How much longer than the vendor's window a grant counts, since calls travel at different speeds. A call that takes
-- longer than that is entered again when it is done.
CREATE FUNCTION budget_margin(b budgets) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT least(greatest(b.per_ms / 60, 50), 1000) * interval '1 millisecond'
$$;

-- How long a grant counts.
CREATE FUNCTION budget_window(b budgets) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT b.per_ms * interval '1 millisecond' + budget_margin(b)
$$;

-- Calls that count at a time, by lane.
CREATE FUNCTION budget_used(b budgets, at timestamptz, OUT live bigint, OUT bulk bigint, OUT total bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(l), 0), coalesce(sum(k), 0), coalesce(sum(l + k + o), 0)
    FROM unnest(b.slots, b.live, b.bulk, b.other) AS u (s, l, k, o)
    WHERE s > at - budget_window(b)
$$;

-- The most calls a lane may have in the window. A lane that is refused elsewhere is hungry: then live gets four fifths
-- and bulk one. Otherwise bulk leaves live a little, so that the first edit after a quiet time need not wait.
CREATE FUNCTION budget_cap(b budgets, is_live boolean, at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(1, CASE
        WHEN is_live AND b.bulk_hungry_until > at THEN b.calls - greatest(1, (b.calls + 4) / 5)
        WHEN is_live THEN b.calls
        WHEN b.live_hungry_until > at THEN (b.calls + 4) / 5
        WHEN b.per_ms >= 3600000 OR b.live_seen_at > at - least(b.per_ms, 300000) * interval '1 millisecond' - interval '10 s'
            THEN b.calls - greatest(1, (b.calls + 19) / 20)
        WHEN b.calls >= 20 THEN b.calls - 1
        ELSE b.calls END)
$$;

-- Milliseconds until the lane may have one more call of a rolling window; 0 is now.
CREATE FUNCTION budget_wait(b budgets, is_live boolean, at timestamptz) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    u record;
    cap integer := budget_cap(b, is_live, at);
    own bigint;
    capped boolean;
    other_hungry timestamptz := CASE WHEN is_live THEN b.bulk_hungry_until ELSE b.live_hungry_until END;
    free timestamptz;
    win interval := budget_window(b);
BEGIN
    SELECT * INTO u FROM budget_used(b, at);
    own := CASE WHEN is_live THEN u.live ELSE u.bulk END;
    IF u.total < b.calls AND own < cap THEN
        RETURN 0;
    END IF;
    capped := u.total < b.calls;
    free := at + win;
    FOR i IN 1 .. cardinality(b.slots) LOOP
        CONTINUE WHEN b.slots[i] <= at - win;
        u.total := u.total - b.live[i] - b.bulk[i] - b.other[i];
        own := own - CASE WHEN is_live THEN b.live[i] ELSE b.bulk[i] END;
        IF u.total < b.calls AND own < cap THEN
            free := b.slots[i] + win;
            EXIT;
        END IF;
    END LOOP;
    IF capped AND other_hungry > at THEN
        free := least(free, other_hungry);
    END IF;
    RETURN greatest(1, ceil(extract(epoch FROM free - at) * 1000));
END $$;

-- The end of the slot that a time is in.
CREATE FUNCTION budget_slot(b budgets, at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT to_timestamp(ceil(extract(epoch FROM at)::double precision / w) * w) FROM (SELECT greatest(b.per_ms, 240) / 240000.0::double precision) AS x (w)
$$;

-- The limit with n more calls at a time, and without slots that no longer matter.
CREATE FUNCTION budget_add(b budgets, lane text, n integer, at timestamptz) RETURNS budgets LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    slot timestamptz := budget_slot(b, at);
    i integer;
BEGIN
    -- Twice the window: a late answer is compared with what counted when its request was sent.
    WHILE cardinality(b.slots) > 0 AND b.slots[1] <= at - 2 * budget_window(b) LOOP
        b.slots := b.slots[2:];
        b.live := b.live[2:];
        b.bulk := b.bulk[2:];
        b.other := b.other[2:];
    END LOOP;
    i := cardinality(b.slots);
    WHILE i > 0 AND b.slots[i] > slot LOOP
        i := i - 1;
    END LOOP;
    IF i = 0 OR b.slots[i] < slot THEN
        b.slots := b.slots[:i] || slot || b.slots[i + 1:];
        b.live := b.live[:i] || 0 || b.live[i + 1:];
        b.bulk := b.bulk[:i] || 0 || b.bulk[i + 1:];
        b.other := b.other[:i] || 0 || b.other[i + 1:];
        i := i + 1;
    END IF;
    IF lane = 'live' THEN
        b.live[i] := b.live[i] + n;
    ELSIF lane = 'other' THEN
        b.other[i] := b.other[i] + n;
    ELSE
        b.bulk[i] := b.bulk[i] + n;
    END IF;
    RETURN b;
END $$;

-- The limit with one call of the lane moved to a later time.
CREATE FUNCTION budget_move(b budgets, lane text, old timestamptz, new timestamptz) RETURNS budgets LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    i integer := array_position(b.slots, budget_slot(b, old));
BEGIN
    IF lane = 'live' AND b.live[i] > 0 THEN
        b.live[i] := b.live[i] - 1;
    ELSIF lane <> 'live' AND b.bulk[i] > 0 THEN
        b.bulk[i] := b.bulk[i] - 1;
    END IF;
    RETURN budget_add(b, lane, 1, new);
END $$;

-- Asks for one call. One statement, so that no row lock is ever held across a round trip: a stopped process stops nobody
-- else. p_at is null except in tests. Without a grant, wait_ms says when to ask again.
CREATE FUNCTION budget_acquire(p_system text, p_lane text, p_extra text[], p_process text, p_lease interval, p_at timestamptz,
    OUT wait_ms bigint, OUT lease text, OUT at timestamptz, OUT room jsonb) LANGUAGE plpgsql AS $$
DECLARE
    b budgets;
    is_live boolean := p_lane = 'live';
    own bigint;
    total bigint;
    w bigint;
    grace interval;
BEGIN
    PERFORM 1 FROM budgets x WHERE x.system = p_system AND (NOT x.extra OR x.name = ANY (p_extra)) ORDER BY x.name FOR UPDATE;
    at := coalesce(p_at, clock_timestamp());
    wait_ms := 0;
    lease := '';
    room := '{}';

    FOR b IN SELECT x.* FROM budgets x WHERE x.system = p_system AND (NOT x.extra OR x.name = ANY (p_extra)) ORDER BY x.name LOOP
        w := 0;
        IF b.blocked_until > at THEN
            w := ceil(extract(epoch FROM b.blocked_until - at) * 1000);
        ELSE
            IF b.per_ms = 0 THEN
                DELETE FROM budget_leases l WHERE l.system = b.system AND l.name = b.name AND (l.expires_at <= at OR NOT EXISTS (
                    SELECT FROM processes p WHERE p.id = l.process AND p.heartbeat_at > at - interval '5 s'));
                SELECT count(*) FILTER (WHERE l.live = is_live), count(*) INTO own, total
                FROM budget_leases l WHERE l.system = b.system AND l.name = b.name;
                IF total >= b.calls OR own >= budget_cap(b, is_live, at) THEN
                    w := 20;
                END IF;
            ELSE
                w := budget_wait(b, is_live, at);
            END IF;
            -- A refused lane is hungry until it was told to be back, and a little longer.
            IF w > 0 THEN
                grace := least(greatest(b.per_ms, 500), 5000) * interval '1 millisecond';
                UPDATE budgets x SET
                    live_hungry_until = CASE WHEN is_live THEN at + w * interval '1 millisecond' + grace ELSE x.live_hungry_until END,
                    bulk_hungry_until = CASE WHEN is_live THEN x.bulk_hungry_until ELSE at + w * interval '1 millisecond' + grace END,
                    live_seen_at = CASE WHEN is_live THEN at ELSE x.live_seen_at END
                WHERE x.system = b.system AND x.name = b.name;
            END IF;
        END IF;
        wait_ms := greatest(wait_ms, w);
    END LOOP;
    IF wait_ms > 0 THEN
        RETURN;
    END IF;

    FOR b IN SELECT x.* FROM budgets x WHERE x.system = p_system AND (NOT x.extra OR x.name = ANY (p_extra)) ORDER BY x.name LOOP
        -- Fed for now; others of the lane that still wait will say so again soon.
        grace := least(greatest(b.per_ms, 500), 5000) / 5 * interval '1 millisecond';
        IF is_live THEN
            b.live_seen_at := at;
            b.live_hungry_until := least(b.live_hungry_until, at + grace);
        ELSE
            b.bulk_hungry_until := least(b.bulk_hungry_until, at + grace);
        END IF;
        IF b.per_ms = 0 THEN
            IF lease = '' THEN
                lease := gen_random_uuid()::text;
            END IF;
            INSERT INTO budget_leases (id, system, name, live, process, expires_at)
            VALUES (lease, b.system, b.name, is_live, p_process, at + p_lease);
        ELSE
            b := budget_add(b, p_lane, 1, at);
            room := room || jsonb_build_object(b.name, jsonb_build_object('calls', b.calls, 'remaining', b.calls - (budget_used(b, at)).total,
                'marginMs', round(extract(epoch FROM budget_margin(b)) * 1000)));
        END IF;
        UPDATE budgets x SET slots = b.slots, live = b.live, bulk = b.bulk, other = b.other,
            live_seen_at = b.live_seen_at, live_hungry_until = b.live_hungry_until, bulk_hungry_until = b.bulk_hungry_until
        WHERE x.system = b.system AND x.name = b.name;
    END LOOP;
END $$;

-- Ends a call: frees its lease, learns from what the vendor said. p_at is when the call was granted, p_lane its lane. p_slow
-- are limits whose margin it has outlasted: the vendor may have counted it as late as now, so it counts from now.
-- p_names, p_remaining and p_calls are the vendor's readings (calls 0: not said); p_block are the limits to leave alone for
-- p_block_ms.
CREATE FUNCTION budget_done(p_system text, p_lease text, p_lane text, p_at timestamptz, p_slow text[], p_names text[], p_remaining integer[], p_calls integer[],
    p_block text[], p_block_ms bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budgets;
    i integer;
    missing bigint;
    n integer;
    now timestamptz := coalesce(p_now, clock_timestamp());
BEGIN
    IF p_lease <> '' THEN
        DELETE FROM budget_leases l WHERE l.id = p_lease;
    END IF;
    IF cardinality(p_names || p_block || p_slow) = 0 THEN
        RETURN;
    END IF;
    PERFORM 1 FROM budgets x WHERE x.system = p_system AND x.name = ANY (p_names || p_block || p_slow) ORDER BY x.name FOR UPDATE;
    FOR b IN SELECT x.* FROM budgets x WHERE x.system = p_system AND x.name = ANY (p_names || p_block || p_slow) ORDER BY x.name LOOP
        IF b.name = ANY (p_block) THEN
            b.blocked_until := greatest(b.blocked_until, now + p_block_ms * interval '1 millisecond');
        END IF;
        IF b.name = ANY (p_slow) AND b.per_ms > 0 THEN
            b := budget_move(b, p_lane, p_at, greatest(p_at, now - budget_margin(b)));
        END IF;
        i := array_position(p_names, b.name);
        IF i IS NOT NULL AND b.per_ms > 0 THEN
            IF p_calls[i] > 0 THEN
                b.calls := least(b.calls, p_calls[i]);
            END IF;
            -- Everything the vendor had counted by then is among our grants or was somebody else's.
            missing := (b.calls - p_remaining[i]) - (budget_used(b, p_at)).total;
            IF missing > 0 THEN
                b := budget_add(b, 'other', missing::integer, p_at);
            ELSIF b.per_ms >= 3600000 AND -missing > greatest(10, b.calls / 20) THEN
                -- A long window that the vendor has started afresh: forget the oldest.
                FOR j IN 1 .. cardinality(b.slots) LOOP
                    EXIT WHEN missing >= 0;
                    CONTINUE WHEN b.slots[j] <= p_at - budget_window(b);
                    n := least(-missing, b.other[j]); b.other[j] := b.other[j] - n; missing := missing + n;
                    n := least(-missing, b.bulk[j]); b.bulk[j] := b.bulk[j] - n; missing := missing + n;
                    n := least(-missing, b.live[j]); b.live[j] := b.live[j] - n; missing := missing + n;
                END LOOP;
            END IF;
        END IF;
        UPDATE budgets x SET calls = b.calls, slots = b.slots, live = b.live, bulk = b.bulk, other = b.other, blocked_until = b.blocked_until
        WHERE x.system = b.system AND x.name = b.name;
    END LOOP;
END $$;

-- One logged request to a vendor and its answer, redacted before it came here.
CREATE TABLE exchanges (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system           text NOT NULL,
    correlation_id   text NOT NULL DEFAULT '',
    sent_at          timestamptz NOT NULL,
    duration_ms      integer NOT NULL,
    method           text NOT NULL,
    path             text NOT NULL,
    status           integer NOT NULL,                 -- 0: no answer
    error_code       text NOT NULL DEFAULT '',
    request_header   jsonb NOT NULL DEFAULT '{}',
    request_body     text NOT NULL DEFAULT '',
    response_header  jsonb NOT NULL DEFAULT '{}',
    response_body    text NOT NULL DEFAULT ''
);
CREATE INDEX exchanges_system ON exchanges (system, id);
CREATE INDEX exchanges_correlation ON exchanges (correlation_id, id) WHERE correlation_id <> '';
CREATE INDEX exchanges_sent ON exchanges (sent_at);

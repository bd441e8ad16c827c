-- Documents of a system that were one customer's and are another's there now. When the first is gone there, it may have been merged.
CREATE TABLE customer_moves (
    system  text NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    to_id   text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, from_id)
);

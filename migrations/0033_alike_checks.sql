-- Records to be compared once more with what they are alike to: while they were, another transaction was at something alike, and the two
-- did not see each other. Once every transaction below until has ended, either sees both.
CREATE TABLE alike_checks (
    kind         text NOT NULL,
    system       text NOT NULL,
    external_id  text NOT NULL,
    until        xid8 NOT NULL,
    PRIMARY KEY (kind, system, external_id)
);

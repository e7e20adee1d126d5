-- Who may write to a client's page, or works on an event: rows that end by themselves, so that no connection is held.
-- Not logged: after a crash of the server all are lost, and a write under a lost one cannot be recorded.
CREATE UNLOGGED TABLE quotion_leases (
    name  text COLLATE "C" PRIMARY KEY,
    token text NOT NULL,                       -- random, and never the same again
    until timestamptz NOT NULL                 -- by the server's clock
);

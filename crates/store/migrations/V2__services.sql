-- Services: what is wanted, and which jobs are their revisions.
CREATE TABLE services (
    name TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    replicas INTEGER NOT NULL,
    job INTEGER NOT NULL,
    stopped INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL,
    blob BLOB NOT NULL,
    -- The update that is under way, if one is: all of these or none.
    from_job INTEGER,
    from_hash INTEGER,
    from_blob BLOB,
    moved INTEGER,
    halted INTEGER
) STRICT, WITHOUT ROWID;

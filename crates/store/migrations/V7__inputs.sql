-- Rows of parameters: a NUL ends each value, and nothing separates rows. Apart from the specs, which
-- readers want without them; a job that is added to has several blocks.
CREATE TABLE job_rows (
    block INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    -- The first task that has one of them, counted from the first of the job.
    first INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (job, first)
) STRICT;

-- What edges keep with the fleet by name, written in the same transaction as the jobs that come of it.
-- The bytes are theirs.
CREATE TABLE notes (
    -- 0 template, 1 watch
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- Counts its writes: one that was decided on an older state is refused.
    revision INTEGER NOT NULL,
    principal TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

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

-- 1: more tasks may come; `last` then moves.
ALTER TABLE jobs ADD COLUMN is_open INTEGER NOT NULL DEFAULT 0;

-- Specs with placeholders that a submission fills in.
CREATE TABLE templates (
    name TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    -- The spec as JSON.
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Files and folders whose new lines become tasks.
CREATE TABLE watches (
    path TEXT PRIMARY KEY,
    -- 0 lines, 1 csv, 2 json_lines, 3 hpc
    format INTEGER NOT NULL,
    -- Absent with the format hpc, whose lines say all.
    template TEXT,
    principal TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    -- Counts what was taken from it: a step that was decided on an older one is refused.
    revision INTEGER NOT NULL,
    -- Tasks made so far, and the last job.
    tasks INTEGER NOT NULL,
    last_job INTEGER
) STRICT, WITHOUT ROWID;

-- The files of a watch; a file that is watched itself has the empty name.
CREATE TABLE watch_files (
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Device, inode and birth, to know it again under another name; absent once it is gone.
    identity BLOB,
    PRIMARY KEY (path, name)
) STRICT, WITHOUT ROWID;

-- How often each line of a file was taken: the first 16 bytes of the SHA-256 of a line.
CREATE TABLE watch_lines (
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    line BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (path, name, line)
) STRICT, WITHOUT ROWID;

-- Lines that could not become tasks, the latest of each watch.
CREATE TABLE watch_faults (
    number INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    -- From 1.
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX watch_faults_path ON watch_faults (path);

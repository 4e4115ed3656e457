-- The words are those of the code and of the API. Numbers of states, phases, outcomes, stages and
-- streams are given beside their columns; they never change. Times are microseconds since the Unix
-- epoch. 64-bit hashes, nonces and salts are stored as the signed number of the same bits.

-- 'FLOT': tells a store of Flota from any other SQLite file.
PRAGMA application_id = 0x464C4F54;

-- Who may write, and how far the writing has come. Read and written in every transaction.
CREATE TABLE authority (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    term INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    salt INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    -- 1 in a copy, until a person tells the fleet to go on with it.
    restored INTEGER NOT NULL,
    batch INTEGER NOT NULL
) STRICT;

INSERT INTO authority VALUES (1, 0, 0, 0, 0, 0, 0);

CREATE TABLE counters (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    next_job INTEGER NOT NULL,
    next_node INTEGER NOT NULL,
    next_grant INTEGER NOT NULL
) STRICT;

INSERT INTO counters VALUES (1, 1, 1, 1);

CREATE TABLE jobs (
    job INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL,
    principal TEXT NOT NULL,
    submitted_at INTEGER NOT NULL,
    -- 0 active, 1 cancelling, 2 finished
    phase INTEGER NOT NULL,
    finished_at INTEGER,
    -- Tasks by state.
    waiting INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    granted INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    unknown INTEGER NOT NULL
) STRICT;

-- So that a start finds the live jobs among millions of finished ones, in their order.
CREATE INDEX jobs_unfinished ON jobs (job, phase) WHERE phase <> 2;

-- Apart from the jobs, because a job's row is written in every batch that touches it, and SQLite
-- writes rows whole: a spec may have 1 MiB.
CREATE TABLE specs (
    job INTEGER PRIMARY KEY,
    blob BLOB NOT NULL
) STRICT;

-- A table with a rowid, because only there SQLite writes just those pages of a long value in which
-- a byte has changed: of 24 KiB of states a batch changes a few.
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (job, number)
) STRICT;

CREATE TABLE task_histories (
    job INTEGER NOT NULL,
    task INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    -- 1: its next attempt runs alone on its node.
    apart INTEGER NOT NULL,
    PRIMARY KEY (job, task)
) STRICT, WITHOUT ROWID;

-- Only grants that are not settled.
CREATE TABLE grants (
    grant INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    first_task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    salt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    count INTEGER NOT NULL,
    node INTEGER NOT NULL,
    -- 16 bytes, the highest first.
    boot BLOB NOT NULL,
    journal INTEGER NOT NULL,
    granted_at INTEGER NOT NULL,
    unsettled BLOB NOT NULL,
    suspect BLOB NOT NULL
) STRICT;

-- One row per ended attempt, for ever: the hot table. Narrow, in the order of the key, so that the
-- rows of a range of tasks lie together and a job's new rows go to few pages; no other index.
CREATE TABLE attempts (
    job INTEGER NOT NULL,
    task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    salt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    node INTEGER NOT NULL,
    -- 0 completed, 1 exited, 2 signalled, 3 out_of_memory, 4 timed_out, 5 cancelled,
    -- 6 not_started, 7 failed, 8 lost, 9 unknown
    outcome INTEGER NOT NULL,
    -- exited: the code; signalled: the signal; not_started: the stage (0 spawn, 1 open_stdin,
    -- 2 open_output, 3 change_directory, 4 prepare, 5 execute)
    detail INTEGER,
    -- not_started
    errno INTEGER,
    -- failed
    message TEXT,
    counted INTEGER NOT NULL,
    granted_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER NOT NULL,
    user_micros INTEGER NOT NULL,
    system_micros INTEGER NOT NULL,
    memory_bytes_max INTEGER,
    -- Bytes of each output; absent where nothing was written.
    stdout_length INTEGER,
    stderr_length INTEGER,
    result_length INTEGER,
    -- Bits 1, 2, 4: stdout, stderr, result are in a file on the node, not in `outputs`.
    on_node INTEGER NOT NULL,
    -- The same bits: that file stopped at a limit.
    truncated INTEGER NOT NULL,
    PRIMARY KEY (job, task, epoch, salt, sequence)
) STRICT, WITHOUT ROWID;

-- Outputs short enough to be kept here (16 KiB), apart from the hot rows.
CREATE TABLE outputs (
    job INTEGER NOT NULL,
    task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    salt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    -- 0 stdout, 1 stderr, 2 result
    stream INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (job, task, epoch, salt, sequence, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
    node INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    boot BLOB NOT NULL,
    journal INTEGER NOT NULL,
    session INTEGER NOT NULL,
    -- Thousandths of a core.
    cpus INTEGER NOT NULL,
    -- Bytes.
    memory INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    last_heard_at INTEGER NOT NULL,
    leased INTEGER NOT NULL,
    -- The lease of a server restart: the boot of the server's machine, and microseconds since it.
    grace_boot BLOB,
    grace_until INTEGER
) STRICT;

CREATE TABLE node_labels (
    node INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (node, name)
) STRICT, WITHOUT ROWID;

-- Named counters of a node's capacity (licences, devices).
CREATE TABLE node_counters (
    node INTEGER NOT NULL,
    name TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (node, name)
) STRICT, WITHOUT ROWID;

-- Idempotency keys.
CREATE TABLE keys (
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    job INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    principal TEXT NOT NULL,
    verb TEXT NOT NULL,
    object TEXT NOT NULL,
    refused TEXT
) STRICT;

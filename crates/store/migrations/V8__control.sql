-- What people and rules did with jobs beside running them: few jobs have a row.
CREATE TABLE job_controls (
    job INTEGER PRIMARY KEY,
    -- Held back: by whom, since when, why. All but the reason, or none.
    paused_by TEXT,
    paused_at INTEGER,
    paused_reason TEXT,
    -- Cancelled: 0 by a person, 1 job_timeout, 2 deadline, 3 max_fails.
    cause INTEGER,
    ended_by TEXT,
    ended_at INTEGER,
    ended_reason TEXT,
    -- When tasks of it were last set back to waiting.
    again_at INTEGER
) STRICT;

-- Who holds back all batch work: one row while somebody does.
CREATE TABLE queue_pause (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    paused_by TEXT NOT NULL,
    paused_at INTEGER NOT NULL,
    reason TEXT
) STRICT;

-- Why a person asked for it.
ALTER TABLE audit ADD COLUMN reason TEXT;

-- Jobs with tasks that ended without success, and not by a cancel.
CREATE INDEX jobs_ill ON jobs (job) WHERE failed + dead + unknown > 0;

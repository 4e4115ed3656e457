-- The state of each service for one who changes only what they have seen, and what an update takes at a time
-- where a person said so.
ALTER TABLE services ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
ALTER TABLE services ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE services ADD COLUMN parallel INTEGER;
-- The specs that services have and had. Of before only those are known that are in use.
CREATE TABLE revisions (
    service TEXT NOT NULL,
    job INTEGER NOT NULL,
    principal TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- 0 applied, 1 rolled back to.
    cause INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (service, job)
) STRICT, WITHOUT ROWID;
INSERT INTO revisions SELECT name, from_job, principal, changed_at, 0, from_hash, from_blob
    FROM services WHERE from_job IS NOT NULL AND from_hash <> spec_hash;
INSERT INTO revisions SELECT name, job, principal, changed_at, 0, spec_hash, blob FROM services;
-- What is left to be done by the program, because SQL alone cannot: each is removed once it is done.
CREATE TABLE mends (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO mends VALUES ('kinds of jobs');

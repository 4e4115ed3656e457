-- Tasks that wait for others, and those that will not run because others ended otherwise.
ALTER TABLE jobs ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

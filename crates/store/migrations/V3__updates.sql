-- An update that overtakes another, the way back of one that failed, and what starts an `always` again.
-- Rows of before have none of these: what an update has left follows from `moved`.
ALTER TABLE services ADD COLUMN remaining BLOB;
ALTER TABLE services ADD COLUMN goes_back INTEGER;
ALTER TABLE services ADD COLUMN revival BLOB;
ALTER TABLE services ADD COLUMN revival_due INTEGER;

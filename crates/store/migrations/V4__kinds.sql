-- Which jobs are revisions of services: lists of jobs leave them out.
ALTER TABLE jobs ADD COLUMN is_service INTEGER NOT NULL DEFAULT 0;
-- Older revisions of before stay with the batch jobs: nothing but the bytes of their specs says what they were.
UPDATE jobs SET is_service = 1 WHERE job IN
    (SELECT job FROM services UNION SELECT from_job FROM services WHERE from_job IS NOT NULL);

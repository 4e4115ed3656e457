-- How many jobs of an adapter have succeeded, without a look at those of the administrator.
CREATE INDEX jobs_of_others ON jobs (principal)
    WHERE principal <> 'local' AND phase = 2 AND succeeded > 0;

//! The jobs of one principal: what clients see that share a queue with nobody.

use flota_model::{
    command::{Principal, Refusal, Reply},
    control::EndCause,
    ids::JobId,
    state::{Counts, JobPhase, TaskState},
};

use super::{Fleet, job::Job};

impl Fleet {
    /// Cancels the jobs of `principal` of which nothing has been granted.
    pub(crate) fn clear_queue(&mut self, principal: &Principal) -> Result<Reply, Refusal> {
        if self.office.is_frozen() {
            return Err(Refusal::StoreBehind);
        }
        let waiting: Vec<(JobId, u64)> = self
            .batch_jobs_of(&principal.name)
            .filter(|job| job.record.phase == JobPhase::Active && job.grants.is_empty())
            .map(|job| {
                let counts = job.record.counts;
                (job.record.job, counts.total() - counts.ended())
            })
            .collect();
        let mut tasks = 0;
        for (job, count) in waiting {
            self.end_job(job, EndCause::Person, &principal.name, None);
            tasks += count;
        }
        Ok(Reply::Cleared { tasks })
    }

    /// Tasks of the live batch jobs of a principal, by state.
    pub(crate) fn queue_of(&self, principal: &str) -> Counts {
        let mut sum = Counts::default();
        for job in self.batch_jobs_of(principal) {
            for state in TaskState::ALL {
                let number = &mut sum.0[state as usize];
                *number = number.saturating_add(job.record.counts.of(state));
            }
        }
        sum
    }

    fn batch_jobs_of(&self, principal: &str) -> impl Iterator<Item = &Job> {
        let live = self.jobs.live.values();
        live.filter(move |job| job.record.principal == principal && !job.is_service())
    }
}

//! What did not succeed: why, where it is in all jobs, and once more.

use flota_wire::rest::{
    Cancelling, Job,
    control::{DeadCursor, DeadTasks, Failures, Queue, Retried},
};

use super::{
    Client,
    request::{Call, escape, with_query},
};
use crate::fault::ClientFault;

/// Which tasks of a job are tried again.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetryQuery {
    /// Only those in these states; all that did not succeed where empty.
    pub(crate) states: Vec<String>,
    /// Only these, as `3` or `7-9`; all where empty.
    pub(crate) tasks: Vec<String>,
}

/// A page of tasks of all jobs that did not succeed.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeadQuery {
    /// In which state; `dead` when absent.
    pub(crate) state: Option<String>,
    /// At most so many; the server's default when absent.
    pub(crate) limit: Option<u32>,
    /// Where to go on.
    pub(crate) next: Option<DeadCursor>,
}

impl Client {
    /// `POST /api/v1/jobs/{job}/cancel`
    pub async fn cancel(
        &mut self,
        job: &str,
        reason: Option<&str>,
    ) -> Result<Cancelling, ClientFault> {
        let path = format!("/api/v1/jobs/{}/cancel", escape(job));
        let path = with_query(&path, &[("reason", reason.map(str::to_owned))]);
        let answer = self.perform(&Call::post(path.clone())).await?;
        self.parse(&path, answer)
    }

    /// `POST /api/v1/jobs/{job}/pause`, or `resume`
    pub(crate) async fn hold_job(
        &mut self,
        job: &str,
        reason: Option<&str>,
        pause: bool,
    ) -> Result<Job, ClientFault> {
        let word = if pause { "pause" } else { "resume" };
        let path = format!("/api/v1/jobs/{}/{word}", escape(job));
        let path = with_query(&path, &[("reason", reason.map(str::to_owned))]);
        let answer = self.perform(&Call::post(path.clone())).await?;
        self.parse(&path, answer)
    }

    /// `GET /api/v1/queue`
    pub(crate) async fn queue(&mut self) -> Result<Queue, ClientFault> {
        self.get("/api/v1/queue".into()).await
    }

    /// `POST /api/v1/queue/pause`, or `resume`
    pub(crate) async fn hold_queue(
        &mut self,
        reason: Option<&str>,
        pause: bool,
    ) -> Result<Queue, ClientFault> {
        let word = if pause { "pause" } else { "resume" };
        let path = format!("/api/v1/queue/{word}");
        let path = with_query(&path, &[("reason", reason.map(str::to_owned))]);
        let answer = self.perform(&Call::post(path.clone())).await?;
        self.parse(&path, answer)
    }

    /// `POST /api/v1/jobs/{job}/retry`: the same once more changes nothing, so it may be repeated.
    pub(crate) async fn retry(
        &mut self,
        job: &str,
        query: &RetryQuery,
    ) -> Result<Retried, ClientFault> {
        let list = |words: &[String]| (!words.is_empty()).then(|| words.join(","));
        let path = with_query(
            &format!("/api/v1/jobs/{}/retry", escape(job)),
            &[
                ("states", list(&query.states)),
                ("tasks", list(&query.tasks)),
            ],
        );
        let answer = self.perform(&Call::post(path.clone())).await?;
        self.parse(&path, answer)
    }

    /// `GET /api/v1/jobs/{job}/failures`
    pub async fn failures(&mut self, job: u64) -> Result<Failures, ClientFault> {
        self.get(format!("/api/v1/jobs/{job}/failures")).await
    }

    /// `GET /api/v1/dead`: one page.
    pub(crate) async fn dead(&mut self, query: &DeadQuery) -> Result<DeadTasks, ClientFault> {
        let path = with_query(
            "/api/v1/dead",
            &[
                ("state", query.state.clone()),
                ("limit", query.limit.map(|limit| limit.to_string())),
                ("job", query.next.map(|next| next.job.to_string())),
                ("after", query.next.map(|next| next.after.to_string())),
            ],
        );
        self.get(path).await
    }
}

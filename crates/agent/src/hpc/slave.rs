//! A slave: it does one picture at a time, and says what it is at.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flota_model::{ids::JobId, units::Moment};
use flota_wire::{
    hpc::{
        answer::{Accepted, Activity as Shown, Busy, SlaveAlive, SlaveState},
        job::{ALGORITHMS, JobRequest, TaskKey, call_of, parse_job},
        metrics::{NodeMetrics, megabytes},
    },
    rest::convert::seconds,
};
use hyper::{Method, StatusCode};

use super::{
    Here,
    http::{Answer, Asked, json, ok, refused, unknown},
};
use crate::{activity::Activity, local::Want, sys::clock};

/// A job that has not begun here by then never will: it was cancelled, say.
const BEGINS_WITHIN: Duration = Duration::from_mins(1);

/// The slave. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Slave {
    here: Here,
    state: Arc<Mutex<State>>,
}

/// What it is at for clients of its own.
#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    last: Option<TaskKey>,
}

#[derive(Debug)]
struct Current {
    /// As the client calls it.
    key: TaskKey,
    /// `None` until the server has answered.
    job: Option<JobId>,
    asked_at: Moment,
    has_begun: bool,
}

impl Slave {
    pub(super) fn new(here: Here) -> Self {
        Self {
            here,
            state: Arc::default(),
        }
    }

    /// Sees every job begin and end.
    pub(super) async fn follow(self) {
        let mut activity = self.here.activity.clone();
        while activity.changed().await.is_ok() {
            let seen = activity.borrow_and_update().clone();
            self.state().look(&seen);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer(&self, asked: Asked) -> Answer {
        match (&asked.method, asked.path.as_str()) {
            (&Method::GET, "/ping") => {
                let activity = self.shown().0;
                ok(&SlaveAlive {
                    status: "active",
                    activity,
                })
            }
            (&Method::GET, "/estado") => {
                let (activity, last) = self.shown();
                ok(&SlaveState { activity, last })
            }
            (&Method::POST, "/ejecutar") => self.run(&asked.body).await,
            (_, "/ping" | "/estado") => unknown(&asked, Some("GET")),
            (_, "/ejecutar") => unknown(&asked, Some("POST")),
            _ => unknown(&asked, None),
        }
    }

    /// What it is at, and what it did last.
    fn shown(&self) -> (Shown, Option<TaskKey>) {
        let (current, last) = self.at();
        let sample = self.here.counter.sample();
        let metrics = sample.as_deref();
        let metrics = metrics
            .map(|sample| NodeMetrics::of(&self.here.name, sample, self.here.counter.cores()));
        let memory = metrics.as_ref().map(|metrics| metrics.memory);
        let shown = Shown {
            timestamp: seconds(clock::wall()),
            busy: current.is_some(),
            current,
            cpu_percent: metrics.as_ref().and_then(|metrics| metrics.cpu.percent),
            memory_free: memory.and_then(|memory| memory.available).map(megabytes),
            memory_total: memory.and_then(|memory| memory.total).map(megabytes),
            memory_used: memory.and_then(|memory| memory.used).map(megabytes),
        };
        (shown, last)
    }

    /// What it is at for clients of its own, else for the fleet; and what it did last.
    fn at(&self) -> (Option<TaskKey>, Option<TaskKey>) {
        let activity = self.here.activity.borrow().clone();
        let mut state = self.state();
        state.look(&activity);
        let own = state.current.as_ref().map(|current| current.key.clone());
        let fleet = activity.running.first().copied().map(key);
        let ended = activity.ended.back().copied().map(key);
        (own.or(fleet), state.last.clone().or(ended))
    }

    async fn run(&self, body: &[u8]) -> Answer {
        let request = match parse_job(body) {
            Ok(request) => request,
            Err(why) => return refused(StatusCode::BAD_REQUEST, why),
        };
        let Some(call) = call_of(&request, self.here.counter.cores()) else {
            let known = ALGORITHMS.map(|(name, _)| name).join(", ");
            let what = format!(
                "algoritmo desconocido `{}`; se conocen {known}",
                request.algorithm
            );
            return refused(StatusCode::BAD_REQUEST, what);
        };
        let fault = flota_kernels::check(&call.name, &call.parameters);
        if let Err(fault) = fault {
            return refused(StatusCode::BAD_REQUEST, fault.to_string());
        }
        if let Err(current) = self.begin(&request) {
            let error = "el esclavo está ocupado".to_owned();
            return json(StatusCode::CONFLICT, &Busy { error, current });
        }
        let name = format!(
            "hpc-{}-{}x{}",
            request.algorithm, request.width, request.height
        );
        let want = Want::Compute { name, call };
        match self.here.counter.order(want, None).await {
            Ok(flota_model::local::LocalReply::Accepted { job }) => {
                let task = request.id.unwrap_or_else(|| key(job));
                self.state().accepted(job, &task);
                ok(&Accepted {
                    status: "accepted",
                    task,
                })
            }
            Ok(flota_model::local::LocalReply::Stopped) => {
                self.state().current = None;
                refused(StatusCode::BAD_GATEWAY, "el servidor respondió otra cosa")
            }
            Err(refusal) => {
                self.state().current = None;
                let what = format!("{} [{}]", refusal.detail, refusal.code);
                refused(StatusCode::SERVICE_UNAVAILABLE, what)
            }
        }
    }

    /// Takes its only place.
    ///
    /// # Errors
    /// Who has it.
    fn begin(&self, request: &JobRequest) -> Result<(), Option<TaskKey>> {
        let activity = self.here.activity.borrow().clone();
        let mut state = self.state();
        state.look(&activity);
        if let Some(current) = &state.current {
            return Err(Some(current.key.clone()));
        }
        if let Some(job) = activity.running.first() {
            return Err(Some(key(*job)));
        }
        state.current = Some(Current {
            key: request.id.clone().unwrap_or(TaskKey(String::new())),
            job: None,
            asked_at: clock::moment(),
            has_begun: false,
        });
        drop(state);
        Ok(())
    }
}

fn key(job: JobId) -> TaskKey {
    TaskKey(job.to_string())
}

impl State {
    fn accepted(&mut self, job: JobId, key: &TaskKey) {
        if let Some(current) = &mut self.current {
            current.job = Some(job);
            current.key = key.clone();
        }
    }

    /// What became of the current one. The server's answer may come after the end of the job.
    fn look(&mut self, activity: &Activity) {
        let Some(current) = &mut self.current else {
            return;
        };
        let Some(job) = current.job else {
            return;
        };
        current.has_begun |= activity.running.contains(&job);
        let has_ended = activity.ended.contains(&job) && !activity.running.contains(&job);
        let is_late = clock::moment().since(current.asked_at) > BEGINS_WITHIN;
        if has_ended || is_late && !current.has_begun {
            self.last = self.current.take().map(|current| current.key);
        }
    }
}

//! What really happened: every grant that was committed and every execution that ran.

use std::collections::{BTreeMap, BTreeSet};

use flota_engine::keeper::api::StopReason;
use flota_model::{
    change::AttemptRecord,
    control::{EndCause, JobControl},
    ids::{AttemptId, Authority, BatchNumber, Epoch, JobId, NodeId, SpecHash, TaskIndex},
    outcome::Outcome,
    spec::{OnDisconnect, Retry, SealedSpec, Work},
    state::JobPhase,
};

use crate::{
    contact::Contact, script::ScriptedEnding, service_truth::ServiceTruth, store::Store, time::Time,
};

/// The invariants of a simulation. None may ever be loosened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// At most one counted outcome per task.
    OneOutcome,
    /// `retry = never` starts at most once.
    StartsOnce,
    /// Two executions of a `stop` task never run at the same time.
    NoOverlap,
    /// What was acknowledged is never lost.
    Durable,
    /// One key, one job.
    OneJobPerKey,
    /// A fleet loaded from the store equals the live one.
    SameAsStore,
    /// Nothing of a cancelled and finished job runs, and nothing of it starts.
    CancelledIsQuiet,
    /// An outcome is what the execution really did, and that of a stop its reason, whatever the wall
    /// clocks did.
    TrueOutcome,
    /// Nothing starts after the outcome was counted, and no execution starts twice.
    NoRestart,
    /// Each task runs with the values of its own row or combination.
    OwnParameters,
    /// Nothing leaves before its commit.
    CommitFirst,
    /// After healing everything ends.
    Liveness,
    /// What ended and is durable at its agent is not run again.
    NoRerun,
    /// A cancelled task succeeds only if its success came first.
    CancelWins,
    /// The store accepts what the engine writes, and can be loaded.
    StoreFits,
    /// No engine panics.
    NoPanic,
    /// An order of a client of a node gets one answer.
    OneAnswer,
    /// No more programs run at a time than there is room for.
    NoOverload,
    /// Never two live programs for one replica of a service: on one node never, on two only once a
    /// server has given the node of one up (PROTOCOL 11).
    OneReplica,
    /// Only replicas that are wanted are granted, each of the revision that is to have it.
    OnlyWanted,
    /// Nothing of a service begins before what it depends on.
    DependenciesFirst,
    /// An update, and the way back, takes no more replicas at a time than it may, and waits for them.
    UpdatePace,
    /// What was stopped, or is over, does not start; an `always` starts with a boot.
    StaysStopped,
    /// A run that failed is followed by a rest, and is counted.
    BackOff,
    /// The end of a run is what its program really did.
    TrueRun,
    /// After healing each service becomes what was applied last, or says why not.
    Converges,
    /// What was acknowledged of a service is not lost.
    WishKept,
    /// A service remembers the specs that it needs, and no more than it may.
    PastKept,
    /// Work that waits has a reason that people are told.
    WaitsExplained,
    /// Nothing is granted of what is paused.
    PausedIsQuiet,
    /// Nothing of a job is granted after its deadline.
    DeadlineKept,
    /// No job goes on of which too many tasks have failed.
    MaxFails,
}

/// A broken invariant.
#[derive(Debug, Clone)]
pub(crate) struct Breach {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

/// A breach as an error.
pub(crate) fn breach(invariant: Invariant, detail: String) -> Result<(), Breach> {
    Err(Breach { invariant, detail })
}

/// A task for ever: job numbers may come again after a restore, so grants name the life of the store.
pub(crate) type TaskKey = (JobId, TaskIndex);

/// An attempt whose grant was committed.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) task: TaskKey,
    pub(crate) node: NodeId,
    pub(crate) spec: SealedSpec,
    pub(crate) at: Time,
    pub(crate) batch: BatchNumber,
    /// The store that knew it was replaced by an older backup.
    pub(crate) orphan: bool,
    /// A person had its task tried again after it: it is history.
    pub(crate) retried: bool,
}

/// How an execution really ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Scripted(ScriptedEnding),
    /// It exited with this code because of our SIGTERM.
    ExitedOnTerm(u8),
    /// A signal of ours ended it.
    Killed(i32),
    /// Its keeper died, and so did it.
    ParentDied,
    PowerCut,
    KernelStopped,
    /// The agent in which it ran died.
    AgentDied,
}

impl Ending {
    /// Whether somebody ordered it. What ends with its keeper, its agent or the power of its machine
    /// was ordered by nobody.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            Self::ExitedOnTerm(_) | Self::Killed(_) | Self::KernelStopped => true,
            Self::Scripted(_) | Self::ParentDied | Self::PowerCut | Self::AgentDied => false,
        }
    }
}

/// An execution that started.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) machine: usize,
    /// Which run of its attempt.
    pub(crate) run: u32,
    pub(crate) started: Time,
    pub(crate) leader_ended: Option<(Time, Ending)>,
    /// When nothing of it was left.
    pub(crate) ended: Option<Time>,
    /// A tree whose keeper is dead is not fenced (PROTOCOL 10).
    pub(crate) abandoned: bool,
}

/// What may make the fate of an attempt unknowable, or its node seem lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    PowerCut,
    KeeperDied,
    AgentDied,
    /// Damaged, rolled back or cloned.
    JournalLost,
    /// Server and agent did not hear of each other for a lease.
    Lapse,
}

/// A job in the store.
#[derive(Debug, Clone)]
pub(crate) struct KnownJob {
    pub(crate) spec: SealedSpec,
    pub(crate) principal: String,
    pub(crate) batch: BatchNumber,
    pub(crate) cancelled: Option<BatchNumber>,
    pub(crate) finished: bool,
    pub(crate) paused: bool,
    /// It was cancelled because its time was over.
    pub(crate) timed_out: bool,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) attempts: BTreeMap<AttemptId, Granted>,
    pub(crate) executions: BTreeMap<AttemptId, Execution>,
    /// When their processes were made; `execve` may take its time after that.
    pub(crate) spawned: BTreeMap<AttemptId, Time>,
    /// Died with their keeper before `execve`.
    pub(crate) never_executed: BTreeSet<AttemptId>,
    /// Attempts that could not be started.
    pub(crate) never_ran: BTreeSet<AttemptId>,
    pub(crate) by_task: BTreeMap<TaskKey, Vec<AttemptId>>,
    pub(crate) counted: BTreeMap<TaskKey, AttemptId>,
    /// Of every attempt that has a row.
    pub(crate) outcomes: BTreeMap<AttemptId, Outcome>,
    pub(crate) jobs: BTreeMap<JobId, KnownJob>,
    pub(crate) queue_paused: bool,
    /// Which job belongs to whom, as acknowledged to the client.
    pub(crate) acknowledged: BTreeMap<JobId, String>,
    pub(crate) cancels_acknowledged: BTreeSet<JobId>,
    /// Excuses that the server will learn with the next hello after them; until then it grants as if
    /// nothing had happened.
    pub(crate) news: BTreeSet<(usize, Time, Excuse)>,
    pub(crate) excuses: BTreeMap<usize, Vec<(Time, Excuse)>>,
    pub(crate) machines_of: BTreeMap<NodeId, BTreeSet<usize>>,
    /// As which node a server last welcomed a machine.
    pub(crate) node_of: BTreeMap<usize, NodeId>,
    /// Counts engine steps of agents: when the end of an attempt, and a cancel for it, arrived.
    pub(crate) end_seen: BTreeMap<AttemptId, u64>,
    pub(crate) cancel_seen: BTreeMap<AttemptId, u64>,
    /// Those cancels of which the agent died before the stop reached the program.
    pub(crate) cancel_lost: BTreeSet<AttemptId>,
    /// What may start only once and was granted before the last start of a server that was found to
    /// be behind its fleet: whether it did is unknown until its agent says so (PROTOCOL 4, 7).
    pub(crate) doubted: BTreeSet<AttemptId>,
    /// Why agents ordered keepers, or their own shells, to stop programs.
    pub(crate) stops: BTreeSet<(AttemptId, StopReason)>,
    /// Killed at its deadline.
    pub(crate) fenced: BTreeSet<AttemptId>,
    /// Counted as lost unheard, without a fence: the node was away for a lease (PROTOCOL 11).
    pub(crate) given_up: BTreeSet<AttemptId>,
    /// All that servers ever took.
    pub(crate) authorities: BTreeSet<Authority>,
    /// Successes that are durable at their agent.
    pub(crate) durable_success: BTreeSet<AttemptId>,
    /// Machines that stand still, and until when they are forgiven after that.
    pub(crate) frozen: BTreeSet<usize>,
    pub(crate) frozen_kernels: BTreeSet<usize>,
    pub(crate) was_suspended: BTreeSet<usize>,
    pub(crate) forgiven_until: BTreeMap<usize, Time>,
    pub(crate) starts: u64,
    pub(crate) contacts: BTreeMap<usize, Contact>,
    pub(crate) services: ServiceTruth,
}

impl Truth {
    /// The spec of an attempt, if its grant was ever committed.
    pub(crate) fn spec_hash(&self, attempt: AttemptId) -> Option<SpecHash> {
        self.attempts.get(&attempt).map(|granted| granted.spec.hash)
    }

    pub(crate) fn excuse(&mut self, machine: usize, at: Time, excuse: Excuse) {
        self.learned(machine, at, excuse);
        if matches!(excuse, Excuse::PowerCut | Excuse::JournalLost) {
            self.news.insert((machine, at, excuse));
        }
    }

    /// What happened before is known to the server from now on: what it granted until then did not
    /// reckon with it.
    pub(crate) fn learned(&mut self, machine: usize, at: Time, excuse: Excuse) {
        self.excuses.entry(machine).or_default().push((at, excuse));
    }

    /// Whether `machine` had one of these since `since`.
    pub(crate) fn excused(&self, machine: usize, since: Time, wanted: &[Excuse]) -> bool {
        self.excuses.get(&machine).is_some_and(|excuses| {
            excuses
                .iter()
                .rev()
                .any(|(at, excuse)| *at >= since && wanted.contains(excuse))
        })
    }

    /// An agent orders a program to be stopped.
    pub(crate) fn orders_stop(&mut self, attempt: AttemptId, reason: StopReason) {
        self.stops.insert((attempt, reason));
    }

    /// An execution starts.
    pub(crate) fn start(
        &mut self,
        attempt: AttemptId,
        machine: usize,
        now: Time,
    ) -> Result<(), Breach> {
        self.starts += 1;
        let run = self.services.ordered.get(&attempt).copied().unwrap_or(1);
        if self.executions.contains_key(&attempt) && !self.may_run_again(attempt) {
            return breach(
                Invariant::NoRestart,
                format!("attempt {attempt} starts again"),
            );
        }
        let Some(granted) = self.attempts.get(&attempt) else {
            let detail = format!("attempt {attempt} starts, but its grant is not committed");
            return breach(Invariant::CommitFirst, detail);
        };
        if !granted.orphan {
            self.check_start(attempt, granted, machine, now)?;
        }
        self.executions.insert(
            attempt,
            Execution {
                machine,
                run,
                started: now,
                leader_ended: None,
                ended: None,
                abandoned: false,
            },
        );
        Ok(())
    }

    /// A kernel that may be repeated leaves no trace but its outcome. If its agent died before that
    /// was durable, the same attempt runs once more. Programs, and what may start only once, never
    /// do.
    fn may_run_again(&self, attempt: AttemptId) -> bool {
        if self.is_replica(attempt) {
            let (last, next) = (
                self.executions.get(&attempt),
                self.services.ordered.get(&attempt),
            );
            return last.zip(next).is_some_and(|(last, next)| {
                // A journal that was put back counts runs from where it was.
                let lost = self.excused(last.machine, last.started, &[Excuse::JournalLost]);
                last.run < *next || (lost && last.ended.is_some())
            });
        }
        let kernel = self.attempts.get(&attempt).is_some_and(|granted| {
            let spec = &granted.spec.spec;
            matches!(spec.work, Work::Kernel(_)) && spec.retry != Retry::Never
        });
        let before = self.executions.get(&attempt);
        let excuses = [Excuse::AgentDied, Excuse::PowerCut];
        kernel
            && before.is_some_and(|before| {
                before.ended.is_some() && self.excused(before.machine, before.started, &excuses)
            })
    }

    fn check_start(
        &self,
        attempt: AttemptId,
        granted: &Granted,
        machine: usize,
        now: Time,
    ) -> Result<(), Breach> {
        let (job, task) = granted.task;
        let what = format!("attempt {attempt} of task {job}/{task} starts on machine {machine}");
        // What began while its machine was suspended, and a kernel whose agent stood still, may go
        // on before anybody has looked at the clock. Whether it is stopped then is checked after
        // that moment.
        let kernel = matches!(granted.spec.spec.work, Work::Kernel(_));
        let forgiven = stops(&granted.spec)
            && self.is_forgiven(machine, now)
            && (kernel || self.was_suspended.contains(&machine));
        if self.is_cancelled(attempt) && !forgiven {
            return breach(
                Invariant::CancelledIsQuiet,
                format!("{what}, its job is cancelled"),
            );
        }
        // An attempt of which nobody knew may still turn out to start: its outcome then replaces
        // the unknown one (PROTOCOL 7). One that was given up on a node that is away is not fenced.
        let unknown = self.is_unknown(granted.task) || self.given_up.contains(&attempt);
        let over = self.counted.get(&granted.task) == Some(&attempt);
        if over && !unknown && !self.is_replica(attempt) {
            return breach(Invariant::NoRestart, format!("{what} after it counted"));
        }
        for (other, execution) in self.others(attempt, granted.task) {
            let retried = self.attempts.get(&other).is_some_and(|other| other.retried);
            if granted.spec.spec.retry == Retry::Never && !retried {
                return breach(Invariant::StartsOnce, format!("{what} after {other}"));
            }
            if stops(&granted.spec) && !forgiven && self.runs(execution, &granted.spec, now) {
                let where_to = execution.machine;
                let detail = format!("{what} while {other} runs on machine {where_to}");
                return breach(Invariant::NoOverlap, detail);
            }
        }
        Ok(())
    }

    /// Whether the outcome of a task is that nobody can know (PROTOCOL 8 promises nothing then).
    pub(crate) fn is_unknown(&self, task: TaskKey) -> bool {
        let counted = self.counted.get(&task);
        let outcome = counted.and_then(|attempt| self.outcomes.get(attempt));
        outcome == Some(&Outcome::Unknown)
    }

    /// Executions of other attempts of a task that the store knows.
    fn others(
        &self,
        attempt: AttemptId,
        task: TaskKey,
    ) -> impl Iterator<Item = (AttemptId, &Execution)> {
        let attempts = self.by_task.get(&task).into_iter().flatten();
        attempts
            .filter(move |other| **other != attempt)
            .filter(|other| {
                self.attempts
                    .get(other)
                    .is_some_and(|granted| !granted.orphan)
            })
            .filter_map(|other| {
                self.executions
                    .get(other)
                    .map(|execution| (*other, execution))
            })
    }

    /// Whether an execution of a `stop` task runs and counts as fenced (PROTOCOL 10).
    pub(crate) fn runs(&self, execution: &Execution, spec: &SealedSpec, now: Time) -> bool {
        let kernel = matches!(spec.spec.work, Work::Kernel(_));
        let frozen = self.frozen.contains(&execution.machine)
            || (kernel && self.frozen_kernels.contains(&execution.machine));
        let forgiven = self.is_forgiven(execution.machine, now);
        execution.ended.is_none() && !execution.abandoned && !frozen && !forgiven
    }

    /// Whether a machine stood still a moment ago.
    pub(crate) fn is_forgiven(&self, machine: usize, now: Time) -> bool {
        self.forgiven_until
            .get(&machine)
            .is_some_and(|until| now <= *until)
    }

    /// Whether the job of an attempt is cancelled and finished, and its task with it: neither unknown
    /// (PROTOCOL 8) nor decided by another attempt (PROTOCOL 11).
    pub(crate) fn is_cancelled(&self, attempt: AttemptId) -> bool {
        let Some(granted) = self.attempts.get(&attempt) else {
            return false;
        };
        let job = self.jobs.get(&granted.task.0);
        let counted = self.counted.get(&granted.task);
        !granted.orphan
            && job.is_some_and(|job| job.finished && job.cancelled.is_some())
            && !self.is_unknown(granted.task)
            && counted.is_none_or(|counted| *counted == attempt)
    }

    /// A machine that stood still has had its chance to stop what it should not run any more.
    pub(crate) fn check_machine(&self, machine: usize, now: Time) -> Result<(), Breach> {
        for (attempt, execution) in &self.executions {
            let Some(granted) = self.attempts.get(attempt) else {
                continue;
            };
            if execution.machine != machine || granted.orphan || !stops(&granted.spec) {
                continue;
            }
            if !self.runs(execution, &granted.spec, now) {
                continue;
            }
            if self.is_cancelled(*attempt) {
                let detail = format!("{attempt} still runs on machine {machine}");
                return breach(Invariant::CancelledIsQuiet, detail);
            }
            for (other, second) in self.others(*attempt, granted.task) {
                if self.runs(second, &granted.spec, now) {
                    let detail = format!("{attempt} still runs on machine {machine}, as {other}");
                    return breach(Invariant::NoOverlap, detail);
                }
            }
        }
        Ok(())
    }

    /// A server was behind its fleet and goes on: what was granted before `since` is in doubt.
    pub(crate) fn doubt(&mut self, since: Epoch) {
        let older = self.attempts.iter().filter(|(attempt, granted)| {
            attempt.epoch < since && granted.spec.spec.retry == Retry::Never
        });
        self.doubted.extend(older.map(|(attempt, _)| *attempt));
    }

    /// The leader of an execution ended.
    pub(crate) fn leader_ended(&mut self, attempt: AttemptId, now: Time, ending: Ending) {
        if let Some(execution) = self.executions.get_mut(&attempt) {
            execution.leader_ended.get_or_insert((now, ending));
        }
    }

    /// Nothing is left of an execution.
    pub(crate) fn ended(&mut self, attempt: AttemptId, now: Time) {
        if let Some(execution) = self.executions.get_mut(&attempt) {
            execution.ended.get_or_insert(now);
        }
    }

    /// The store was replaced by a backup: what came later never happened for it.
    pub(crate) fn restored(&mut self, store: &Store) {
        let batch = store.last_batch();
        // What was settled since then may be forgotten by its agent.
        let outcomes = &self.outcomes;
        self.durable_success.retain(|attempt| {
            store.attempts.contains_key(attempt) || !outcomes.contains_key(attempt)
        });
        for granted in self.attempts.values_mut() {
            granted.orphan |= granted.batch > batch;
        }
        let rows: Vec<&AttemptRecord> = store.attempts.values().collect();
        self.outcomes = rows
            .iter()
            .map(|row| (row.attempt, row.outcome.clone()))
            .collect();
        // A replica may have been granted again since the row that the backup has.
        let services = &self.services.by_attempt;
        let counted = rows
            .iter()
            .filter(|row| row.counted && !services.contains(&row.attempt));
        self.counted = counted
            .map(|row| ((row.job, row.task), row.attempt))
            .collect();
        self.jobs.retain(|_, job| job.batch <= batch);
        for (id, job) in &mut self.jobs {
            job.cancelled = job.cancelled.filter(|at| *at <= batch);
            let control = store.jobs.get(id).map(|record| &record.control);
            job.paused = control.is_some_and(|control| control.paused.is_some());
            job.timed_out = control.is_some_and(by_time);
            job.finished = store
                .jobs
                .get(id)
                .is_some_and(|record| record.phase == JobPhase::Finished);
        }
        self.queue_paused = store.queue.is_some();
        self.services_restored(store);
        let jobs = &self.jobs;
        self.by_task.retain(|(job, _), _| jobs.contains_key(job));
        self.acknowledged.retain(|job, principal| {
            jobs.get(job)
                .is_some_and(|known| known.principal == *principal)
        });
        self.cancels_acknowledged
            .retain(|job| jobs.get(job).is_some_and(|known| known.cancelled.is_some()));
    }
}

/// Whether a job was cancelled because its time was over.
pub(crate) fn by_time(control: &JobControl) -> bool {
    control
        .ending
        .as_ref()
        .is_some_and(|ending| matches!(ending.cause, EndCause::Timeout | EndCause::Deadline))
}

/// Whether it is stopped when its node is cut off.
pub(crate) fn stops(spec: &SealedSpec) -> bool {
    spec.spec.on_disconnect == OnDisconnect::Stop
}

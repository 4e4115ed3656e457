//! Commands and queries of the edges. Every command is audited here, whatever becomes of it.

use std::collections::BTreeMap;

use flota_model::{
    change::{AuditRecord, Change, IdempotencyKey, JobRecord, KeyRecord},
    command::{
        Ask, Command, FleetView, NodeView, Principal, Query, Refusal, Reply, Request, Sampled,
    },
    control::{EndCause, JobControl, Pause},
    frame::{DownBody, OutputFault},
    ids::{AttemptRange, Epoch, JobId, NodeId, RequestId},
    outcome::Outcome,
    parameters::Rows,
    process::Question,
    spec::SealedSpec,
    state::{Counts, JobPhase, TaskState},
    units::Moment,
};

use super::{
    Fleet,
    api::{Effect, FleetEvent, Mandate},
    asks::Order,
    job::Job,
    node::Node,
};
use crate::sabotage::Rule;

/// Most outputs that are read from one node at a time.
const READS_MAX: usize = 64;

impl Fleet {
    pub(crate) fn request(&mut self, request: Request) {
        match request.ask {
            Ask::Command(command) => self.command(request.id, request.principal, command),
            Ask::Query(query) => {
                if let Some(reply) = self.query(request.id, query) {
                    self.reply(request.id, Ok(reply));
                }
            }
        }
    }

    pub(crate) fn reply(&mut self, request: RequestId, reply: Result<Reply, Refusal>) {
        self.ledger.effects.push(Effect::Reply { request, reply });
    }

    fn command(&mut self, id: RequestId, principal: Principal, command: Command) {
        let verb = command.verb();
        let mut object = object_of(&command);
        let reason = reason_of(&command);
        let reply = self.carry_out(id, &principal, &object, command);
        if let Some(Ok(Reply::Submitted { job, .. })) = &reply {
            object = format!("job/{job}");
        }
        // An order that reached no node has its answer at once.
        let at_once = if let Some(Ok(Reply::Answer(answer))) = &reply {
            Some((order(&principal, &object), answer.clone()))
        } else {
            None
        };
        self.ledger.changes.push(Change::Audited(AuditRecord {
            at: self.office.now.wall,
            principal: principal.name,
            verb,
            object,
            reason,
            refused: reply
                .as_ref()
                .and_then(|reply| reply.as_ref().err())
                .map(Refusal::code),
        }));
        if let Some((order, answer)) = at_once {
            self.audit_answer(Some(order), &answer);
        }
        if let Some(reply) = reply {
            self.reply(id, reply);
        }
    }

    /// `None` where the answer comes later, from a node.
    fn carry_out(
        &mut self,
        id: RequestId,
        principal: &Principal,
        object: &str,
        command: Command,
    ) -> Option<Result<Reply, Refusal>> {
        match command {
            Command::Submit {
                spec,
                rows,
                idempotency_key,
            } => Some(self.submit(principal, (spec, rows), idempotency_key)),
            Command::Cancel { job, reason } => Some(self.cancel(principal, job, reason)),
            Command::Retry { job, which, stored } => Some(self.retry(job, &which, stored)),
            Command::PauseJob { job, reason } => Some(self.pause_job(principal, job, reason)),
            Command::ResumeJob { job } => Some(self.resume_job(job)),
            Command::PauseQueue { reason } => Some(Ok(self.pause_queue(principal, reason))),
            Command::ResumeQueue => Some(Ok(self.resume_queue())),
            Command::Recover => Some(self.recover()),
            Command::SignalProcess { target, signal } => {
                let order = order(principal, object);
                let question = Question::Signal { target, signal };
                self.order(id, target.node(), question, order)
            }
            Command::StopProcess { target, grace } => {
                let order = order(principal, object);
                let question = Question::Stop { target, grace };
                self.order(id, target.node(), question, order)
            }
            Command::ApplyService {
                spec,
                expected,
                at_a_time,
            } => Some(self.apply_service(principal, spec, (&expected, at_a_time))),
            Command::ScaleService { name, replicas } => Some(self.scale_service(&name, replicas)),
            Command::RestartService { name, at_a_time } => {
                Some(self.restart_service(&name, at_a_time))
            }
            Command::RollBackService {
                name,
                to,
                at_a_time,
            } => Some(self.roll_back_service(principal, (&name, to), at_a_time)),
            Command::StopService { name } => Some(self.stop_service(&name)),
            Command::StartService { name } => Some(self.start_service(&name)),
            Command::RemoveService { name } => Some(self.remove_service(&name)),
            Command::ClearQueue => Some(self.clear_queue(principal)),
            command @ (Command::WriteNote { .. } | Command::RemoveNote { .. }) => {
                self.note_command(principal, command)
            }
        }
    }

    fn submit(
        &mut self,
        principal: &Principal,
        (spec, rows): (SealedSpec, Option<Rows>),
        key: Option<String>,
    ) -> Result<Reply, Refusal> {
        let key = key.map(|key| IdempotencyKey {
            principal: principal.name.clone(),
            key,
        });
        let ignored = self.office.settings.sabotage.breaks(Rule::IdempotencyKey);
        if let Some(made) = key
            .as_ref()
            .and_then(|key| self.keys.get(key))
            .filter(|_| !ignored)
        {
            if made.spec_hash != spec.hash {
                return Err(Refusal::KeyReused { job: made.job });
            }
            return Ok(Reply::Submitted {
                job: made.job,
                existing: true,
            });
        }
        self.admit(&spec)?;
        self.admit_row_bytes(rows.as_ref().map_or(0, |rows| rows.length() as u64))?;
        let hash = spec.hash;
        let job = self.add_submitted(principal, (spec, rows));
        if let Some(key) = key {
            let made = KeyRecord {
                job,
                spec_hash: hash,
                at: self.office.now.wall,
            };
            self.keys.insert(key.clone(), made);
            self.ledger.changes.push(Change::KeyAdded { key, made });
        }
        self.watch_time(job);
        Ok(Reply::Submitted {
            job,
            existing: false,
        })
    }

    /// Takes a job in.
    pub(crate) fn add_job(&mut self, record: JobRecord, make: fn(JobRecord) -> Job) {
        let (job, at) = (record.job, record.submitted_at);
        self.ledger
            .changes
            .push(Change::JobAdded(Box::new(record.clone())));
        let entry = make(record);
        if entry.is_service() {
            // A chunk that was never written is all waiting.
            let numbers = entry.chunk_numbers();
            self.ledger
                .chunks
                .extend(numbers.map(|number| (job, number)));
        }
        self.jobs.insert(entry);
        self.enqueue(job);
        self.publish(FleetEvent::Job {
            job,
            phase: JobPhase::Active,
            at,
        });
    }

    /// What is done with a job from its beginning.
    pub(super) fn control_of(&self, principal: &Principal, spec: &SealedSpec) -> JobControl {
        let paused = spec.spec.rules.paused.then(|| {
            Box::new(Pause {
                by: principal.name.clone(),
                at: self.office.now.wall,
                reason: None,
            })
        });
        JobControl {
            paused,
            ..JobControl::default()
        }
    }

    pub(crate) fn admit(&self, spec: &SealedSpec) -> Result<(), Refusal> {
        if spec.spec.service.is_some() {
            return Err(Refusal::ServiceKind);
        }
        let deadline = spec.spec.rules.deadline;
        if deadline.is_some_and(|at| at <= self.office.now.wall) {
            return Err(Refusal::DeadlinePassed);
        }
        self.admit_job(spec.spec.tasks.count())?;
        self.admit_node(spec)
    }

    /// Whether there is room for one more job of so many tasks.
    pub(crate) fn admit_job(&self, tasks: u32) -> Result<(), Refusal> {
        let settings = &self.office.settings;
        if self.jobs.live.len() as u64 >= settings.jobs_max {
            return Err(Refusal::TooManyJobs {
                limit: settings.jobs_max,
            });
        }
        if self.jobs.tasks + u64::from(tasks) > settings.tasks_max {
            return Err(Refusal::TooManyTasks {
                limit: settings.tasks_max,
            });
        }
        Ok(())
    }

    /// Whether there is memory for so many more bytes of rows.
    pub(crate) fn admit_row_bytes(&self, more: u64) -> Result<(), Refusal> {
        let limit = self.office.settings.rows_max;
        if more > 0 && self.jobs.row_bytes + more > limit {
            return Err(Refusal::TooManyRows { limit });
        }
        Ok(())
    }

    /// Whether the node that a spec names has ever joined.
    pub(crate) fn admit_node(&self, spec: &SealedSpec) -> Result<(), Refusal> {
        match &spec.spec.constraints.node {
            Some(name) if self.nodes.named(name).is_none() => {
                Err(Refusal::NodeUnknown(name.clone()))
            }
            _ => Ok(()),
        }
    }

    fn cancel(
        &mut self,
        principal: &Principal,
        job: JobId,
        reason: Option<String>,
    ) -> Result<Reply, Refusal> {
        if self.office.is_frozen() {
            return Err(Refusal::StoreBehind);
        }
        let Some(entry) = self.jobs.get(job) else {
            return Err(self.no_live(job));
        };
        if entry.is_service() {
            // Its service would make another one at once, or believe that it runs.
            return Err(Refusal::ServiceKind);
        }
        match entry.record.phase {
            JobPhase::Finished => return Err(Refusal::JobFinished(job)),
            JobPhase::Cancelling => {}
            JobPhase::Active => self.end_job(job, EndCause::Person, &principal.name, reason),
        }
        let phase = self.jobs.live(job).record.phase;
        Ok(Reply::Cancelling { job, phase })
    }

    pub(crate) fn begin_cancel(&mut self, job: JobId) {
        self.reclaim_suspects(job);
        let entry = self.jobs.live(job);
        entry.record.phase = JobPhase::Cancelling;
        let class = entry.class.clone();
        let parked = entry.tasks_in(TaskState::Parked);
        while let Some((_, _, chunk)) = entry.take(u32::MAX, TaskState::Cancelled) {
            self.ledger.chunks.insert((job, chunk));
        }
        let left: Vec<_> = entry.histories.keys().copied().collect();
        for task in left {
            if entry.state(task) == TaskState::Cancelled {
                entry.histories.remove(&task);
                self.ledger.histories.insert((job, task));
            }
        }
        for task in parked {
            self.set_task(job, task, TaskState::Cancelled);
        }
        self.queue.remove(&class, job);
        self.ledger.jobs.insert(job);
        let at = self.office.now.wall;
        self.publish(FleetEvent::Job {
            job,
            phase: JobPhase::Cancelling,
            at,
        });
        self.cancel_granted(job);
        self.finish_if_ended(job);
    }

    /// A waiting task whose earlier attempt may still run somewhere is not cancelled before that is
    /// known to have ended (PROTOCOL 8).
    fn reclaim_suspects(&mut self, job: JobId) {
        let entry = self.jobs.live(job);
        if !entry.has_spare_attempts() {
            return;
        }
        let grants: Vec<_> = entry.grants.iter().map(|(_, grant)| *grant).collect();
        for grant in grants {
            for place in self.unsettled_of(grant) {
                let state = self.jobs.live(job).state(place.task);
                if matches!(state, TaskState::Waiting | TaskState::Parked) {
                    self.set_task(job, place.task, TaskState::Granted);
                }
            }
            self.arm(grant);
        }
    }

    fn cancel_granted(&mut self, job: JobId) {
        let mut attempts: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        let grants: Vec<_> = self
            .jobs
            .live(job)
            .grants
            .iter()
            .map(|(_, grant)| *grant)
            .collect();
        for grant in grants {
            for place in self.unsettled_of(grant) {
                attempts.entry(place.node).or_default().push(place.attempt);
            }
        }
        for (node, attempts) in attempts {
            if let Some(node) = self.nodes.known.get_mut(&node) {
                node.asked.extend(attempts.iter().copied());
            }
            self.send(node, DownBody::Cancel(AttemptRange::gather(attempts)));
        }
    }

    /// Takes an authority above all that any agent has obeyed, and lets every agent say hello anew:
    /// what they hold and the store does not know is stopped then.
    fn recover(&mut self) -> Result<Reply, Refusal> {
        if !self.office.is_frozen() {
            return Err(Refusal::NothingToRecover);
        }
        let mine = self.office.mandate.authority;
        let mut authority = self.office.behind.take().unwrap_or(mine).max(mine);
        authority.epoch = Epoch(authority.epoch.0 + 1);
        let mandate = Mandate {
            authority,
            salt: self.office.next_salt(),
        };
        self.office.take(mandate);
        self.office.stored = authority;
        self.office.restored = false;
        self.ledger.changes.push(Change::AuthorityTaken {
            authority,
            salt: mandate.salt,
            at: self.office.now.wall,
            recovered: true,
        });
        let nodes: Vec<NodeId> = self.nodes.known.keys().copied().collect();
        for node in nodes {
            self.end_session(node);
            self.nodes.known(node).unclaimed = 0;
            self.grant_grace(node);
        }
        self.doubt_what_starts_once(mine.epoch);
        Ok(Reply::Recovered(authority))
    }

    /// What was granted when the backup was made may have run to its end since, and its agent may
    /// have been told to forget it: that it is not held any more does not mean that it never
    /// started. What may start only once is unknown until its agent says otherwise (PROTOCOL 7).
    /// What was granted from the epoch `since` on is of this history, not of the one that is missing.
    fn doubt_what_starts_once(&mut self, since: Epoch) {
        let grants: Vec<_> = self.grants.iter().map(|grant| grant.head().grant).collect();
        for place in grants
            .into_iter()
            .flat_map(|grant| self.unsettled_of(grant))
            .collect::<Vec<_>>()
        {
            let job = self.jobs.live(place.job);
            let older = place.attempt.epoch < since;
            if older && job.never_retries() && !job.state(place.task).is_terminal() {
                self.suspect(place, true);
                self.record_without_report(place, Outcome::Unknown, true);
                self.end_task(place.job, place.task, TaskState::Unknown);
            }
        }
    }

    fn query(&mut self, request: RequestId, query: Query) -> Option<Reply> {
        match query {
            Query::Nodes => {
                let now = self.office.now.moment;
                let nodes = self.nodes.known.values();
                Some(Reply::Nodes(nodes.map(|node| view(node, now)).collect()))
            }
            Query::Fleet => Some(Reply::Fleet(self.view())),
            Query::Queue => Some(Reply::Held(self.queue_view())),
            Query::RetryTicket => Some(Reply::RetryTicket(self.jobs.revivals.ticket())),
            Query::Output {
                node,
                attempt,
                stream,
                offset,
                length,
            } => {
                let open = self.nodes.session(node).is_some_and(|session| {
                    session.reads.len() < READS_MAX && session.reads.insert(request)
                });
                if !open {
                    return Some(Reply::Output(Err(OutputFault::Unreachable)));
                }
                self.send(
                    node,
                    DownBody::ReadOutput {
                        request,
                        attempt,
                        stream,
                        offset,
                        length,
                    },
                );
                None
            }
            Query::Ask { node, question } => self.ask(request, node, question),
            Query::Notes(kind) => Some(Reply::Notes(self.notes_of(kind))),
            Query::Services => Some(Reply::Services(self.service_views())),
            Query::Service { name } => {
                let detail = self.service_detail(&name).map(Box::new);
                Some(Reply::ServiceDetail(detail))
            }
            Query::QueueOf { principal } => Some(Reply::Queue(self.queue_of(&principal))),
            Query::Unkillable { job } => Some(Reply::Unkillable(self.unkillable_of(job))),
            Query::TellNode {
                node,
                order,
                answer,
            } => {
                self.local_answer(node, order, answer);
                Some(Reply::Told)
            }
        }
    }

    fn view(&self) -> FleetView {
        let mut tasks = Counts::default();
        let (mut jobs_live, mut jobs_cancelling) = (0, 0);
        for job in self.jobs.live.values() {
            if job.record.phase != JobPhase::Finished {
                jobs_live += 1;
                jobs_cancelling += u64::from(job.is_cancelling());
                for (sum, count) in tasks.0.iter_mut().zip(job.record.counts.0) {
                    *sum = sum.saturating_add(count);
                }
                if job.is_service() {
                    // Replicas that were never wanted are no work.
                    let unwanted = job.record.counts.of(TaskState::Cancelled);
                    tasks.0[TaskState::Cancelled as usize] -= unwanted;
                }
            }
        }
        let restored = self.office.restored.then_some(self.office.stored);
        FleetView {
            authority: self.office.mandate.authority,
            jobs_live,
            jobs_cancelling,
            tasks,
            store_behind: self.office.behind.or(restored),
            waiting_for_nodes: u32::try_from(self.nodes.awaited.len()).unwrap_or(u32::MAX),
        }
    }
}

fn view(node: &Node, now: Moment) -> NodeView {
    let record = &node.record;
    let sampled = node.sample.as_ref().map(|(at, sample)| Sampled {
        age: now.since(*at),
        sample: sample.clone(),
    });
    NodeView {
        node: record.node,
        name: record.name.clone(),
        phase: node.phase(),
        last_heard_at: node.last_heard_at,
        joined_at: record.joined_at,
        version: node.version.clone(),
        capacity: record.capacity.clone(),
        reserved: node.load.used().clone(),
        labels: record.labels.clone(),
        granted: node.load.granted(),
        running: node.running.iter().map(|range| range.count).sum(),
        unclaimed: node.unclaimed,
        containment: node.containment,
        offer: node.offer.clone(),
        sample: sampled,
    }
}

fn reason_of(command: &Command) -> Option<String> {
    if let Command::Cancel { reason, .. }
    | Command::PauseJob { reason, .. }
    | Command::PauseQueue { reason } = command
    {
        reason.clone()
    } else {
        None
    }
}

fn order(principal: &Principal, object: &str) -> Order {
    Order {
        principal: principal.name.clone(),
        object: object.to_owned(),
    }
}

/// On what, for the audit.
fn object_of(command: &Command) -> String {
    match command {
        Command::Cancel { job, .. }
        | Command::Retry { job, .. }
        | Command::PauseJob { job, .. }
        | Command::ResumeJob { job } => format!("job/{job}"),
        Command::Submit { .. }
        | Command::PauseQueue { .. }
        | Command::ResumeQueue
        | Command::ClearQueue
        | Command::Recover => String::new(),
        Command::SignalProcess { target, .. } | Command::StopProcess { target, .. } => {
            format!("process/{target}")
        }
        Command::ApplyService { spec, .. } => format!("service/{}", spec.spec.name),
        Command::ScaleService { name, .. }
        | Command::RestartService { name, .. }
        | Command::RollBackService { name, .. }
        | Command::StopService { name }
        | Command::StartService { name }
        | Command::RemoveService { name } => format!("service/{name}"),
        Command::WriteNote { kind, name, .. } | Command::RemoveNote { kind, name } => {
            format!("{}/{name}", kind.word())
        }
    }
}

//! Clients: people and programs that submit, cancel, look, and repeat what was not answered.

use std::collections::{BTreeMap, BTreeSet};

use flota_engine::fleet::api::Event;
use flota_model::{
    command::{Ask, Command, NodeView, Principal, Query, Refusal, Reply, Request},
    control::{RETRIED_STATES, RetryTicket, RetryWhich, StoredJob},
    ids::{JobId, RequestId},
    spec::SealedSpec,
    state::{JobPhase, NodePhase},
};

use crate::{
    service_clients::{Order, ServiceClient},
    service_specs::name_of,
    tally::Trouble,
    time::Time,
    truth::Invariant,
    world::{Happening, World},
};

/// A client waits this long for an answer.
const PATIENCE: u64 = 2_000_000;
/// Between two looks at the fleet.
const LOOK: u64 = 1_000_000;

/// Something that a client does or gets.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    Submit {
        index: usize,
        again: bool,
    },
    Cancel {
        job: JobId,
        principal: String,
    },
    /// Somebody holds a job back, or all batch work, or lets it go on.
    Hold(Hold),
    /// Somebody wants what did not succeed to be tried again, and draws a ticket first.
    Retry(JobId),
    /// What was read of the job leaves for the start of the server that drew the ticket.
    RetryRead(Box<RetryRead>),
    Look,
    /// The client of a service does what is next.
    Serve(usize),
    /// It repeats what was refused or not answered.
    ServeAgain(usize),
    Recover,
    /// The request reaches the server's machine.
    Ask(RequestId),
    Answer {
        request: RequestId,
        reply: Box<Result<Reply, Refusal>>,
    },
    TimesOut(RequestId),
}

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) submissions: Vec<Submission>,
    asked: BTreeMap<RequestId, Asked>,
    next: u64,
    /// Orders at nodes without an answer: machine, start of its agent, number.
    pub(crate) orders: BTreeSet<(usize, u32, RequestId)>,
    pub(crate) orders_made: u64,
    pub(crate) orders_done: u64,
    /// Something that must be repeated until it is answered.
    pub(crate) pending: u64,
    /// The last look at the nodes found nothing granted and nothing reserved.
    pub(crate) idle_seen: bool,
    pub(crate) nodes_up: u32,
    /// Until then something may be repeated.
    pub(crate) busy_until: Time,
    /// Restores of the store so far: an answer of an earlier store means nothing.
    pub(crate) restores: u64,
    pub(crate) services: Vec<ServiceClient>,
}

/// A job that somebody wants.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) principal: String,
    pub(crate) spec: SealedSpec,
    pub(crate) keyed: bool,
    pub(crate) job: Option<JobId>,
}

/// Holding something back, and letting it go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hold {
    PauseJob(JobId),
    ResumeJob(JobId),
    PauseQueue,
    ResumeQueue,
}

/// What the edge of a server has read of a job that is to be tried again.
#[derive(Debug, Clone)]
pub(crate) struct RetryRead {
    server: usize,
    job: JobId,
    stored: Option<Box<StoredJob>>,
}

#[derive(Debug, Clone)]
struct Asked {
    about: About,
    /// Which start of the server has it.
    server: Option<usize>,
    restores: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum About {
    Submit(usize),
    Cancel(JobId, String),
    RetryTicket(JobId),
    Retry(Box<RetryRead>),
    Hold(Hold),
    Fleet,
    Nodes,
    Recover,
    /// An order for a service, and which of its client's it is.
    Serve(usize, Order),
    /// A look at a service, after that many orders of its client.
    Service(usize, u64),
}

impl World {
    pub(crate) fn client(&mut self, errand: Errand) {
        match errand {
            Errand::Submit { index, again } => {
                self.ask(About::Submit(index));
                let keyed = self.clients.submissions[index].keyed;
                let twice = keyed && !again && self.random.chance(self.plan.taste.doubled);
                if twice {
                    self.ask(About::Submit(index));
                }
            }
            Errand::Cancel { job, principal } => self.ask(About::Cancel(job, principal)),
            Errand::Hold(hold) => self.ask(About::Hold(hold)),
            Errand::Retry(job) => self.ask(About::RetryTicket(job)),
            Errand::RetryRead(read) => self.ask(About::Retry(read)),
            Errand::Recover => self.ask(About::Recover),
            Errand::Serve(service) => self.serve(service),
            Errand::ServeAgain(service) => self.serve_repeats(service),
            Errand::Look => {
                self.ask(About::Fleet);
                self.ask(About::Nodes);
                for service in 0..self.clients.services.len() {
                    let orders = self.clients.services[service].orders;
                    self.ask(About::Service(service, orders));
                }
                self.somebody_orders();
                self.let_go_on();
                self.plan_in(LOOK, Happening::Client(Errand::Look));
            }
            Errand::Ask(request) => self.request_arrives(request),
            Errand::Answer { request, reply } => self.answered(request, *reply),
            Errand::TimesOut(request) => self.unanswered(request),
        }
    }

    pub(crate) fn ask(&mut self, about: About) {
        self.clients.next += 1;
        let id = RequestId(self.clients.next);
        if repeats(&about, &self.clients) {
            self.clients.pending += 1;
        }
        let asked = Asked {
            about,
            server: None,
            restores: self.clients.restores,
        };
        self.clients.asked.insert(id, asked);
        let delay = self.random.within(50..=5_000);
        self.plan_in(delay, Happening::Client(Errand::Ask(id)));
        self.plan_in(PATIENCE, Happening::Client(Errand::TimesOut(id)));
    }

    fn request_arrives(&mut self, id: RequestId) {
        let Some(asked) = self.clients.asked.get(&id).cloned() else {
            return;
        };
        let Some(server) = self.server.current else {
            return;
        };
        if !self.living(server).is_some_and(|life| life.serving) {
            return;
        }
        let (principal, ask) = match asked.about {
            About::Submit(index) => {
                let principal = self.clients.submissions[index].principal.clone();
                (principal, Ask::Command(self.submission_of(index)))
            }
            About::Cancel(job, principal) => {
                let reason = Some("not needed any more".to_owned());
                (principal, Ask::Command(Command::Cancel { job, reason }))
            }
            About::Hold(hold) => {
                let reason = None;
                let command = match hold {
                    Hold::PauseJob(job) => Command::PauseJob { job, reason },
                    Hold::ResumeJob(job) => Command::ResumeJob { job },
                    Hold::PauseQueue => Command::PauseQueue { reason },
                    Hold::ResumeQueue => Command::ResumeQueue,
                };
                ("local".to_owned(), Ask::Command(command))
            }
            About::RetryTicket(_) => ("local".to_owned(), Ask::Query(Query::RetryTicket)),
            About::Retry(read) => {
                // A ticket is drawn and used by the same process.
                if read.server != server {
                    return;
                }
                let which = RetryWhich {
                    states: RETRIED_STATES.to_vec(),
                    tasks: Vec::new(),
                };
                let (job, stored) = (read.job, read.stored);
                let command = Command::Retry { job, which, stored };
                ("local".to_owned(), Ask::Command(command))
            }
            About::Fleet => ("local".to_owned(), Ask::Query(Query::Fleet)),
            About::Nodes => ("local".to_owned(), Ask::Query(Query::Nodes)),
            About::Recover => ("local".to_owned(), Ask::Command(Command::Recover)),
            About::Serve(service, order) => {
                let command = self.service_command(service, order);
                ("local".to_owned(), Ask::Command(command))
            }
            About::Service(service, _) => {
                let name = name_of(service);
                ("local".to_owned(), Ask::Query(Query::Service { name }))
            }
        };
        if let Some(entry) = self.clients.asked.get_mut(&id) {
            entry.server = Some(server);
            entry.restores = self.clients.restores;
        }
        let request = Request {
            id,
            principal: Principal { name: principal },
            ask,
        };
        self.tell_server(server, Event::Request(request));
    }

    fn submission_of(&self, index: usize) -> Command {
        let submission = &self.clients.submissions[index];
        let spec = submission.spec.clone();
        Command::Submit {
            rows: self.specs.rows.get(&spec.hash).cloned(),
            spec,
            idempotency_key: submission.keyed.then(|| "once".to_owned()),
        }
    }

    /// A reply leaves the server.
    pub(crate) fn reply(
        &mut self,
        _server: usize,
        request: RequestId,
        reply: Result<Reply, Refusal>,
    ) {
        let Some(asked) = self.clients.asked.get(&request) else {
            return;
        };
        let principal = if let About::Submit(index) = &asked.about {
            Some(self.clients.submissions[*index].principal.clone())
        } else {
            None
        };
        if let (Ok(Reply::Submitted { job, .. }), Some(principal)) = (&reply, principal) {
            let known = self
                .truth
                .jobs
                .get(job)
                .map(|known| known.principal.clone());
            if known.as_ref() != Some(&principal) {
                let detail = format!("job {job} is told to {principal} but is not in the store");
                self.fail(Invariant::CommitFirst, detail);
            }
        }
        if self.mishap_of(Trouble::ReplyLost, self.plan.reply_lost) {
            return;
        }
        let delay = self.random.within(50..=5_000);
        let reply = Box::new(reply);
        self.plan_in(delay, Happening::Client(Errand::Answer { request, reply }));
    }

    fn answered(&mut self, request: RequestId, reply: Result<Reply, Refusal>) {
        let Some(asked) = self.clients.asked.remove(&request) else {
            return;
        };
        if repeats(&asked.about, &self.clients) {
            self.clients.pending -= 1;
        }
        if asked.restores != self.clients.restores {
            return self.again(asked.about);
        }
        if let About::Serve(service, order) = asked.about {
            return self.served(service, order, reply);
        }
        self.note(|| format!("client gets {reply:?}"));
        match (asked.about, reply) {
            (About::Submit(index), Ok(Reply::Submitted { job, .. })) => self.submitted(index, job),
            (About::Cancel(job, _), Ok(Reply::Cancelling { .. })) => {
                self.truth.cancels_acknowledged.insert(job);
            }
            (About::RetryTicket(job), Ok(Reply::RetryTicket(ticket))) => {
                self.read_for_retry(job, ticket, asked.server);
            }
            (About::Fleet, Ok(Reply::Fleet(view))) => {
                if view.store_behind.is_some() {
                    let wait = self.random.within(1_000..=4_000_000);
                    self.plan_in(wait, Happening::Client(Errand::Recover));
                }
            }
            (About::Nodes, Ok(Reply::Nodes(nodes))) => {
                let idle = |node: &NodeView| {
                    node.phase == NodePhase::Lost
                        || node.granted == 0
                            && node.reserved.cpus.0 == 0
                            && node.reserved.memory.0 == 0
                };
                self.clients.idle_seen = nodes.iter().all(idle);
                let up = nodes.iter().filter(|node| node.phase == NodePhase::Up);
                self.clients.nodes_up = u32::try_from(up.count()).unwrap_or(0);
            }
            (About::Service(service, orders), Ok(Reply::ServiceDetail(detail))) => {
                // What was seen before the last order means nothing.
                if orders == self.clients.services[service].orders {
                    self.service_seen(service, detail.as_deref());
                }
            }
            (_, Ok(_) | Err(_)) => {}
        }
    }

    fn submitted(&mut self, index: usize, job: JobId) {
        let submission = &mut self.clients.submissions[index];
        let principal = submission.principal.clone();
        if let Some(before) = submission.job.replace(job)
            && before != job
            && self.truth.acknowledged.get(&before) == Some(&principal)
        {
            let detail = format!("{principal} got job {before} and job {job} for one key");
            self.fail(Invariant::OneJobPerKey, detail);
        }
        self.truth.acknowledged.insert(job, principal.clone());
        if self.random.chance(250) && !self.healed {
            let wait = self.random.within(1_000..=10_000_000);
            self.plan_in(wait, Happening::Client(Errand::Cancel { job, principal }));
        }
        if self.random.chance(150) && !self.healed {
            self.plan_hold(Hold::PauseJob(job), Hold::ResumeJob(job));
        }
        if self.random.chance(30) && !self.healed {
            self.plan_hold(Hold::PauseQueue, Hold::ResumeQueue);
        }
        if self.random.chance(300) && !self.healed {
            self.plan_retries(job);
        }
    }

    fn plan_hold(&mut self, hold: Hold, release: Hold) {
        let wait = self.random.within(1_000..=8_000_000);
        let lasts = self.random.within(1_000..=6_000_000);
        self.plan_in(wait, Happening::Client(Errand::Hold(hold)));
        self.plan_in(wait + lasts, Happening::Client(Errand::Hold(release)));
    }

    /// In the end somebody finds all that is still held back.
    fn let_go_on(&mut self) {
        if !self.healed {
            return;
        }
        let jobs = self.server.store.jobs.values();
        let held = jobs.filter(|record| record.control.paused.is_some());
        let mut held: Vec<Hold> = held.map(|record| Hold::ResumeJob(record.job)).collect();
        if self.server.store.queue.is_some() {
            held.push(Hold::ResumeQueue);
        }
        for hold in held {
            self.ask(About::Hold(hold));
        }
    }

    /// Some people have what did not succeed tried again, more than one of them at a time.
    fn plan_retries(&mut self, job: JobId) {
        let mut wait = self.random.within(1_000..=25_000_000);
        for _ in 0..self.random.within(1..=4) {
            self.plan_in(wait, Happening::Client(Errand::Retry(job)));
            wait += self.random.within(1_000..=4_000_000);
        }
    }

    /// The edge has its ticket: it reads the job, and takes its time.
    fn read_for_retry(&mut self, job: JobId, ticket: RetryTicket, server: Option<usize>) {
        let Some(server) = server else {
            return;
        };
        let record = self.server.store.jobs.get(&job);
        let finished = record.filter(|record| record.phase == JobPhase::Finished);
        let stored = finished.map(|record| {
            Box::new(StoredJob {
                record: record.clone(),
                chunks: self.server.store.chunks_of(job),
                ticket,
            })
        });
        let read = Box::new(RetryRead {
            server,
            job,
            stored,
        });
        let wait = self.random.within(100..=3_000_000);
        self.plan_in(wait, Happening::Client(Errand::RetryRead(read)));
    }

    /// The connections of clients to a start of the server are gone.
    pub(crate) fn clients_cut_off(&mut self, server: usize) {
        let lost = self
            .clients
            .asked
            .iter()
            .filter(|(_, asked)| asked.server == Some(server));
        let lost: Vec<RequestId> = lost.map(|(id, _)| *id).collect();
        for request in lost {
            let delay = self.random.within(50..=5_000);
            self.plan_in(delay, Happening::Client(Errand::TimesOut(request)));
        }
    }

    fn unanswered(&mut self, request: RequestId) {
        if let Some(asked) = self.clients.asked.remove(&request) {
            if repeats(&asked.about, &self.clients) {
                self.clients.pending -= 1;
            }
            self.again(asked.about);
        }
    }

    /// What may be repeated is repeated: a cancel, and a submission with a key.
    fn again(&mut self, about: About) {
        let wait = self.random.within(10_000..=1_000_000);
        self.clients.busy_until = self.now + wait + 1;
        let errand = match about {
            About::Submit(index) if self.clients.submissions[index].keyed => {
                Errand::Submit { index, again: true }
            }
            About::Cancel(job, principal) => Errand::Cancel { job, principal },
            About::Serve(service, order) => return self.serve_again(service, order, wait),
            About::Submit(_)
            | About::Fleet
            | About::Nodes
            | About::Recover
            | About::Hold(_)
            | About::RetryTicket(_)
            | About::Retry(_)
            | About::Service(..) => return,
        };
        self.plan_in(wait, Happening::Client(errand));
    }
}

/// Whether the client insists on an answer.
fn repeats(about: &About, clients: &Clients) -> bool {
    match about {
        About::Submit(index) => clients.submissions[*index].keyed,
        About::Cancel(..) | About::Serve(..) => true,
        About::Fleet
        | About::Nodes
        | About::Recover
        | About::Hold(_)
        | About::RetryTicket(_)
        | About::Retry(_)
        | About::Service(..) => false,
    }
}

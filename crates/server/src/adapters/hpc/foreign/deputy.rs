//! The deputy of a foreign slave: an agent without programs, whose kernels are computed elsewhere.
//!
//! It is the shell of an `engine::node` like any agent: it journals what it was granted before it
//! begins and how it ended before it tells, and reconciles when it comes back. While the slave does
//! not answer it has no connection, so that its lease ends and its work is done elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use flota_engine::{
    journal::Record,
    keeper::api::KeeperId,
    node::{
        Node,
        api::{Effect, Event, KernelEnd, Opening, Settings, Turn},
    },
};
use flota_link::{AgentEvent, AgentLink, direct};
use flota_model::{
    frame::Offer,
    ids::{AttemptId, BootId, ConnectionId, Nonce},
    outcome::{INLINE_OUTPUT_MAX, Output, Stream, Usage},
    resources::Resources,
    sample::NodeSample,
    spec::KernelCall,
    units::{Cpus, Timestamp},
};
use flota_wire::hpc::job::{KERNEL, RemoteResult, TaskKey};
use tokio::{
    task::{self, AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Foreigners, journal::Journal, remote};
use crate::{adapters::hpc::nodes::SLAVE, clock, random};

/// Pings in a row without an answer after which a slave is taken for gone.
const MISSES_MAX: u32 = 3;
/// Between two orders to a slave that is busy with something else.
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// The engine is asked at least so often what is due.
const TICK_INTERVAL: Duration = Duration::from_millis(500);

/// Limits of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// From the order to the result.
    pub(super) within: Duration,
}

/// What a deputy is made of.
pub(super) struct Deputy {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// Ourselves, as agents reach us.
    pub(super) server: SocketAddr,
    pub(super) folder: PathBuf,
    pub(super) cores: u32,
    pub(super) foreign: Foreigners,
    pub(super) ping_interval: Duration,
    pub(super) work: Work,
}

/// A kernel that ended.
struct Ended {
    attempt: AttemptId,
    end: KernelEnd,
    ran: (Timestamp, Timestamp),
}

/// What a deputy is at.
struct State {
    deputy: Deputy,
    node: Node,
    journal: Journal,
    link: Option<AgentLink>,
    /// Connections of earlier links: the engine wants them to ascend.
    connections: u64,
    /// The newest one.
    newest: Option<ConnectionId>,
    running: BTreeMap<AttemptId, AbortHandle>,
    work: JoinSet<Ended>,
    pings: JoinSet<Result<NodeSample, String>>,
    misses: u32,
}

impl Deputy {
    /// Speaks for its slave for ever.
    pub(super) async fn serve(self) -> io::Result<()> {
        let (journal, records) = task::block_in_place(|| Journal::open(&self.folder))?;
        let opening = self.opening()?;
        let (node, first, _) = Node::open(records, &decode, opening);
        let mut state = State {
            deputy: self,
            node,
            journal,
            link: None,
            connections: 0,
            newest: None,
            running: BTreeMap::new(),
            work: JoinSet::new(),
            pings: JoinSet::new(),
            misses: 0,
        };
        state.take(first)?;
        state.turn(vec![Event::Recovered {
            children: Vec::new(),
            keeper: KeeperId(0),
        }])?;
        state.live().await
    }

    fn opening(&self) -> io::Result<Opening> {
        let nonce = || {
            random::number()
                .map(Nonce)
                .map_err(|fault| io::Error::other(fault.to_string()))
        };
        Ok(Opening {
            nonce: nonce()?,
            journal: nonce()?,
            // A slave may have been booted or not: whatever it was at is not known here.
            boot: BootId(u128::from(nonce()?.0)),
            name: self.name.clone(),
            version: "hpc".to_owned(),
            capacity: Resources::of_cpus(Cpus::whole(self.cores)),
            labels: BTreeMap::new(),
            now: clock::now(),
            settings: Settings {
                // It does one picture at a time.
                attempts_max: 1,
                running_max: 1,
                kernels_ahead: 0,
                offer: Offer {
                    kernels: Some(BTreeSet::from([KERNEL.to_owned()])),
                    listeners: BTreeMap::from([(SLAVE.to_owned(), self.address)]),
                },
                ..Settings::default()
            },
        })
    }
}

fn decode(blob: &[u8]) -> Option<Arc<flota_model::spec::JobSpec>> {
    flota_wire::spec::unseal(blob).ok().map(Arc::new)
}

impl State {
    async fn live(&mut self) -> io::Result<()> {
        let mut ping_at = Instant::now();
        loop {
            let mut events = Vec::new();
            tokio::select! {
                event = next_of(&mut self.link) => events.extend(self.hear(event)),
                Some(ended) = self.work.join_next() => events.extend(self.ended(ended)),
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + self.deputy.ping_interval;
                    if self.pings.is_empty() {
                        self.pings.spawn(remote::ping(self.deputy.address, clock::now().wall));
                    }
                }
                Some(pinged) = self.pings.join_next() => {
                    let pinged = pinged.unwrap_or_else(|fault| Err(fault.to_string()));
                    events.extend(self.pinged(pinged));
                }
                () = sleep(TICK_INTERVAL) => events.push(Event::Tick),
            }
            self.turn(events)?;
        }
    }

    /// What the link says, with numbers of connections that ascend over all links.
    fn hear(&mut self, event: Option<AgentEvent>) -> Option<Event> {
        let above = self.connections;
        let number = |connection: ConnectionId| ConnectionId(above + connection.0);
        match event? {
            AgentEvent::Connected { connection } => {
                let connection = number(connection);
                self.newest = Some(connection);
                Some(Event::Connected { connection })
            }
            AgentEvent::Frame { connection, frame } => Some(Event::Frame {
                connection: number(connection),
                frame,
            }),
            AgentEvent::Disconnected { connection, .. } => Some(Event::Disconnected {
                connection: number(connection),
            }),
            AgentEvent::Retrying { .. } => None,
        }
    }

    /// Whether the slave answers decides whether there is a node.
    fn pinged(&mut self, sample: Result<NodeSample, String>) -> Vec<Event> {
        match sample {
            Ok(sample) => {
                self.misses = 0;
                if self.link.is_none() {
                    let seed = random::number().unwrap_or(0);
                    let link = direct::agent(self.deputy.server, direct::AgentSettings { seed });
                    match link {
                        Ok(link) => self.link = Some(link),
                        Err(fault) => tracing::error!(%fault, "a deputy cannot connect"),
                    }
                }
                vec![Event::Sampled(Box::new(sample))]
            }
            Err(why) => {
                self.misses += 1;
                let slave = &self.deputy.name;
                tracing::warn!(
                    slave,
                    why,
                    misses = self.misses,
                    "a foreign slave does not answer"
                );
                if self.misses < MISSES_MAX || self.link.is_none() {
                    return Vec::new();
                }
                self.part()
            }
        }
    }

    /// Cuts the link. Results that still come are kept and delivered with the next one.
    fn part(&mut self) -> Vec<Event> {
        self.link = None;
        // More than any link has.
        self.connections += 1 << 32;
        let newest = self.newest.take();
        let gone = newest.map(|connection| Event::Disconnected { connection });
        gone.into_iter().collect()
    }

    fn ended(&mut self, ended: Result<Ended, task::JoinError>) -> Option<Event> {
        // One that was stopped has told already.
        let Ended { attempt, end, ran } = ended.ok()?;
        self.running.remove(&attempt)?;
        Some(Event::KernelEnded {
            attempt,
            end,
            ran,
            usage: Usage::default(),
        })
    }

    fn turn(&mut self, events: Vec<Event>) -> io::Result<()> {
        let mut events = events;
        loop {
            let turn = self.node.handle(events, clock::now());
            events = self.take(turn)?;
            if events.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes durable and performs; what follows at once is for the next turn.
    fn take(&mut self, turn: Turn) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        self.perform(turn.at_once, &mut events);
        if turn.rewrite {
            let records = self.node.rewritten();
            task::block_in_place(|| self.journal.rewrite(&records))?;
        } else if !turn.records.is_empty() {
            let records: &[Record] = &turn.records;
            task::block_in_place(|| self.journal.append(records))?;
        }
        self.perform(turn.after, &mut events);
        Ok(events)
    }

    fn perform(&mut self, effects: Vec<Effect>, events: &mut Vec<Event>) {
        for effect in effects {
            match effect {
                Effect::Send { connection, frame } => {
                    if let Some((link, connection)) = self.on_link(connection) {
                        link.sender().send(connection, frame);
                    }
                }
                Effect::Close { connection } => {
                    if let Some((link, connection)) = self.on_link(connection) {
                        link.sender().close(connection);
                    }
                }
                Effect::RunKernel {
                    attempt,
                    task,
                    call,
                } => self.run(attempt, TaskKey(task.0.to_string()), call),
                Effect::StopKernel { attempt } => events.extend(self.stop(attempt)),
                Effect::Ask {
                    connection,
                    request,
                    ..
                } => events.push(Event::Answered {
                    connection,
                    request,
                    answer: Err(flota_model::process::AskFault::Unreachable),
                }),
                Effect::ReadOutput {
                    connection,
                    request,
                    ..
                } => events.push(Event::OutputRead {
                    connection,
                    request,
                    part: Err(flota_model::frame::OutputFault::Gone),
                }),
                Effect::Refused(refusal) => {
                    let slave = &self.deputy.name;
                    tracing::warn!(slave, ?refusal, "a foreign slave was refused");
                }
                // Only of nodes that run programs or have clients of their own.
                Effect::Start { .. }
                | Effect::Stop { .. }
                | Effect::Fence { .. }
                | Effect::Forget { .. }
                | Effect::Probe { .. }
                | Effect::Tail { .. }
                | Effect::LocalAnswer { .. }
                | Effect::Quit => {}
            }
        }
    }

    /// The link that has a connection, and its number there.
    fn on_link(&self, connection: ConnectionId) -> Option<(&AgentLink, ConnectionId)> {
        let number = connection.0.checked_sub(self.connections)?;
        self.link.as_ref().map(|link| (link, ConnectionId(number)))
    }

    fn run(&mut self, attempt: AttemptId, task: TaskKey, call: KernelCall) {
        let (address, name) = (self.deputy.address, self.deputy.name.clone());
        let (foreign, within) = (self.deputy.foreign.clone(), self.deputy.work.within);
        let handle = self.work.spawn(async move {
            let began = clock::now().wall;
            let computed = timeout(within, compute(address, &name, (&foreign, &task), &call)).await;
            foreign.forget(&name, &task);
            let end = match computed {
                Ok(Ok(result)) => conclude(result),
                Ok(Err(why)) => KernelEnd::Failed(why),
                Err(_) => KernelEnd::Failed(format!("no result within {} s", within.as_secs())),
            };
            Ended {
                attempt,
                end,
                ran: (began, clock::now().wall),
            }
        });
        self.running.insert(attempt, handle);
    }

    /// A foreign slave cannot be told to stop: what it still sends is late.
    fn stop(&mut self, attempt: AttemptId) -> Option<Event> {
        let handle = self.running.remove(&attempt)?;
        handle.abort();
        let now = clock::now().wall;
        Some(Event::KernelEnded {
            attempt,
            end: KernelEnd::Stopped,
            ran: (now, now),
            usage: Usage::default(),
        })
    }
}

/// Waits for ever without a link.
async fn next_of(link: &mut Option<AgentLink>) -> Option<AgentEvent> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// Orders a picture and waits for its result.
async fn compute(
    address: SocketAddr,
    slave: &str,
    (foreign, task): (&Foreigners, &TaskKey),
    call: &KernelCall,
) -> Result<RemoteResult, String> {
    // A quick slave sends its result before it answers.
    let result = foreign.expect(slave, task);
    while remote::order(address, call, task).await? == remote::Ordered::Busy {
        sleep(BUSY_PAUSE).await;
    }
    result
        .await
        .map_err(|_| "the slave was given the task again".to_owned())
}

fn conclude(result: RemoteResult) -> KernelEnd {
    if let Some(error) = result.error {
        return KernelEnd::Failed(cut(&error, 500));
    }
    let code = result.return_code.unwrap_or(0);
    if code != 0 {
        let stderr = result.stderr.unwrap_or_default();
        let last = stderr.trim_end().lines().last().unwrap_or("");
        return KernelEnd::Failed(cut(&format!("exit code {code}: {last}"), 500));
    }
    let stream = |text: Option<String>| match text {
        Some(text) if !text.is_empty() => {
            Stream::Inline(cut(&text, INLINE_OUTPUT_MAX).into_bytes())
        }
        _ => Stream::Empty,
    };
    let output = Output {
        stdout: stream(result.stdout),
        stderr: stream(result.stderr),
        result: Stream::Empty,
    };
    let is_empty = output == Output::default();
    KernelEnd::Completed((!is_empty).then(|| Box::new(output)))
}

/// No longer than that many bytes.
fn cut(text: &str, length: usize) -> String {
    let end = text.floor_char_boundary(length);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(change: impl FnOnce(&mut RemoteResult)) -> KernelEnd {
        let mut result = RemoteResult {
            slave: "e1".to_owned(),
            task: TaskKey("1".to_owned()),
            error: None,
            seconds: Some(0.5),
            stdout: None,
            stderr: None,
            return_code: Some(0),
        };
        change(&mut result);
        conclude(result)
    }

    #[test]
    fn a_result_is_an_end_and_never_a_guess() {
        assert_eq!(result(|_| {}), KernelEnd::Completed(None));
        let told = result(|result| result.stdout = Some("x".repeat(INLINE_OUTPUT_MAX + 9)));
        let KernelEnd::Completed(Some(output)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(output.stdout, Stream::Inline(vec![b'x'; INLINE_OUTPUT_MAX]));
        let failed = result(|result| {
            result.return_code = Some(3);
            result.stderr = Some("uno\ndos\n".to_owned());
        });
        assert_eq!(failed, KernelEnd::Failed("exit code 3: dos".to_owned()));
        let failed = result(|result| result.error = Some("é".repeat(400)));
        assert_eq!(failed, KernelEnd::Failed("é".repeat(250)));
    }
}

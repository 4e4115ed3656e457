//! The main loop of an agent: collects what happened, lets the engine decide, and performs.

mod asks;
mod hear;
mod perform;
mod recover;
mod reload;
mod table;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use flota_engine::{
    keeper::api::KeeperId,
    node::{
        Node,
        api::{Effect, Event, Turn},
    },
};
use flota_link::{AgentEvent, AgentLink, AgentSender};
use flota_model::{frame::HelloRefusal, sample::NodeSample, units::Moment};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot, watch},
    time::sleep,
};

pub(crate) use self::reload::Reload;
use self::{perform::Gathered, table::Table};
use crate::{
    activity::Activity,
    control::Control,
    dead::{self, Here},
    end::{AgentEnd, AgentFault},
    finisher::Finisher,
    folder::Folder,
    groups::Groups,
    input::Input,
    journal::{self, Ticket},
    keepers::Keepers,
    local::Wants,
    logs::Logs,
    orphans::Orphans,
    outputs::Outputs,
    pool::Pool,
    probes::Probes,
    processes::Processes,
    samples::Sampler,
    sys::{clock, wait},
};

/// Inputs and frames taken in one turn: more would delay the effects of the first.
const BATCH_LENGTH_MAX: usize = 1_024;
/// The engine is asked at least this often.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for keepers to end after all was stopped.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// A running agent.
pub(crate) struct Shell {
    pub(crate) node: Node,
    pub(crate) folder: Folder,
    pub(crate) journal: journal::Writer,
    pub(crate) keepers: Keepers,
    pub(crate) orphans: Orphans,
    /// Of programs, of all keepers.
    pub(crate) groups: Arc<Groups>,
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) logs: Logs,
    pub(crate) finisher: Finisher,
    pub(crate) pool: Pool,
    pub(crate) inbox: mpsc::Receiver<Input>,
    /// For parts that answer later.
    pub(crate) post: mpsc::Sender<Input>,
    /// Rung by journal and pool.
    pub(crate) bell: Arc<Notify>,
    pub(crate) here: Here,
    pub(crate) processes: Arc<Processes>,
    pub(crate) policy: Reload,
    pub(crate) probes: Probes,
    /// Looks at the machine as long as it is held.
    pub(crate) _sampler: Sampler,
    /// The last sample, for clients of our own listeners.
    pub(crate) sample: watch::Sender<Option<Box<NodeSample>>>,
    /// What runs, for the same.
    pub(crate) activity: watch::Sender<Activity>,
    pub(crate) state: State,
}

/// What the loop itself remembers.
pub(crate) struct State {
    table: Table,
    /// Effects that wait for their batch.
    waiting: VecDeque<(Ticket, Vec<Effect>)>,
    done: Ticket,
    disk_is_full: bool,
    /// For the next turn.
    events: Vec<Event>,
    /// Takes new programs.
    keeper: KeeperId,
    /// Dead keepers whose log is still needed.
    dead: BTreeMap<KeeperId, Burial>,
    link: Option<AgentSender>,
    reads: Arc<Semaphore>,
    asks: Arc<Semaphore>,
    /// Of clients of our own listeners.
    wants: Wants,
    /// Who wants to know when all is stopped.
    stop_waiters: Vec<oneshot::Sender<()>>,
    ending: Option<Ending>,
}

/// What is still needed of a dead keeper.
#[derive(Debug, Default)]
struct Burial {
    /// Attempts whose end is not told to the engine.
    unresolved: std::collections::BTreeSet<flota_model::ids::AttemptId>,
    /// With this, the ends of all are in the journal.
    ticket: Option<Ticket>,
}

/// Why the loop ends.
enum Ending {
    Refused(HelloRefusal),
    Stopped,
}

impl Default for State {
    fn default() -> Self {
        Self {
            table: Table::default(),
            waiting: VecDeque::new(),
            done: Ticket(0),
            disk_is_full: false,
            events: Vec::new(),
            keeper: KeeperId(0),
            dead: BTreeMap::new(),
            link: None,
            reads: Arc::new(Semaphore::new(perform::READS_MAX)),
            asks: Arc::new(Semaphore::new(asks::ASKS_MAX)),
            wants: Wants::default(),
            stop_waiters: Vec::new(),
            ending: None,
        }
    }
}

impl Shell {
    /// Runs until `shutdown`, a stop of all, or a fault that nothing can be done about. `connect` is
    /// called once the keepers were asked.
    pub(crate) async fn run(
        mut self,
        first: Turn,
        connect: impl FnOnce() -> Result<AgentLink, AgentFault>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<AgentEnd, AgentFault> {
        let mut shutdown = std::pin::pin!(shutdown);
        self.take(first);
        self.until_durable().await?;
        self.recover().await?;
        self.turn();
        let mut link = connect()?;
        self.state.link = Some(link.sender());
        let control = Control::new(self.folder.path(), self.folder.this(), self.post.clone());
        let control = control.map_err(AgentFault::system("listen for commands"))?;
        let mut children = child_signals()?;
        self.reap();
        loop {
            let deadline = self.deadline();
            // A writer that is far behind takes nothing new: what waits must stay bounded.
            let has_room = self.journal.waiting() < journal::WAITING_MAX;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = self.bell.notified() => {}
                event = link.next(), if has_room => self.hear_link(event, &mut link)?,
                Some(input) = self.inbox.recv(), if has_room => self.hear(input).await?,
                _ = children.recv() => self.reap(),
                read = self.policy.next() => self.state.events.extend(read.map(Event::PolicyRead)),
                () = self.keepers.room() => {}
                () = sleep(deadline.since(clock::moment())) => self.state.events.push(Event::Tick),
            }
            self.hear_more(&mut link, has_room).await?;
            self.hear_parts()?;
            self.turn();
            if let Some(ending) = self.state.ending.take() {
                return self.end(ending, control).await;
            }
        }
        drop((control, link));
        Ok(self.detach().await)
    }

    fn deadline(&self) -> Moment {
        let latest = clock::moment() + TICK_INTERVAL;
        self.node
            .deadline()
            .map_or(latest, |deadline| deadline.min(latest))
    }

    /// Takes what else is there already.
    async fn hear_more(&mut self, link: &mut AgentLink, has_room: bool) -> Result<(), AgentFault> {
        let mut count = 0;
        while has_room && count < BATCH_LENGTH_MAX {
            if let Ok(input) = self.inbox.try_recv() {
                self.hear(input).await?;
            } else if let Some(event) = link.try_next() {
                self.hear_event(event);
            } else {
                break;
            }
            count += 1;
        }
        Ok(())
    }

    fn hear_link(
        &mut self,
        event: Option<AgentEvent>,
        _link: &mut AgentLink,
    ) -> Result<(), AgentFault> {
        self.hear_event(event.ok_or(AgentFault::LinkDied)?);
        Ok(())
    }

    /// Lets the engine decide on what was collected, and performs.
    fn turn(&mut self) {
        let events = std::mem::take(&mut self.state.events);
        let turn = self.node.handle(events, clock::now());
        self.take(turn);
        if self.activity.receiver_count() > 0 {
            let running = self.node.running_jobs();
            self.activity
                .send_if_modified(|activity| activity.update(running));
        }
    }

    fn take(&mut self, turn: Turn) {
        let mut gathered = Gathered::default();
        self.perform_all(turn.at_once, &mut gathered);
        let ticket = if turn.records.is_empty() {
            self.journal.last()
        } else {
            self.journal.append(turn.records, turn.sync)
        };
        if turn.rewrite {
            self.journal.rewrite(self.node.rewritten());
        }
        if ticket <= self.state.done {
            self.perform_all(turn.after, &mut gathered);
        } else if !turn.after.is_empty() {
            self.state.waiting.push_back((ticket, turn.after));
        }
        for burial in self
            .state
            .dead
            .values_mut()
            .filter(|dead| dead.unresolved.is_empty())
        {
            burial.ticket.get_or_insert(ticket);
        }
        self.perform_gathered(gathered);
        self.bury();
    }

    /// What journal and pool have done since the last turn.
    fn hear_parts(&mut self) -> Result<(), AgentFault> {
        let progress = self.journal.progress();
        if let Some(fault) = progress.fault {
            return Err(fault.into());
        }
        self.state.done = progress.done;
        if progress.is_full != self.state.disk_is_full {
            self.state.disk_is_full = progress.is_full;
            let (event, said) = if progress.is_full {
                (
                    Event::DiskFull,
                    "the disk is full: new attempts are refused",
                )
            } else {
                (Event::DiskFree, "the disk has room again")
            };
            tracing::warn!("{said}");
            self.state.events.push(event);
        }
        let mut gathered = Gathered::default();
        while let Some((ticket, _)) = self.state.waiting.front()
            && *ticket <= self.state.done
            && let Some((_, effects)) = self.state.waiting.pop_front()
        {
            self.perform_all(effects, &mut gathered);
        }
        self.perform_gathered(gathered);
        self.hear_pool();
        Ok(())
    }

    /// Waits until all that was appended is durable, before anything else happens.
    async fn until_durable(&mut self) -> Result<(), AgentFault> {
        while self.state.done < self.journal.last() {
            self.hear_parts()?;
            if self.state.done < self.journal.last() {
                self.bell.notified().await;
            }
        }
        Ok(())
    }

    /// Reaps what fell to us: keepers that ended, what dead ones left, and programs of probes.
    fn reap(&mut self) {
        while let Ok(Some(reaped)) = wait::any() {
            if !self.probes.reaped(reaped) {
                self.orphans.reaped(reaped);
            }
        }
    }

    /// Removes the files of dead keepers of which all is in the journal.
    fn bury(&mut self) {
        let done = self.state.done;
        let folder = self.folder.keepers();
        self.state.dead.retain(|keeper, burial| {
            let is_over = burial.ticket.is_some_and(|ticket| ticket <= done);
            if is_over {
                dead::remove(folder, *keeper);
            }
            !is_over
        });
    }

    async fn end(mut self, ending: Ending, control: Control) -> Result<AgentEnd, AgentFault> {
        match ending {
            Ending::Refused(refusal) => {
                self.detach().await;
                Err(AgentFault::Refused(refusal))
            }
            Ending::Stopped => {
                self.until_durable().await?;
                self.dismiss_keepers().await;
                self.groups.leave();
                for waiter in std::mem::take(&mut self.state.stop_waiters) {
                    // Who asked may have gone.
                    let _ = waiter.send(());
                }
                control.finish().await;
                self.close().await;
                Ok(AgentEnd::StoppedAll)
            }
        }
    }

    /// Tells the keepers to end, and waits for it.
    async fn dismiss_keepers(&mut self) {
        self.keepers
            .tell_all(&flota_engine::keeper::api::ToKeeper::Quit);
        let deadline = clock::moment() + QUIT_WITHIN;
        while !self.keepers.is_empty() && clock::moment() < deadline {
            self.keepers.flush();
            tokio::select! {
                Some(input) = self.inbox.recv() => {
                    if let Input::KeeperGone(keeper) = input {
                        self.keepers.remove(keeper);
                    }
                }
                () = self.keepers.room() => {}
                () = sleep(deadline.since(clock::moment())) => {
                    tracing::warn!("a keeper does not end, though nothing runs any more");
                }
            }
        }
    }

    /// Ends the agent alone: programs and keepers go on.
    async fn detach(self) -> AgentEnd {
        let programs = self.state.table.running();
        self.close().await;
        AgentEnd::Detached { programs }
    }

    async fn close(self) {
        let (pool, journal) = (self.pool, self.journal);
        // Kernels look at their flag every few milliseconds; the journal may sync once more.
        let closed = tokio::task::spawn_blocking(move || {
            pool.close();
            journal.close();
        });
        if closed.await.is_err() {
            tracing::error!("a part of the agent panicked at its end");
        }
    }
}

fn child_signals() -> Result<tokio::signal::unix::Signal, AgentFault> {
    let kind = tokio::signal::unix::SignalKind::child();
    tokio::signal::unix::signal(kind).map_err(AgentFault::system("listen for ended children"))
}

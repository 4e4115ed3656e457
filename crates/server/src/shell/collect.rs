//! Gathers events and applies them to the fleet.

use std::time::Duration;

use flota_engine::fleet::{
    Fleet,
    api::{Event, Turn},
};
use flota_link::{ServerEvent, ServerLink};
use flota_model::{
    change::Batch,
    ids::BatchNumber,
    units::{Moment, Now},
};
use tokio::{sync::mpsc, time::sleep};

use super::{Inbound, NumberedTurn};
use crate::{clock, stop::Stop};

/// Most events of one turn: bounds how long the fleet computes before anybody is answered.
const BATCH_LENGTH_MAX: usize = 1_024;
/// The fleet hears of the time at least this often.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Owns the fleet.
pub(crate) struct Collector {
    fleet: Fleet,
    inbox: mpsc::Receiver<Inbound>,
    /// `None` once the server stops: dropping it closes all connections of agents.
    link: Option<ServerLink>,
    turns: mpsc::Sender<NumberedTurn>,
    /// The last number given to a batch.
    batch: BatchNumber,
    ticked_at: Moment,
}

/// What happened since the last turn.
#[derive(Default)]
struct Gathered {
    inbound: Vec<Inbound>,
    noticed: Vec<ServerEvent>,
}

impl Gathered {
    fn room(&self) -> usize {
        BATCH_LENGTH_MAX.saturating_sub(self.inbound.len() + self.noticed.len())
    }
}

impl Collector {
    /// A collector that goes on after the batch `last`.
    pub(crate) fn new(
        fleet: Fleet,
        last: BatchNumber,
        inbox: mpsc::Receiver<Inbound>,
        link: ServerLink,
        turns: mpsc::Sender<NumberedTurn>,
    ) -> Self {
        let ticked_at = clock::now().moment;
        Self {
            fleet,
            inbox,
            link: Some(link),
            turns,
            batch: last,
            ticked_at,
        }
    }

    /// Runs until the committer is gone, or `stop` is said and everything asked until then is
    /// handled. The agents are sent away when `edges` are told to stop: their connections would
    /// never end by themselves.
    #[expect(
        clippy::significant_drop_tightening,
        reason = "what was gathered is moved out in each round"
    )]
    pub(crate) async fn run(mut self, mut edges: Stop, mut stop: Stop) {
        let mut gathered = Gathered::default();
        loop {
            let wake = self.sleep_length(clock::now().moment);
            tokio::select! {
                count = self.inbox.recv_many(&mut gathered.inbound, BATCH_LENGTH_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                noticed = next(&mut self.link) => gathered.noticed.push(noticed),
                () = sleep(wake) => {}
                () = edges.said(), if self.link.is_some() => self.link = None,
                // Closed, the inbox gives what it still holds and then nothing.
                () = stop.said(), if !self.inbox.is_closed() => self.inbox.close(),
            }
            self.gather(&mut gathered);
            let turn = self.turn(std::mem::take(&mut gathered), clock::now());
            if self.turns.send(turn).await.is_err() {
                return;
            }
        }
    }

    /// Takes what else is there, so that one turn answers it all.
    fn gather(&mut self, gathered: &mut Gathered) {
        while gathered.room() > 0
            && let Some(noticed) = self.link.as_mut().and_then(ServerLink::try_next)
        {
            gathered.noticed.push(noticed);
        }
        while gathered.room() > 0
            && let Ok(inbound) = self.inbox.try_recv()
        {
            gathered.inbound.push(inbound);
        }
    }

    /// From `now` to the moment at which the fleet must hear of the time.
    fn sleep_length(&self, now: Moment) -> Duration {
        let next = self.ticked_at + TICK_INTERVAL;
        self.fleet
            .deadline()
            .map_or(next, |deadline| deadline.min(next))
            .since(now)
    }

    /// One synchronous pass over what was gathered.
    fn turn(&mut self, gathered: Gathered, now: Now) -> NumberedTurn {
        let mut events: Vec<Event> = gathered.noticed.into_iter().map(event).collect();
        let mut askers = Vec::with_capacity(gathered.inbound.len());
        for Inbound { request, asker } in gathered.inbound {
            askers.push((request.id, asker));
            events.push(Event::Request(request));
        }
        if self.sleep_length(now.moment).is_zero() {
            events.push(Event::Tick);
            self.ticked_at = now.moment;
        }
        let Turn { changes, effects } = self.fleet.handle(events, now);
        let batch = (!changes.is_empty()).then(|| {
            self.batch.0 += 1;
            Batch {
                number: self.batch,
                authority: self.fleet.mandate().authority,
                changes,
            }
        });
        NumberedTurn {
            batch,
            effects,
            askers,
        }
    }
}

/// The next thing that the link noticed; waits for ever where there is none any more.
async fn next(link: &mut Option<ServerLink>) -> ServerEvent {
    if let Some(open) = link {
        if let Some(noticed) = open.next().await {
            return noticed;
        }
        *link = None;
    }
    std::future::pending().await
}

fn event(noticed: ServerEvent) -> Event {
    match noticed {
        ServerEvent::Frame { connection, frame } => Event::Frame { connection, frame },
        ServerEvent::Closed { connection } => Event::Disconnected { connection },
    }
}

//! Gathers events and applies them to the fleet.

use std::time::Duration;

use flota_engine::fleet::{
    Fleet,
    api::{Event, Turn},
};
use flota_model::{
    change::Batch,
    ids::{BatchNumber, RequestId},
    units::{Moment, Now},
};
use tokio::{sync::mpsc, time::sleep};

use super::{Asker, Inbound, NumberedTurn};
use crate::{clock, stop::Stop};

/// Most events of one turn: bounds how long the fleet computes before anybody is answered.
const BATCH_LENGTH_MAX: usize = 1_024;
/// The fleet hears of the time at least this often.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Owns the fleet.
pub(crate) struct Collector {
    fleet: Fleet,
    inbox: mpsc::Receiver<Inbound>,
    turns: mpsc::Sender<NumberedTurn>,
    /// The last number given to a batch.
    batch: BatchNumber,
    ticked_at: Moment,
}

impl Collector {
    /// A collector that goes on after the batch `last`.
    pub(crate) fn new(
        fleet: Fleet,
        last: BatchNumber,
        inbox: mpsc::Receiver<Inbound>,
        turns: mpsc::Sender<NumberedTurn>,
    ) -> Self {
        Self {
            fleet,
            inbox,
            turns,
            batch: last,
            ticked_at: clock::now().moment,
        }
    }

    /// Runs until `stop` says true or the committer is gone. What is in the inbox by then is still
    /// handled.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        let mut gathered = Vec::with_capacity(BATCH_LENGTH_MAX);
        loop {
            let wake = self.sleep_length(clock::now().moment);
            tokio::select! {
                count = self.inbox.recv_many(&mut gathered, BATCH_LENGTH_MAX) => if count == 0 {
                    return;
                },
                () = sleep(wake) => {}
                // Closed, the inbox gives what it still holds and then nothing.
                () = stop.said(), if !self.inbox.is_closed() => self.inbox.close(),
            }
            let turn = self.turn(&mut gathered, clock::now());
            if self.turns.send(turn).await.is_err() {
                return;
            }
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

    /// One synchronous pass over what was gathered; empties it.
    fn turn(&mut self, gathered: &mut Vec<Inbound>, now: Now) -> NumberedTurn {
        let mut askers: Vec<(RequestId, Asker)> = Vec::new();
        let mut events = Vec::with_capacity(gathered.len() + 1);
        for inbound in gathered.drain(..) {
            match inbound {
                Inbound::Link(event) => events.push(event),
                Inbound::Ask(request, asker) => {
                    askers.push((request.id, asker));
                    events.push(Event::Request(request));
                }
            }
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

//! Makes turns durable and performs their effects.

use std::{collections::BTreeMap, sync::Arc};

use flota_engine::fleet::api::Effect;
use flota_link::ServerSender;
use flota_model::{
    change::Batch,
    ids::{BatchNumber, RequestId},
};
use flota_store::{
    journal::{ApplyFault, Journal, LoadFault},
    space::Reserve,
};
use thiserror::Error;
use tokio::sync::mpsc;

use super::{Asker, LocalWish, NumberedTurn, Published, Publisher, TURNS_IN_FLIGHT_MAX};
use crate::{chain::Chain, clock, meter::Meter};

/// Why the server cannot go on: what was decided cannot be made durable.
#[derive(Debug, Error)]
pub enum CommitFault {
    /// Not even the reserve was enough.
    #[error("the disk is full, and the space held in reserve is used up")]
    DiskFull(#[source] ApplyFault),
    /// The store refused, or a sync failed.
    #[error("failed to commit the batches {first} to {last}")]
    Apply {
        /// The first one.
        first: BatchNumber,
        /// The last one.
        last: BatchNumber,
        /// Why.
        source: ApplyFault,
    },
    /// Whether a commit took place cannot be found out.
    #[error("failed to look up what became of batch {last}")]
    Lookup {
        /// The last batch of the commit.
        last: BatchNumber,
        /// Why.
        source: LoadFault,
    },
}

/// Owns the writing side of the store and all that leaves the server.
pub(crate) struct Committer {
    journal: Box<dyn Journal>,
    reserve: Reserve,
    link: ServerSender,
    publisher: Publisher,
    /// What clients of nodes want. Has room for as many as the fleet takes before it answers.
    local: mpsc::Sender<LocalWish>,
    /// Requests without a reply yet.
    askers: BTreeMap<RequestId, Asker>,
    meter: Arc<Meter>,
}

impl Committer {
    pub(crate) fn new(
        journal: Box<dyn Journal>,
        reserve: Reserve,
        link: ServerSender,
        publisher: Publisher,
        local: mpsc::Sender<LocalWish>,
    ) -> Self {
        Self {
            journal,
            reserve,
            link,
            publisher,
            local,
            askers: BTreeMap::new(),
            meter: Arc::new(Meter::new(clock::now().wall)),
        }
    }

    /// Counts commits there.
    pub(crate) fn measured_by(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Commits and performs until the collector is gone. Blocks; runs on a thread of its own.
    pub(crate) fn run(
        mut self,
        mut turns: mpsc::Receiver<NumberedTurn>,
    ) -> Result<(), CommitFault> {
        let mut gathered = Vec::with_capacity(TURNS_IN_FLIGHT_MAX);
        // No timer (PROTOCOL 18): what waits here gathered during the commit before.
        while turns.blocking_recv_many(&mut gathered, TURNS_IN_FLIGHT_MAX) > 0 {
            let batches: Vec<Batch> = gathered
                .iter_mut()
                .filter_map(|turn| turn.batch.take())
                .collect();
            let before = clock::now().moment;
            commit(&mut *self.journal, &self.reserve, &batches)?;
            if !batches.is_empty() {
                let took = clock::now().moment.since(before);
                self.meter.commit(batches.len(), took);
            }
            self.publisher.note(&batches);
            for turn in gathered.drain(..) {
                self.askers.extend(turn.askers);
                turn.effects
                    .into_iter()
                    .for_each(|effect| self.perform(effect));
            }
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { request, reply } => match self.askers.remove(&request) {
                Some(asker) => asker.answer(reply),
                None => tracing::error!(%request, "the fleet answered a request twice"),
            },
            Effect::Send { connection, frame } => self.link.send(connection, frame),
            Effect::Close { connection } => self.link.close(connection),
            Effect::LocalOrder {
                node,
                name,
                request,
                order,
            } => {
                // Only a server that stops does not take it.
                let _ = self.local.try_send(LocalWish {
                    node,
                    name,
                    request,
                    order,
                });
            }
            Effect::Publish { id, event } => {
                self.meter.event(&event);
                self.publisher.publish(Published { id, event });
            }
        }
    }
}

/// Makes `batches` durable, with the space of the reserve if need be.
///
/// `handle` is never run again for them (PROTOCOL 19): the same batches are applied once more.
pub(crate) fn commit(
    journal: &mut dyn Journal,
    reserve: &Reserve,
    batches: &[Batch],
) -> Result<(), CommitFault> {
    let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
        return Ok(());
    };
    let (first, last) = (first.number, last.number);
    let fault = |source| CommitFault::Apply {
        first,
        last,
        source,
    };
    match journal.apply(batches) {
        Err(ApplyFault::DiskFull { .. }) => {}
        applied => return applied.map_err(fault),
    }
    tracing::error!(%first, %last, "disk full, releasing the reserve");
    if let Err(fault) = reserve.release() {
        tracing::error!(fault = %Chain(&fault), "failed to release the reserve");
    }
    match journal.apply(batches) {
        Err(source @ ApplyFault::DiskFull { .. }) => Err(CommitFault::DiskFull(source)),
        Err(source @ ApplyFault::AlreadyCommitted { .. }) => {
            let stored = journal
                .last_batch()
                .map_err(|source| CommitFault::Lookup { last, source })?;
            if stored == last {
                Ok(())
            } else {
                Err(fault(source))
            }
        }
        applied => applied.map_err(fault),
    }
}

#[cfg(test)]
mod tests;

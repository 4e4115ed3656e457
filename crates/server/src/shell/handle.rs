//! The way of the edges to the fleet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use flota_model::{
    command::{Ask, Principal, Refusal, Reply, Request},
    ids::RequestId,
};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot};

use super::{Published, Publisher};

/// Why the fleet gave no answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum AskFault {
    /// Too many requests are waiting.
    #[error("too many requests are waiting for the fleet")]
    Busy,
    /// The server is stopping. A command may have been carried out or not.
    #[error("the server is stopping")]
    Stopped,
}

/// A request for the collector, and the one who waits for its reply.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) request: Request,
    pub(crate) asker: Asker,
}

/// The one who waits for a reply, with the place that the request takes until then.
#[derive(Debug)]
pub(crate) struct Asker {
    answer: oneshot::Sender<Result<Reply, Refusal>>,
    _place: OwnedSemaphorePermit,
}

impl Asker {
    /// Answers; one who went away meanwhile misses it.
    pub(crate) fn answer(self, reply: Result<Reply, Refusal>) {
        let _ = self.answer.send(reply);
    }
}

/// Asks the fleet. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FleetHandle {
    inbox: mpsc::Sender<Inbound>,
    next: Arc<AtomicU64>,
    places: Arc<Semaphore>,
    publisher: Publisher,
}

impl FleetHandle {
    /// A handle whose requests go to `inbox`, at most `requests_max` of them waiting at once.
    pub(crate) fn new(inbox: mpsc::Sender<Inbound>, requests_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(requests_max));
        Self {
            inbox,
            next: Arc::default(),
            places,
            publisher: Publisher::new(),
        }
    }

    /// Where the committer publishes.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// All events published from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Published> {
        self.publisher.watch()
    }

    /// Asks, and waits for the reply and for everything that it depends on to be durable.
    pub(crate) async fn ask(
        &self,
        principal: Principal,
        ask: Ask,
    ) -> Result<Result<Reply, Refusal>, AskFault> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| AskFault::Busy)?;
        let (answer, answered) = oneshot::channel();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let request = Request { id, principal, ask };
        let inbound = Inbound {
            request,
            asker: Asker {
                answer,
                _place: place,
            },
        };
        self.inbox
            .send(inbound)
            .await
            .map_err(|_| AskFault::Stopped)?;
        answered.await.map_err(|_| AskFault::Stopped)
    }
}

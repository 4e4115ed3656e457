//! The sending halves of connections.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use flota_model::{
    frame::{Down, Up},
    ids::ConnectionId,
};
use flota_wire::frames::{
    BATCH_LENGTH_MAX, DecodeFault, FRAMES_PER_BATCH_MAX, FrameTooLong, decode_down, decode_up,
    encode_down, encode_up,
};
use tokio::sync::{mpsc, watch};

use super::QUEUE_LENGTH_MAX;
use crate::{AgentOutlet, ServerOutlet};

/// A frame of either direction.
pub(super) trait Frame: Send + Sized + 'static {
    fn encode(&self, batch: &mut Vec<u8>) -> Result<(), FrameTooLong>;
    fn decode(batch: &[u8]) -> impl Iterator<Item = Result<Self, DecodeFault>> + Send;
}

impl Frame for Up {
    fn encode(&self, batch: &mut Vec<u8>) -> Result<(), FrameTooLong> {
        encode_up(self, batch)
    }

    fn decode(batch: &[u8]) -> impl Iterator<Item = Result<Self, DecodeFault>> + Send {
        decode_up(batch)
    }
}

impl Frame for Down {
    fn encode(&self, batch: &mut Vec<u8>) -> Result<(), FrameTooLong> {
        encode_down(self, batch)
    }

    fn decode(batch: &[u8]) -> impl Iterator<Item = Result<Self, DecodeFault>> + Send {
        decode_down(batch)
    }
}

/// Whether a connection is to end, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is not.
    Open,
    /// After what is queued.
    Finish,
    /// At once; why.
    Cut(String),
}

/// All connections of one end.
pub(super) struct Outlets<F> {
    map: Mutex<Map<F>>,
}

struct Map<F> {
    /// `None` once no new ones are taken.
    next: Option<u64>,
    open: HashMap<ConnectionId, Outlet<F>>,
}

struct Outlet<F> {
    frames: mpsc::Sender<F>,
    ending: watch::Sender<Ending>,
}

/// A connection that was opened.
pub(super) struct Opened<F> {
    pub(super) connection: ConnectionId,
    /// What is to be sent on it.
    pub(super) outgoing: Outgoing<F>,
    /// Whether it is to end.
    pub(super) ending: watch::Receiver<Ending>,
}

impl<F> Default for Outlets<F> {
    fn default() -> Self {
        Self {
            map: Mutex::new(Map {
                next: Some(1),
                open: HashMap::new(),
            }),
        }
    }
}

impl<F> Outlets<F> {
    /// A new connection; `None` after [`Self::end_all`].
    pub(super) fn open(self: &Arc<Self>) -> Option<Opened<F>> {
        let (frames, queue) = mpsc::channel(QUEUE_LENGTH_MAX);
        let (ending, watched) = watch::channel(Ending::Open);
        let mut map = self.lock();
        let number = map.next?;
        map.next = Some(number + 1);
        let connection = ConnectionId(number);
        map.open.insert(connection, Outlet { frames, ending });
        drop(map);
        let outgoing = Outgoing {
            connection,
            outlets: Arc::clone(self),
            queue,
            taken: VecDeque::new(),
            ending: watched.clone(),
            over: false,
        };
        Some(Opened {
            connection,
            outgoing,
            ending: watched,
        })
    }

    /// Queues a frame; cuts the connection when its queue is full.
    fn queue(&self, connection: ConnectionId, frame: F) {
        let map = self.lock();
        let Some(outlet) = map.open.get(&connection) else {
            return;
        };
        let full = matches!(
            outlet.frames.try_send(frame),
            Err(mpsc::error::TrySendError::Full(_))
        );
        drop(map);
        if full {
            tracing::warn!(%connection, "connection cut: the peer does not take what is sent");
            let why =
                format!("the peer does not take what is sent: {QUEUE_LENGTH_MAX} frames wait");
            self.end(connection, Ending::Cut(why));
        }
    }

    /// Ends a connection. The first ending counts.
    pub(super) fn end(&self, connection: ConnectionId, ending: Ending) {
        let outlet = self.lock().open.remove(&connection);
        if let Some(outlet) = outlet {
            outlet.ending.send_replace(ending);
        }
    }

    /// Ends all connections, and takes no new ones.
    pub(super) fn end_all(&self, ending: &Ending) {
        let mut map = self.lock();
        map.next = None;
        let open = std::mem::take(&mut map.open);
        drop(map);
        for outlet in open.into_values() {
            outlet.ending.send_replace(ending.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Map<F>> {
        // Nothing under the lock can panic halfway through a change.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerOutlet for Outlets<Down> {
    fn send(&self, connection: ConnectionId, frame: Down) {
        self.queue(connection, frame);
    }

    fn close(&self, connection: ConnectionId) {
        self.end(connection, Ending::Finish);
    }

    fn close_all(&self) {
        self.end_all(&Ending::Finish);
    }
}

impl AgentOutlet for Outlets<Up> {
    fn send(&self, connection: ConnectionId, frame: Up) {
        self.queue(connection, frame);
    }

    fn close(&self, connection: ConnectionId) {
        self.end(connection, Ending::Finish);
    }
}

/// What is to be sent on one connection, as batches.
pub(super) struct Outgoing<F> {
    connection: ConnectionId,
    outlets: Arc<Outlets<F>>,
    queue: mpsc::Receiver<F>,
    /// Taken from the queue and not yet in a batch.
    taken: VecDeque<F>,
    ending: watch::Receiver<Ending>,
    over: bool,
}

impl<F: Frame> Outgoing<F> {
    /// All that waits, up to the limits of a batch. `None` after the last one; an error, once, when
    /// the connection is cut.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        if self.over {
            return None;
        }
        let batch = match self.take().await {
            Ok(true) => self.batch().map_err(|fault| self.fail(fault)),
            Ok(false) => {
                self.over = true;
                return None;
            }
            Err(why) => Err(why),
        };
        self.over = batch.is_err();
        Some(batch)
    }

    /// Waits for frames; false when there will be none.
    async fn take(&mut self) -> Result<bool, String> {
        let mut frames = Vec::new();
        tokio::select! {
            biased;
            why = cut(&mut self.ending) => return Err(why),
            () = std::future::ready(()), if !self.taken.is_empty() => {}
            _ = self.queue.recv_many(&mut frames, FRAMES_PER_BATCH_MAX) => self.taken.extend(frames),
        }
        Ok(!self.taken.is_empty())
    }

    fn batch(&mut self) -> Result<Bytes, FrameTooLong> {
        let mut batch = Vec::new();
        while let Some(frame) = self.taken.front() {
            let before = batch.len();
            let encoded = frame.encode(&mut batch);
            if before > 0 && (encoded.is_err() || batch.len() > BATCH_LENGTH_MAX) {
                // It goes alone into the next batch.
                batch.truncate(before);
                break;
            }
            encoded?;
            self.taken.pop_front();
        }
        Ok(batch.into())
    }

    /// A frame that cannot be sent ends the connection for both halves.
    fn fail(&self, fault: FrameTooLong) -> String {
        let why = fault.to_string();
        tracing::error!(connection = %self.connection, why, "connection cut");
        self.outlets.end(self.connection, Ending::Cut(why.clone()));
        why
    }
}

/// Waits until the connection is to end at once; for ever if it is not, or may finish.
async fn cut(ending: &mut watch::Receiver<Ending>) -> String {
    let why = match ending
        .wait_for(|ending| matches!(ending, Ending::Cut(_)))
        .await
        .as_deref()
    {
        Ok(Ending::Cut(why)) => Some(why.clone()),
        Ok(Ending::Open | Ending::Finish) | Err(_) => None,
    };
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

//! The agent's end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::uri::PathAndQuery;
use bytes::Bytes;
use flota_model::{frame::Up, ids::ConnectionId};
use flota_wire::frames::BATCH_LENGTH_MAX;
use futures_util::stream;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tonic::{
    Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};

use super::{
    INBOX_LENGTH_MAX, NotLoopback, SESSION_PATH,
    backoff::Backoff,
    codec::RawCodec,
    incoming::{Farewell, Incoming, explain, explain_error},
    outlets::{Ending, Opened, Outgoing, Outlets},
    require_loopback,
};
use crate::{AgentEvent, AgentLink};

/// From the first packet to the server's consent to the session.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection that this end closed may take to deliver what was sent on it.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Between two pings of a connection, and the patience for the answer: a server whose machine is
/// gone is noticed within 10 s, before the lease of 15 s is over.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// What may be on its way to the agent, in bytes: 20 MB/s at a round trip of 50 ms, and no more than
/// that waits in memory for an agent that is slow. One stream, so both windows are the same.
const WINDOW_LENGTH: u32 = 1 << 20;

/// What an agent's end is made with.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Random, another one for each agent: spreads the attempts to connect.
    pub seed: u64,
}

/// The agent's end: connects, and connects again whenever the connection is gone, until it is
/// dropped. Must be called within a tokio runtime.
///
/// # Errors
/// When `server` is not a loopback address.
pub fn agent(server: SocketAddr, settings: AgentSettings) -> Result<AgentLink, NotLoopback> {
    require_loopback(server)?;
    let (inbox, events) = mpsc::channel(INBOX_LENGTH_MAX);
    let outlets = Arc::new(Outlets::default());
    let dialler = Dialler {
        server,
        inbox,
        outlets: Arc::clone(&outlets),
        backoff: Backoff::new(settings.seed),
    };
    // A panic in it drops the inbox, and so ends the link in the sight of its owner.
    let task = tokio::spawn(dialler.run());
    Ok(AgentLink::new(events, outlets, task))
}

struct Dialler {
    server: SocketAddr,
    inbox: mpsc::Sender<AgentEvent>,
    outlets: Arc<Outlets<Up>>,
    backoff: Backoff,
}

impl Dialler {
    async fn run(mut self) {
        while let Some(opened) = self.outlets.open() {
            let connection = opened.connection;
            let ended = self.attempt(opened).await;
            self.outlets.end(connection, Ending::Finish);
            let after = self.backoff.wait();
            let event = match ended {
                Attempt::Failed(why) => AgentEvent::Retrying { why, after },
                Attempt::Ended(why) => AgentEvent::Disconnected { connection, why },
            };
            if self.inbox.send(event).await.is_err() {
                return;
            }
            sleep(after).await;
        }
    }

    /// One connection from the first packet to the last.
    async fn attempt(&mut self, opened: Opened<Up>) -> Attempt {
        let Opened {
            connection,
            outgoing,
            ending,
        } = opened;
        let batches = match timeout(CONNECT_WITHIN, connect(self.server, outgoing)).await {
            Ok(Ok(batches)) => batches,
            Ok(Err(why)) => return Attempt::Failed(why),
            Err(_) => return Attempt::Failed(format!("no answer within {CONNECT_WITHIN:?}")),
        };
        if self
            .inbox
            .send(AgentEvent::Connected { connection })
            .await
            .is_err()
        {
            return Attempt::Ended(String::new());
        }
        let mut incoming = Incoming { batches, ending };
        let farewell = self.receive(connection, &mut incoming).await;
        Attempt::Ended(match farewell {
            Farewell::PeerFinished => "closed by the server".to_owned(),
            Farewell::Fault(why) => why,
            Farewell::Ended => incoming.wind_up(CLOSE_WITHIN).await,
        })
    }

    async fn receive(&mut self, connection: ConnectionId, incoming: &mut Incoming) -> Farewell {
        let event = |frame| AgentEvent::Frame { connection, frame };
        loop {
            let mut heard = false;
            let received = match incoming.next().await {
                Ok(batch) => {
                    incoming
                        .deliver(&batch, &self.inbox, event, &mut heard)
                        .await
                }
                Err(farewell) => Err(farewell),
            };
            if heard {
                // Not at the connection itself: a server that accepts and then fails would be
                // dialled without a pause.
                self.backoff.reset();
            }
            if let Err(farewell) = received {
                return farewell;
            }
        }
    }
}

/// When the task is aborted, the sending half would otherwise keep the connection open.
impl Drop for Dialler {
    fn drop(&mut self) {
        self.outlets
            .end_all(&Ending::Cut("the agent's end was dropped".to_owned()));
    }
}

/// What became of a connection.
enum Attempt {
    /// It never stood.
    Failed(String),
    /// It stood.
    Ended(String),
}

/// Connects and opens the session. The connection lives as long as the stream.
async fn connect(server: SocketAddr, outgoing: Outgoing<Up>) -> Result<Streaming<Bytes>, String> {
    let mut grpc = Grpc::new(dial(server).await.map_err(|fault| explain_error(&fault))?)
        .max_decoding_message_size(BATCH_LENGTH_MAX);
    grpc.ready().await.map_err(|fault| explain_error(&fault))?;
    // An error ends the stream as well: the reason is for this end, which is told by `ending`.
    let batches = stream::unfold(outgoing, |mut outgoing| async move {
        Some((outgoing.next().await?.ok()?, outgoing))
    });
    let path = PathAndQuery::from_static(SESSION_PATH);
    let response = grpc
        .streaming(tonic::Request::new(batches), path, RawCodec)
        .await;
    Ok(response.map_err(|status| explain(&status))?.into_inner())
}

async fn dial(server: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{server}"))?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .initial_stream_window_size(WINDOW_LENGTH)
        .initial_connection_window_size(WINDOW_LENGTH)
        .connect()
        .await
}

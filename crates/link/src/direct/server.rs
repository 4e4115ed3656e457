//! The server's end.

use std::{
    future::{Ready, ready},
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, Version, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use flota_model::{frame::Down, ids::ConnectionId};
use flota_wire::frames::BATCH_LENGTH_MAX;
use futures_util::{
    FutureExt as _,
    stream::{self, BoxStream, StreamExt as _},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tonic::{
    Status, Streaming,
    server::{Grpc, StreamingService},
};

use super::{
    INBOX_LENGTH_MAX, NotLoopback, SESSION_PATH,
    codec::RawCodec,
    incoming::{Farewell, Incoming},
    outlets::{Ending, Opened, Outlets},
    require_loopback,
};
use crate::{ServerEvent, ServerLink};

/// Limits of the server's end.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Most connections at once; agents above it are refused and try again.
    pub connections_max: usize,
    /// Within this time a connection must bring its first frame.
    pub first_frame_within: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        // A tenth more than the greatest fleet: an agent that reconnects may arrive before its old
        // connection is known to be dead.
        Self {
            connections_max: 11_000,
            first_frame_within: Duration::from_secs(10),
        }
    }
}

/// The server's end: a router with the one route [`SESSION_PATH`] and without a fallback, to be
/// merged into the server's own, and the link behind it.
///
/// The port is the caller's: it listens on `listen`, and should set `TCP_NODELAY` (or small frames
/// wait 40 ms for an acknowledgement) and HTTP/2 keep-alive (or a peer whose machine is gone holds
/// its connection for ever).
///
/// # Errors
/// When `listen` is not a loopback address.
pub fn server(
    listen: SocketAddr,
    settings: ServerSettings,
) -> Result<(Router, ServerLink), NotLoopback> {
    require_loopback(listen)?;
    let (inbox, events) = mpsc::channel(INBOX_LENGTH_MAX);
    let outlets = Arc::new(Outlets::default());
    let hub = Hub {
        inbox,
        outlets: Arc::clone(&outlets),
        places: Arc::new(Semaphore::new(
            settings.connections_max.min(Semaphore::MAX_PERMITS),
        )),
        settings: Arc::new(settings),
    };
    let router = Router::new()
        .route(SESSION_PATH, post(open))
        .with_state(hub);
    Ok((router, ServerLink::new(events, outlets)))
}

/// What all connections share.
#[derive(Clone)]
struct Hub {
    inbox: mpsc::Sender<ServerEvent>,
    outlets: Arc<Outlets<Down>>,
    places: Arc<Semaphore>,
    settings: Arc<ServerSettings>,
}

async fn open(State(hub): State<Hub>, request: Request) -> Response {
    // A page in a browser can send a POST to this port without asking, but not of this type.
    let content = request.headers().get(CONTENT_TYPE);
    if !content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc")) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if request.version() != Version::HTTP_2 {
        return StatusCode::HTTP_VERSION_NOT_SUPPORTED.into_response();
    }
    let mut grpc = Grpc::new(RawCodec)
        .apply_max_message_size_config(Some(BATCH_LENGTH_MAX), Some(BATCH_LENGTH_MAX));
    grpc.streaming(hub, request.map(tonic::body::Body::new))
        .await
        .map(axum::body::Body::new)
}

impl StreamingService<Bytes> for Hub {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        ready(self.accept(request.into_inner()).map(tonic::Response::new))
    }
}

impl Hub {
    /// Begins to receive, and returns what is to be sent.
    fn accept(
        &self,
        batches: Streaming<Bytes>,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        // Both halves hold the place: a peer that does not take its last bytes still costs memory.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned().map(Arc::new) else {
            let limit = self.settings.connections_max;
            tracing::warn!(limit, "agent refused: too many connections");
            let why = format!("the server has reached its limit of {limit} connections");
            return Err(Status::resource_exhausted(why));
        };
        let Some(Opened {
            connection,
            outgoing,
            ending,
        }) = self.outlets.open()
        else {
            return Err(Status::unavailable("the server is stopping"));
        };
        tracing::debug!(%connection, "connection opened");
        let receiving =
            self.clone()
                .receive(connection, Incoming { batches, ending }, Arc::clone(&place));
        tokio::spawn(receiving);
        let batches = stream::unfold((outgoing, place), |(mut outgoing, place)| async move {
            let batch = outgoing.next().await?;
            Some((batch.map_err(Status::aborted), (outgoing, place)))
        });
        Ok(batches.boxed())
    }

    /// Receives until the connection ends, and tells of its end, whatever happens.
    async fn receive(
        self,
        connection: ConnectionId,
        incoming: Incoming,
        place: Arc<OwnedSemaphorePermit>,
    ) {
        let mut heard = false;
        let receiving = self.receive_all(connection, incoming, &mut heard);
        let farewell = AssertUnwindSafe(receiving)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!(%connection, "receiving panicked");
                Farewell::Fault("the server failed".to_owned())
            });
        tracing::debug!(%connection, ?farewell, "connection ended");
        let ending = match farewell {
            Farewell::PeerFinished | Farewell::Ended => Ending::Finish,
            Farewell::Fault(why) => Ending::Cut(why),
        };
        self.outlets.end(connection, ending);
        drop(place);
        if heard {
            // An error means that nobody wants to know any more.
            let _ = self.inbox.send(ServerEvent::Closed { connection }).await;
        }
    }

    async fn receive_all(
        &self,
        connection: ConnectionId,
        mut incoming: Incoming,
        heard: &mut bool,
    ) -> Farewell {
        let event = |frame| ServerEvent::Frame { connection, frame };
        let within = self.settings.first_frame_within;
        let mut batch = match timeout(within, incoming.next()).await {
            Ok(batch) => batch,
            Err(_) => Err(Farewell::Fault(format!("no frame came within {within:?}"))),
        };
        loop {
            let received = match batch {
                Ok(bytes) => incoming.deliver(&bytes, &self.inbox, event, heard).await,
                Err(farewell) => Err(farewell),
            };
            if let Err(farewell) = received {
                return farewell;
            }
            batch = incoming.next().await;
        }
    }
}

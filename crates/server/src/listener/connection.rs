//! One connection from its first byte to its last.

use std::{future::Future, net::SocketAddr, pin::Pin};

use axum::{Router, body::Body};
use hyper::{
    Request,
    body::Incoming,
    rt::bounds::Http2ServerConnExec,
    server::conn::{http1, http2},
    service::HttpService,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tower::{ServiceExt as _, util::MapRequest};

use super::{
    patient::Patient,
    protocol::{self, Protocol},
};
use crate::{settings::Limits, stop::Stop};

/// Longest header of a request, in bytes.
const HEADER_LENGTH_MAX: usize = 16 * 1024;
/// Most fields in the header of a request.
const HEADER_FIELDS_MAX: usize = 100;
/// Buffer of an HTTP/1 connection, in bytes; above the longest header.
const BUFFER_LENGTH: usize = 64 * 1024;
/// Most requests at once on one HTTP/2 connection.
pub(crate) const STREAMS_MAX: u32 = 256;

/// How a request came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Through the TCP port, between these addresses.
    Port { peer: SocketAddr, local: SocketAddr },
    /// Through the Unix socket, from a process of this user.
    Local { uid: u32 },
}

/// What can carry HTTP.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Serves all requests of a connection. Faults are the peer's business and only traced.
pub(crate) fn serve<S: Stream>(
    mut stream: S,
    arrival: Arrival,
    router: Router,
    limits: &Limits,
    mut stop: Stop,
) -> impl Future<Output = ()> + Send + use<S> {
    let (first_bytes_within, stall_max) = (limits.first_bytes_within, limits.write_stall_max);
    let (http1, http2) = (http1(limits), http2(limits));
    async move {
        let detected = tokio::select! {
            detected = timeout(first_bytes_within, protocol::detect(&mut stream)) => detected,
            // Nothing was asked, so nothing is owed.
            () = stop.said() => return,
        };
        let Ok(Ok(Some((protocol, ahead)))) = detected else {
            tracing::debug!("connection closed before its protocol was known");
            return;
        };
        let stream = TokioIo::new(Patient::new(stream, ahead, stall_max));
        let service = TowerToHyperService::new(mark(router, arrival));
        let served = match protocol {
            Protocol::Http1 => finish(http1.serve_connection(stream, service), stop).await,
            Protocol::Http2 => finish(http2.serve_connection(stream, service), stop).await,
        };
        if let Err(fault) = served {
            tracing::debug!(%fault, "connection ended early");
        }
    }
}

/// Gives every request the way it came.
fn mark(
    router: Router,
    arrival: Arrival,
) -> MapRequest<Router, impl FnMut(Request<Incoming>) -> Request<Body> + Clone> {
    router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(arrival);
        request.map(Body::new)
    })
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_within)
        .max_headers(HEADER_FIELDS_MAX)
        .max_header_size(HEADER_LENGTH_MAX)
        .max_buf_size(BUFFER_LENGTH);
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_interval)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADER_LENGTH_MAX).expect("16 KiB fit"));
    builder
}

/// A connection that can be asked to end after the requests it is serving.
trait Stoppable: Future<Output = hyper::Result<()>> {
    fn stop(self: Pin<&mut Self>);
}

impl<I, S> Stoppable for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn stop(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, E> Stoppable for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    E: Http2ServerConnExec<S::Future, Body>,
{
    fn stop(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn finish(connection: impl Stoppable, mut stop: Stop) -> hyper::Result<()> {
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = stop.said() => connection.as_mut().stop(),
    }
    connection.await
}

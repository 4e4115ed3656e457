//! The little HTTP that the listeners need: whole bodies in, whole JSON out.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use flota_wire::{
    browser::{ORIGINS, is_allowed_origin, is_own_host},
    hpc::{answer::ErrorAnswer, job::REQUEST_LENGTH_MAX},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

/// Connections of one listener at once: hundreds of clients.
const CONNECTIONS_MAX: usize = 512;
/// After a connection could not be accepted: descriptors are short, or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// From one request of a connection to the end of the next one's header.
const HEADER_WITHIN: Duration = Duration::from_secs(15);
/// From the header of a request to the end of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest header, in bytes; the least that the library takes.
const BUFFER_LENGTH: usize = 16 << 10;

/// A request whose body is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Bytes,
}

/// A status with a body of JSON.
pub(super) type Answer = (StatusCode, Vec<u8>);

pub(super) fn ok(body: &impl Serialize) -> Answer {
    json(StatusCode::OK, body)
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("plain values are always JSON");
    (status, body)
}

pub(super) fn refused(status: StatusCode, error: impl Into<String>) -> Answer {
    let error = error.into();
    json(status, &ErrorAnswer { error })
}

/// Nothing is there, or not for that method.
pub(super) fn unknown(asked: &Asked, methods: Option<&str>) -> Answer {
    match methods {
        Some(methods) => {
            let what = format!("`{}` solo admite {methods}", asked.path);
            refused(StatusCode::METHOD_NOT_ALLOWED, what)
        }
        None => refused(StatusCode::NOT_FOUND, format!("no existe `{}`", asked.path)),
    }
}

/// Serves until it is dropped.
pub(super) async fn serve<Handler, Answered>(socket: TcpListener, own: SocketAddr, handler: Handler)
where
    Handler: Fn(Asked) -> Answered + Clone + Send + Sync + 'static,
    Answered: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let handler = handler.clone();
        connections.spawn(async move {
            connection(stream, own, handler).await;
            drop(place);
        });
    }
}

async fn connection<Handler, Answered>(stream: TcpStream, own: SocketAddr, handler: Handler)
where
    Handler: Fn(Asked) -> Answered + Clone + Send + Sync + 'static,
    Answered: Future<Output = Answer> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(respond(request, own, handler).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .max_buf_size(BUFFER_LENGTH)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection of a client ended early");
    }
}

async fn respond<Handler, Answered>(
    request: Request<Incoming>,
    own: SocketAddr,
    handler: Handler,
) -> Response<Full<Bytes>>
where
    Handler: Fn(Asked) -> Answered,
    Answered: Future<Output = Answer>,
{
    let origin = match origin_of(own, request.headers()) {
        Ok(origin) => origin,
        Err(why) => return response(refused(StatusCode::FORBIDDEN, why), None),
    };
    if request.method() == Method::OPTIONS {
        return response((StatusCode::NO_CONTENT, Vec::new()), origin);
    }
    let answer = match timeout(ANSWER_WITHIN, read(request)).await {
        Ok(Ok(asked)) => match timeout(ANSWER_WITHIN, handler(asked)).await {
            Ok(answer) => answer,
            Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE, "el servidor no responde"),
        },
        Ok(Err(refusal)) => refusal,
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "el cuerpo no llegó a tiempo"),
    };
    response(answer, origin)
}

async fn read(request: Request<Incoming>) -> Result<Asked, Answer> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_LENGTH_MAX).collect().await;
    let body = body.map_err(|_| {
        let what = format!("el cuerpo no llegó entero o tiene más de {REQUEST_LENGTH_MAX} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, what)
    })?;
    Ok(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        body: body.to_bytes(),
    })
}

/// The origin of a page that may ask; `None` of other clients.
///
/// # Errors
/// Why the request is refused, in Spanish.
fn origin_of(own: SocketAddr, headers: &HeaderMap) -> Result<Option<String>, String> {
    let text = |name| {
        let value: Option<&hyper::header::HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or(""))
    };
    let host = text(header::HOST).unwrap_or("");
    if !is_own_host(host, own) {
        return Err(format!("el Host `{host}` no es el de este servicio"));
    }
    match text(header::ORIGIN) {
        None => Ok(None),
        Some(origin) if is_allowed_origin(origin, ORIGINS) => Ok(Some(origin.to_owned())),
        Some(origin) => Err(format!("el origen `{origin}` no está permitido")),
    }
}

fn response((status, body): Answer, origin: Option<String>) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(origin) = origin {
        builder = builder
            .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST")
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type")
            .header(header::VARY, "Origin");
    }
    let body = Full::new(Bytes::from(body));
    builder
        .body(body)
        .expect("an origin that was read from a header is a header")
}

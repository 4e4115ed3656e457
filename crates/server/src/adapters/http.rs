//! The HTTP of adapters: an address of their own, and nothing for pages of other sites.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use flota_wire::{
    browser::{is_allowed_origin, is_own_host},
    hpc::answer::ErrorAnswer,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time};

use crate::{
    listener::{self, Arrival, ListenFault, serve_connection},
    problem::Problem,
    settings::Limits,
    stop::Stop,
};

/// Connections of one adapter at once: hundreds of clients, each with a few.
const CONNECTIONS_MAX: usize = 1_024;
/// After a connection could not be accepted: descriptors are short, or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a browser may remember what it may ask.
const PREFLIGHT_AGE: &str = "600";

/// An address that is taken.
pub(super) struct Bound {
    listener: listener::Reserved,
}

/// Takes an address of this machine.
pub(super) fn bind(address: SocketAddr) -> Result<Bound, ListenFault> {
    Ok(Bound {
        listener: listener::reserve(address)?,
    })
}

impl Bound {
    pub(super) fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Lets clients connect; whoever does before [`Listening::serve`] waits.
    pub(super) fn listen(self) -> Result<Listening, ListenFault> {
        let address = self.address();
        let listener = self.listener.listen_alone()?;
        tracing::info!(%address, "serving clients of an older system");
        Ok(Listening(listener))
    }
}

/// An address where clients can connect.
pub(super) struct Listening(TcpListener);

impl Listening {
    /// Serves until `stop`. Connections end with the adapter: each of their requests is short.
    pub(super) async fn serve(self, router: Router, limits: Limits, mut stop: Stop) {
        let heard = stop.clone();
        tokio::select! {
            () = accept(&self.0, router, &limits, &heard) => {}
            () = stop.said() => {}
        }
    }
}

async fn accept(listener: &TcpListener, router: Router, limits: &Limits, stop: &Stop) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = listener.accept().await else {
            time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, limit = CONNECTIONS_MAX, "connection refused: too many");
            continue;
        };
        let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else {
            continue;
        };
        let arrival = Arrival::Port { peer, local };
        let served = serve_connection(stream, arrival, router.clone(), limits, stop.clone());
        connections.spawn(async move {
            served.await;
            drop(place);
        });
    }
}

/// Who may ask: clients that are no browsers, and pages of the origins that are set.
#[derive(Debug, Clone)]
pub(super) struct Guard(Arc<(SocketAddr, Vec<String>)>);

impl Guard {
    pub(super) fn new(own: SocketAddr, origins: Vec<String>) -> Self {
        Self(Arc::new((own, origins)))
    }

    pub(super) fn around(self, router: Router) -> Router {
        router
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(self, guard))
    }
}

async fn guard(State(Guard(guard)): State<Guard>, request: Request, next: Next) -> Response {
    let (own, origins) = &*guard;
    let origin = match origin_of(*own, origins, request.uri(), request.headers()) {
        Ok(origin) => origin,
        Err(why) => return refused(StatusCode::FORBIDDEN, why),
    };
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = if is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        if is_preflight {
            let allowed = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
                (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE),
            ];
            let allowed: [(HeaderName, &str); 3] = allowed;
            for (name, value) in allowed {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }
    response
}

/// The origin of a page that may ask; `None` of other clients.
///
/// # Errors
/// Why the request is refused, in Spanish.
fn origin_of(
    own: SocketAddr,
    origins: &[String],
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, String> {
    // HTTP/2 carries the host in the address of the request.
    let host = uri.authority().map(axum::http::uri::Authority::as_str);
    let host = host
        .or_else(|| headers.get(header::HOST)?.to_str().ok())
        .unwrap_or("");
    if !is_own_host(host, own) {
        return Err(format!("el Host `{host}` no es el de este servicio"));
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    let text = origin.to_str().unwrap_or("");
    if is_allowed_origin(text, origins.iter().map(String::as_str)) {
        return Ok(Some(origin.clone()));
    }
    Err(format!("el origen `{text}` no está permitido"))
}

async fn unknown(uri: Uri) -> Response {
    refused(StatusCode::NOT_FOUND, format!("no existe `{}`", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let what = format!("`{}` no admite {method}", uri.path());
    refused(StatusCode::METHOD_NOT_ALLOWED, what)
}

/// Says why.
pub(super) fn refused(status: StatusCode, error: impl Into<String>) -> Response {
    let error = error.into();
    (status, Json(ErrorAnswer { error })).into_response()
}

/// Says why the desk did not do it.
pub(super) fn of_problem(problem: &Problem) -> Response {
    let kind = problem.kind();
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = format!("{} [{}]: {}", kind.title, kind.code, problem.detail());
    refused(status, error)
}

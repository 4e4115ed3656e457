//! What every address of the server says about itself. The router and the OpenAPI document are made
//! of the same entries, so that no address is without its description and no description without
//! its address.

mod shape;

use axum::{
    Router, middleware,
    routing::{MethodFilter, MethodRouter},
};
pub(crate) use shape::{
    ATTEMPT, Answer, Body, Content, HANDLE, INDEX, JOB, LANGUAGE, NODE, PAGE, PID, Parameter,
    Place, SERVICE, STREAM, SchemaOf, Shape, schema,
};

use super::{Desk, etag};
pub(crate) use super::{
    jobs::BEFORE,
    tasks::{AFTER, STATE},
};
use crate::problem::{
    ACCESS_DENIED, CREDENTIALS_MISSING, CREDENTIALS_WRONG, CSRF_MISSING, HOST_FOREIGN, Kind,
    ORIGIN_FOREIGN, QUERY_INVALID, QUERY_UNKNOWN, SERVER_BUG, SERVER_BUSY, SERVER_STOPPING,
    STORE_UNREADABLE,
};

/// Every address of the server except those of the agents' link.
pub(crate) const ROUTES: &[&[Route]] = &[
    super::fleet::ROUTES,
    super::jobs::ROUTES,
    super::retry::ROUTES,
    super::queue::ROUTES,
    super::wait::ROUTES,
    super::watches::ROUTES,
    super::tasks::ROUTES,
    super::output::ROUTES,
    super::services::ROUTES,
    super::processes::ROUTES,
    super::events::ROUTES,
    super::health::ROUTES,
    super::openapi::ROUTES,
    crate::pages::ROUTES,
];

/// What may go wrong wherever the fleet is asked.
pub(crate) const OF_FLEET: &[Kind] = &[SERVER_BUSY, SERVER_STOPPING, SERVER_BUG];
/// What may go wrong wherever the store is read.
pub(crate) const OF_STORE: &[Kind] = &[STORE_UNREADABLE, SERVER_BUG];
/// What every address refuses.
const OF_ADDRESS: &[Kind] = &[HOST_FOREIGN, ORIGIN_FOREIGN];
/// What is refused to one who is not known, or not allowed.
const OF_CALLER: &[Kind] = &[CREDENTIALS_MISSING, CREDENTIALS_WRONG, ACCESS_DENIED];
/// What is refused to a page of another site.
const OF_CHANGE: &[Kind] = &[CSRF_MISSING];
/// What is wrong with a query.
const OF_QUERY: &[Kind] = &[QUERY_UNKNOWN, QUERY_INVALID];

/// The methods that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Anybody on this machine.
    Open,
    /// Only who is known.
    Known,
}

/// Whether answers carry a tag of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    None,
    /// `ETag`, and 304 to one who holds the bytes.
    OfBytes,
}

/// Chapters of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chapter {
    Fleet,
    Nodes,
    Jobs,
    Services,
    Processes,
    Events,
    Health,
    Pages,
}

impl Chapter {
    pub(crate) const ALL: [Self; 8] = [
        Self::Fleet,
        Self::Nodes,
        Self::Jobs,
        Self::Services,
        Self::Processes,
        Self::Events,
        Self::Health,
        Self::Pages,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Nodes => "nodes",
            Self::Jobs => "jobs",
            Self::Services => "services",
            Self::Processes => "processes",
            Self::Events => "events",
            Self::Health => "health",
            Self::Pages => "pages",
        }
    }
}

/// One method of one address.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As axum and OpenAPI both write it, e.g. `/api/v1/jobs/{job}`.
    pub(crate) path: &'static str,
    /// Unique; programs that are generated from the document call it so.
    pub(crate) operation: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    pub(crate) chapter: Chapter,
    pub(crate) gate: Gate,
    pub(crate) tag: Tag,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) body: Option<Body>,
    /// When all is well, the usual one first.
    pub(crate) answers: &'static [Answer],
    /// What may go wrong here, beside what may go wrong everywhere.
    pub(crate) problems: &'static [&'static [Kind]],
    /// Answers requests of this method.
    pub(crate) handler: Handler,
}

/// Binds the handler to a method.
pub(crate) type Handler = fn(MethodFilter) -> MethodRouter<Desk>;

impl Route {
    /// For one who is known.
    pub(crate) const fn get(
        path: &'static str,
        operation: &'static str,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            method: Method::Get,
            path,
            operation,
            summary,
            chapter: Chapter::Fleet,
            gate: Gate::Known,
            tag: Tag::None,
            parameters: &[],
            body: None,
            answers: &[],
            problems: &[],
            handler,
        }
    }

    /// As [`Self::get`], for a change.
    pub(crate) const fn post(
        path: &'static str,
        operation: &'static str,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            method: Method::Post,
            ..Self::get(path, operation, summary, handler)
        }
    }

    /// As [`Self::post`], for a whole thing.
    pub(crate) const fn put(
        path: &'static str,
        operation: &'static str,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            method: Method::Put,
            ..Self::get(path, operation, summary, handler)
        }
    }

    /// As [`Self::post`], for the end of a thing.
    pub(crate) const fn delete(
        path: &'static str,
        operation: &'static str,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            method: Method::Delete,
            ..Self::get(path, operation, summary, handler)
        }
    }

    /// All that may go wrong, by status and code, each once.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut lists = vec![OF_ADDRESS];
        if self.gate == Gate::Known {
            lists.extend([OF_CALLER, OF_QUERY]);
        }
        if self.method != Method::Get {
            lists.push(OF_CHANGE);
        }
        lists.extend(self.problems);
        let mut kinds: Vec<Kind> = lists.into_iter().flatten().copied().collect();
        kinds.sort_by_key(|kind| (kind.status, kind.code));
        kinds.dedup();
        kinds
    }

    fn endpoint(&self) -> MethodRouter<Desk> {
        let endpoint = (self.handler)(self.method.filter());
        match self.tag {
            Tag::None => endpoint,
            Tag::OfBytes => endpoint.route_layer(middleware::from_fn(etag::tag)),
        }
    }
}

/// All routes, chapter by chapter.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().copied().flatten()
}

/// The routes that pass this gate.
pub(super) fn router(gate: Gate) -> Router<Desk> {
    all()
        .filter(|route| route.gate == gate)
        .fold(Router::new(), |router, route| {
            router.route(route.path, route.endpoint())
        })
}

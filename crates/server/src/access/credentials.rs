//! From what a request carries to who asks.

use axum::http::{HeaderMap, Method, header};
use flota_model::{command::Principal, units::Moment};
use sha2::{Digest as _, Sha256};

use super::{Denied, Object, Permit, Sessions, Verb, authorize, hpc, local, node};
use crate::listener::Arrival;

/// The cookie of a browser session.
pub(crate) const COOKIE: &str = "flota_session";
/// A page of another site cannot send this header without being allowed to.
const CSRF_HEADER: &str = "x-flota-csrf";

/// How a request showed who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The kernel says which user is at the other end.
    Peer,
    /// The token of the data folder.
    Token,
    /// A browser session.
    Session,
}

/// Whose page sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Not said: no browser, or a plain navigation.
    Absent,
    /// Ours.
    Own,
}

/// Why a request does not show who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// It carries nothing.
    Missing,
    /// What it carries is wrong.
    Wrong,
    /// A browser session, but the request may come from another site's page.
    Forgeable,
}

/// Who asks, for the handlers.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    principal: Principal,
}

impl Caller {
    /// The clients of the listeners of a node, as one: whom a node lets in is its own policy.
    pub(crate) fn of_node(name: &str) -> Self {
        let principal = node(name);
        Self { principal }
    }

    /// The clients of an older cluster, as one.
    pub(crate) fn of_hpc() -> Self {
        Self { principal: hpc() }
    }

    /// The name of the principal.
    pub(crate) fn name(&self) -> &str {
        &self.principal.name
    }

    /// Asks [`authorize`].
    pub(crate) fn may(&self, verb: Verb, object: &Object) -> Result<Permit, Denied> {
        authorize(&self.principal, verb, object)
    }
}

/// What requests are measured against.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// SHA-256 of the token: comparing these takes no time that tells about the token.
    token: [u8; 32],
    pub(crate) sessions: Sessions,
    /// Our own user; it and root may use the Unix socket.
    uid: u32,
}

impl Credentials {
    pub(crate) fn new(token: &str, sessions: Sessions, uid: u32) -> Self {
        Self {
            token: Sha256::digest(token).into(),
            sessions,
            uid,
        }
    }

    /// Finds out who asks.
    pub(crate) fn caller(
        &self,
        arrival: Arrival,
        headers: &HeaderMap,
        now: Moment,
    ) -> Result<(Caller, Proof), Unproven> {
        let proof = self.proof(arrival, headers, now)?;
        Ok((Caller { principal: local() }, proof))
    }

    /// The caller that a process of that user is.
    pub(crate) fn caller_of_user(&self, uid: u32) -> Option<Caller> {
        self.is_ours(uid).then(|| Caller { principal: local() })
    }

    fn is_ours(&self, uid: u32) -> bool {
        uid == self.uid || uid == 0
    }

    fn proof(&self, arrival: Arrival, headers: &HeaderMap, now: Moment) -> Result<Proof, Unproven> {
        if let Arrival::Local { uid } = arrival {
            return if self.is_ours(uid) {
                Ok(Proof::Peer)
            } else {
                Err(Unproven::Wrong)
            };
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let given = value
                .to_str()
                .ok()
                .and_then(bearer)
                .ok_or(Unproven::Wrong)?;
            let given: [u8; 32] = Sha256::digest(given).into();
            return if given == self.token {
                Ok(Proof::Token)
            } else {
                Err(Unproven::Wrong)
            };
        }
        let secret = cookie(headers).ok_or(Unproven::Missing)?;
        if self.sessions.holds(secret, now) {
            Ok(Proof::Session)
        } else {
            Err(Unproven::Wrong)
        }
    }
}

/// Refuses a request of a browser session that another site's page could have caused: one that
/// changes something without our own page behind it.
pub(crate) fn refuse_forgeable(
    proof: Proof,
    method: &Method,
    headers: &HeaderMap,
    origin: Origin,
) -> Result<(), Unproven> {
    let own = origin == Origin::Own || headers.get(CSRF_HEADER).is_some_and(|one| one == "1");
    match proof {
        Proof::Peer | Proof::Token => Ok(()),
        Proof::Session if method.is_safe() || own => Ok(()),
        Proof::Session => Err(Unproven::Forgeable),
    }
}

/// The token of `Bearer TOKEN`; the scheme is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

//! Browser sessions and the one-time tokens that open them. In memory: a restart ends them all.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use flota_model::units::Moment;
use sha2::{Digest as _, Sha256};

use crate::random;

/// Most sessions at once; the oldest one makes room.
const SESSIONS_MAX: usize = 1_024;
/// Bytes of randomness of a session.
const SESSION_BYTES: usize = 32;
/// From the login to the end of a session.
pub(crate) const SESSION_AGE_MAX: Duration = Duration::from_hours(12);

/// SHA-256 of a secret: looking it up in a map then says nothing about the secret by its timing.
type Fingerprint = [u8; 32];

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    one_time: Option<Fingerprint>,
    /// With the moment of the login.
    sessions: BTreeMap<Fingerprint, Moment>,
}

impl Sessions {
    /// No sessions, and one token to open one.
    pub(crate) fn new(one_time_token: Option<&str>) -> Self {
        let one_time = one_time_token.map(fingerprint);
        Self {
            state: Mutex::new(State {
                one_time,
                sessions: BTreeMap::new(),
            }),
        }
    }

    /// Uses up the one-time token and returns the secret of a new session; `None` when the token
    /// is wrong or used, or the system gives no random numbers.
    pub(crate) fn open(&self, token: &str, now: Moment) -> Option<String> {
        let secret = random::digits::<SESSION_BYTES>().ok()?;
        let key = fingerprint(&secret);
        self.lock().open(fingerprint(token), key, now)?;
        Some(secret)
    }

    /// Whether the secret is that of a session that has not ended.
    pub(crate) fn holds(&self, secret: &str, now: Moment) -> bool {
        let mut state = self.lock();
        state
            .sessions
            .retain(|_, opened| now.since(*opened) < SESSION_AGE_MAX);
        state.sessions.contains_key(&fingerprint(secret))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

impl State {
    /// Uses up the one-time token for a session; `None` when it is not that token.
    fn open(&mut self, token: Fingerprint, key: Fingerprint, now: Moment) -> Option<()> {
        self.one_time.take_if(|one_time| *one_time == token)?;
        if self.sessions.len() >= SESSIONS_MAX {
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(key, _)| *key);
            oldest.map(|key| self.sessions.remove(&key));
        }
        self.sessions.insert(key, now);
        Some(())
    }
}

fn fingerprint(secret: &str) -> Fingerprint {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A further session, as if there had been a further token.
    fn open(sessions: &Sessions, now: Moment) -> String {
        sessions.lock().one_time = Some(fingerprint("again"));
        sessions.open("again", now).unwrap()
    }

    #[test]
    fn a_token_opens_one_session_and_a_wrong_one_does_not_use_it_up() {
        let sessions = Sessions::new(Some("right"));
        let now = Moment(0);
        assert_eq!(sessions.open("wrong", now), None);
        assert_eq!(sessions.open("", now), None);
        let secret = sessions.open("right", now).unwrap();
        assert!(sessions.holds(&secret, now));
        assert!(!sessions.holds("right", now));
        assert_eq!(sessions.open("right", now), None);
        assert_eq!(Sessions::new(None).open("", now), None);
    }

    #[test]
    fn a_session_ends_with_its_age() {
        let sessions = Sessions::new(None);
        let secret = open(&sessions, Moment(5));
        let last = Moment(4) + SESSION_AGE_MAX;
        assert!(sessions.holds(&secret, last));
        assert!(!sessions.holds(&secret, Moment(last.0 + 1)));
        assert!(!sessions.holds(&secret, Moment(5)), "it does not come back");
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        let sessions = Sessions::new(None);
        let secrets: Vec<String> = (0..=SESSIONS_MAX as u64)
            .map(|number| open(&sessions, Moment(number)))
            .collect();
        let now = Moment(SESSIONS_MAX as u64);
        assert!(!sessions.holds(&secrets[0], now));
        assert!(
            secrets[1..]
                .iter()
                .all(|secret| sessions.holds(secret, now))
        );
    }
}

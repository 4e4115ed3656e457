//! A server that is away for a while, during a command that lasts.

use std::time::Duration;

use flota_model::units::Moment;

use crate::{clock, fault::ClientFault};

/// How long it may be away: it serves again within 5 s of a restart, and a person who upgrades it
/// takes a little longer.
const AWAY_MAX: Duration = Duration::from_mins(1);
/// Between two tries while it is away.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Since when there is no answer.
pub(super) struct Absence {
    answered_at: Moment,
}

impl Absence {
    pub(super) fn new() -> Self {
        Self {
            answered_at: clock::moment(),
        }
    }

    /// The server answered.
    pub(super) fn end(&mut self) {
        self.answered_at = clock::moment();
    }

    /// Whether it is worth asking again.
    pub(super) fn is_bearable(&self, fault: &ClientFault) -> bool {
        fault.may_pass() && clock::moment().since(self.answered_at) < AWAY_MAX
    }

    /// Waits for the next try.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

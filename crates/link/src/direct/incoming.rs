//! The receiving half of a connection.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tonic::{Status, Streaming};

use super::outlets::{Ending, Frame};

/// Longest reason that is shown, in characters; some come from the peer.
const WHY_LENGTH_MAX: usize = 300;

/// Why nothing more is received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The peer has sent all it had.
    PeerFinished,
    /// This end was told to end the connection.
    Ended,
    /// The connection broke, or the peer sent what is not allowed.
    Fault(String),
}

pub(super) struct Incoming {
    pub(super) batches: Streaming<Bytes>,
    pub(super) ending: watch::Receiver<Ending>,
}

impl Incoming {
    /// The next batch.
    pub(super) async fn next(&mut self) -> Result<Bytes, Farewell> {
        tokio::select! {
            biased;
            () = ended(&mut self.ending) => Err(Farewell::Ended),
            message = self.batches.message() => match message {
                Ok(Some(batch)) => Ok(batch),
                Ok(None) => Err(Farewell::PeerFinished),
                Err(status) => Err(Farewell::Fault(explain(&status))),
            },
        }
    }

    /// Hands the frames of a batch over, waiting for the taker as long as need be. Sets `heard` with
    /// the first one.
    pub(super) async fn deliver<F: Frame, E>(
        &mut self,
        batch: &[u8],
        inbox: &mpsc::Sender<E>,
        event: impl Fn(F) -> E,
        heard: &mut bool,
    ) -> Result<(), Farewell> {
        for frame in F::decode(batch) {
            let frame = frame.map_err(|fault| Farewell::Fault(fault.to_string()))?;
            tokio::select! {
                biased;
                () = ended(&mut self.ending) => return Err(Farewell::Ended),
                sent = inbox.send(event(frame)) => sent.map_err(|_| Farewell::Ended)?,
            }
            *heard = true;
        }
        Ok(())
    }
}

impl Incoming {
    /// After [`Farewell::Ended`]: why it was to end. Before a connection that may finish is gone,
    /// the peer gets the time to take what was sent to it.
    pub(super) async fn wind_up(mut self, within: Duration) -> String {
        let ending = self.ending.borrow().clone();
        match ending {
            Ending::Cut(why) => why,
            Ending::Open | Ending::Finish => {
                let rest = async { while let Ok(Some(_)) = self.batches.message().await {} };
                // Late or not, it was this end that closed it.
                let _ = timeout(within, rest).await;
                "closed by this agent".to_owned()
            }
        }
    }
}

/// Waits until the connection is to end in any way.
async fn ended(ending: &mut watch::Receiver<Ending>) {
    // An error means that its owner is gone, which ends it as well.
    let _ = ending.wait_for(|ending| *ending != Ending::Open).await;
}

/// What a peer said, or what broke, with its causes.
pub(super) fn explain(status: &Status) -> String {
    let mut why = status.message().to_owned();
    append_causes(&mut why, std::error::Error::source(status));
    if why.is_empty() {
        status.code().description().to_owned()
    } else {
        shown(&why)
    }
}

/// An error with its causes; what a cause repeats is left out.
pub(super) fn explain_error(error: &(dyn std::error::Error + 'static)) -> String {
    let mut why = String::new();
    append_causes(&mut why, Some(error));
    shown(&why)
}

fn append_causes(why: &mut String, mut cause: Option<&(dyn std::error::Error + 'static)>) {
    while let Some(error) = cause {
        let text = error.to_string();
        if !why.contains(&text) {
            if !why.is_empty() {
                why.push_str(": ");
            }
            why.push_str(&text);
        }
        cause = error.source();
    }
}

/// Short and on one line.
fn shown(why: &str) -> String {
    why.chars()
        .take(WHY_LENGTH_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

//! Puts large outputs on the disk, beside the main loop: one sync for all that gathered.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use flota_engine::{keeper::api::End, node::api::KernelEnd};
use flota_model::{ids::AttemptId, outcome::Usage, units::Timestamp};
use tokio::sync::mpsc::Sender;

use crate::{
    input::Input,
    outputs::{Outputs, Streams},
};

/// Outputs that wait. With more, the main loop waits for the disk, too.
const WAITING_MAX: usize = 4_096;

/// Something large to be kept.
#[derive(Debug)]
pub(crate) enum Large {
    /// What a program wrote.
    Streams {
        attempt: AttemptId,
        end: End,
        streams: Streams,
    },
    /// What a kernel returned.
    Result {
        attempt: AttemptId,
        bytes: Vec<u8>,
        ran: (Timestamp, Timestamp),
        usage: Usage,
    },
}

/// A thread for that. It ends with its owner, after what waits.
#[derive(Debug)]
pub(crate) struct Finisher {
    waiting: SyncSender<Large>,
}

impl Finisher {
    pub(crate) fn new(outputs: Arc<Outputs>, inbox: Sender<Input>) -> io::Result<Self> {
        let (waiting, orders) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("outputs".to_owned())
            .spawn(move || work(&outputs, &orders, &inbox))?;
        Ok(Self { waiting })
    }

    /// Gives back what it cannot take now.
    pub(crate) fn finish(&self, large: Large) -> Result<(), Large> {
        self.waiting.try_send(large).map_err(|error| match error {
            TrySendError::Full(large) | TrySendError::Disconnected(large) => large,
        })
    }
}

fn work(outputs: &Outputs, orders: &Receiver<Large>, inbox: &Sender<Input>) {
    while let Ok(first) = orders.recv() {
        let group: Vec<Large> = std::iter::once(first).chain(orders.try_iter()).collect();
        let inputs: Vec<Input> = group
            .into_iter()
            .map(|large| keep(outputs, large))
            .collect();
        let inputs = match outputs.sync() {
            Ok(()) => inputs,
            Err(error) => vec![Input::OutputsLost(error)],
        };
        for input in inputs {
            if inbox.blocking_send(input).is_err() {
                return;
            }
        }
    }
}

fn keep(outputs: &Outputs, large: Large) -> Input {
    match large {
        Large::Streams {
            attempt,
            end,
            streams,
        } => Input::Collected {
            attempt,
            end,
            output: outputs.collect(attempt, Some(&streams)),
        },
        Large::Result {
            attempt,
            bytes,
            ran,
            usage,
        } => Input::Kept {
            attempt,
            end: match outputs.keep_result(attempt, bytes) {
                Ok(output) => KernelEnd::Completed(output),
                Err(error) => KernelEnd::Failed(format!("its result could not be kept: {error}")),
            },
            ran,
            usage,
        },
    }
}

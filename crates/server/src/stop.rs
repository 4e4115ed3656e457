//! The word to stop, said once and heard by many.

use tokio::sync::watch;

/// Says it.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

/// Hears it, now or later. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A pair that belongs together.
pub(crate) fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the word, or for the end of the one who would say it.
    pub(crate) async fn said(&mut self) {
        let _ = self.0.wait_for(|said| *said).await;
    }
}

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the effects and frames that it is about"
)]

mod bench;
mod ending;
mod expand;
mod granting;
mod lease;
mod orders;
mod queue;
mod recovery;
mod replica;
mod retract;
mod session;
mod starting;
mod walk;

//! The agent's decisions: which granted attempts start, what is journalled, what is reported.
//!
//! [`Node::handle`] applies a batch of events at one time and returns a [`api::Turn`].

pub mod api;

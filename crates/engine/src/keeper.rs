//! The keeper's decisions: what to spawn, stop, kill at a deadline, remember and forget.

pub mod api;

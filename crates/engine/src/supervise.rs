//! Restart policies and probes of services, as pure state machines.

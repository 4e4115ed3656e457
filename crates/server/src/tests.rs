//! A whole server in this process, on a free port and a folder of its own.

mod access;
mod agent;
mod etag;
mod events;
mod harness;
mod hpc;
mod http2;
mod jobs;
mod limits;
mod logs;
mod metrics;
mod nodes;
mod openapi;
mod pages;
mod processes;
mod recover;
mod services;
mod starts;
mod watch;
mod watches;

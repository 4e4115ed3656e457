//! Logs go to standard error: text for people, JSON for collectors.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

/// Whether `filter` can be used.
pub(crate) fn check(filter: &str) -> Result<(), ()> {
    EnvFilter::builder().parse(filter).map(drop).map_err(drop)
}

/// Starts logging of warnings alone, without the memory of a filter.
pub fn start_small_logging() {
    let builder = fmt::Subscriber::builder().with_max_level(tracing::Level::WARN);
    let _ = tracing::subscriber::set_global_default(builder.with_writer(io::stderr).finish());
}

/// How much is logged.
pub struct Logging<'a> {
    /// As set by a person.
    pub filter: Option<&'a str>,
    /// How often `-v` is given.
    pub verbose: u8,
    /// When neither says anything.
    pub usual: &'a str,
    /// For collectors.
    pub as_json: bool,
}

/// Starts logging; once in a process.
pub fn start_logging(logging: &Logging<'_>) {
    let filter = match (logging.verbose, logging.filter) {
        (0, Some(filter)) => filter,
        (0, None) => logging.usual,
        (1, _) => "debug",
        (_, _) => "trace",
    };
    let filter = EnvFilter::builder().parse_lossy(filter);
    let builder = fmt::Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // The second start of a process would fail; there is one.
    let _ = if logging.as_json {
        tracing::subscriber::set_global_default(builder.json().finish())
    } else {
        let ansi = io::IsTerminal::is_terminal(&io::stderr());
        tracing::subscriber::set_global_default(builder.with_ansi(ansi).finish())
    };
}

//! Limits of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit of open files: what programs expect to have.
pub(crate) fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limit of open files to the hard one: three descriptors a program are more than
/// the usual 1,024 allow. Returns the limit that holds now.
pub(crate) fn raise_open_files() -> u64 {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    // Failure leaves the soft limit, which is returned then.
    let _ = setrlimit(Resource::Nofile, raised);
    open_files()
}

//! An error with all its causes in one line, for the log.

use std::{error::Error, fmt};

/// Shows `error: cause: cause of the cause`.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(fault) = cause {
            write!(formatter, ": {fault}")?;
            cause = fault.source();
        }
        Ok(())
    }
}

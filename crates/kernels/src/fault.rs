//! Why a kernel returned no result.

/// Why a kernel returned no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelFault {
    /// No kernel has this name.
    #[error("there is no kernel `{name}`{}", suggestion(*nearest))]
    Unknown {
        /// As it was asked for.
        name: String,
        /// A kernel whose name differs by a slip of the keyboard.
        nearest: Option<&'static str>,
    },
    /// A parameter is missing, not known to the kernel, or out of its range.
    #[error("parameter `{name}` {what}{}", appended(hint.as_deref()))]
    Parameter {
        /// Which.
        name: String,
        /// What is wrong with it, to be read after its name.
        what: String,
        /// What to do about it, where that is not plain.
        hint: Option<String>,
    },
    /// The [`Stop`](crate::Stop) flag was raised before the end.
    #[error("stopped on request")]
    Stopped,
    /// The computation could not be finished.
    #[error("{0}")]
    Failed(String),
}

impl KernelFault {
    pub(crate) fn parameter(name: &str, what: impl Into<String>) -> Self {
        Self::Parameter {
            name: name.to_owned(),
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn parameter_with_hint(
        name: &str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Parameter {
            name: name.to_owned(),
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

fn appended(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("; {hint}"))
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

//! Limits of the pages of lists.

/// Items of a page where the caller does not say.
pub const PAGE_DEFAULT: u32 = 100;
/// Most items of a page: a thousand tasks with their attempts stay below 1 MiB of JSON.
pub const PAGE_MAX: u32 = 1_000;

/// A limit that no page can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit is {asked}, not in 1..={PAGE_MAX}")]
pub struct LimitFault {
    /// What was asked for.
    pub asked: u32,
}

/// The number of items that a page may have.
///
/// # Errors
/// When the number asked for is 0 or above [`PAGE_MAX`].
pub fn limit(asked: Option<u32>) -> Result<u32, LimitFault> {
    match asked {
        None => Ok(PAGE_DEFAULT),
        Some(asked @ 1..=PAGE_MAX) => Ok(asked),
        Some(asked) => Err(LimitFault { asked }),
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitFault, PAGE_DEFAULT, PAGE_MAX, limit};

    #[test]
    fn a_page_has_one_to_a_thousand_items() {
        assert_eq!(limit(None), Ok(PAGE_DEFAULT));
        assert_eq!(limit(Some(1)), Ok(1));
        assert_eq!(limit(Some(PAGE_MAX)), Ok(PAGE_MAX));
        for asked in [0, PAGE_MAX + 1, u32::MAX] {
            assert_eq!(limit(Some(asked)), Err(LimitFault { asked }));
        }
    }
}

//! `{index}`, `{job}` and `{attempt}` in the texts of a spec. They are replaced where the task runs;
//! here is only what a text may contain.

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateFault {
    /// `{name}` with another name.
    #[error("unknown placeholder {{{0}}}")]
    Unknown(String),
    /// `{` without `}`, or the other way round.
    #[error("single `{0}`")]
    Single(char),
}

/// Longest `{index}`: ten digits.
const INDEX_LENGTH_MAX: usize = 10;
/// Longest `{job}`: twenty digits.
const JOB_LENGTH_MAX: usize = 20;
/// Longest `{attempt}`: ten digits, sixteen, twenty, and two hyphens.
const ATTEMPT_LENGTH_MAX: usize = 48;

/// The most bytes that the text can have once its placeholders are replaced and `{{` and `}}` have
/// become the braces themselves.
///
/// # Errors
/// Any other use of a brace.
pub(super) fn length_max(text: &str) -> Result<usize, TemplateFault> {
    let mut length = 0;
    let mut rest = text;
    while let Some(place) = rest.find(['{', '}']) {
        length += place;
        let from_brace = &rest[place..];
        if from_brace.starts_with("{{") || from_brace.starts_with("}}") {
            length += 1;
            rest = &from_brace[2..];
            continue;
        }
        let inside = from_brace
            .strip_prefix('{')
            .ok_or(TemplateFault::Single('}'))?;
        let (name, after) = inside.split_once('}').ok_or(TemplateFault::Single('{'))?;
        length += match name {
            "index" => INDEX_LENGTH_MAX,
            "job" => JOB_LENGTH_MAX,
            "attempt" => ATTEMPT_LENGTH_MAX,
            _ => return Err(TemplateFault::Unknown(name.chars().take(40).collect())),
        };
        rest = after;
    }
    Ok(length + rest.len())
}

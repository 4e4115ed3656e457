//! `{index}`, `{job}` and `{attempt}` in the texts of a spec.

use flota_model::ids::{AttemptId, JobId, TaskIndex};

/// What the placeholders of one attempt stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholders {
    /// `{index}`
    pub index: TaskIndex,
    /// `{job}`
    pub job: JobId,
    /// `{attempt}`
    pub attempt: AttemptId,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
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

/// Replaces the placeholders; `{{` and `}}` become the braces themselves.
///
/// # Errors
/// Any other use of a brace. A spec that was checked has none.
pub fn expand(text: &str, placeholders: &Placeholders) -> Result<String, TemplateFault> {
    let mut expanded = String::with_capacity(text.len() + ATTEMPT_LENGTH_MAX);
    walk(text, |piece| match piece {
        Piece::Text(part) => expanded.push_str(part),
        Piece::Index => expanded += &placeholders.index.to_string(),
        Piece::Job => expanded += &placeholders.job.to_string(),
        Piece::Attempt => expanded += &placeholders.attempt.to_string(),
    })?;
    Ok(expanded)
}

/// The most bytes that the text can have once expanded.
pub(super) fn length_max(text: &str) -> Result<usize, TemplateFault> {
    let mut length = 0;
    walk(text, |piece| {
        length += match piece {
            Piece::Text(part) => part.len(),
            Piece::Index => INDEX_LENGTH_MAX,
            Piece::Job => JOB_LENGTH_MAX,
            Piece::Attempt => ATTEMPT_LENGTH_MAX,
        };
    })?;
    Ok(length)
}

enum Piece<'a> {
    Text(&'a str),
    Index,
    Job,
    Attempt,
}

fn walk<'a>(text: &'a str, mut visit: impl FnMut(Piece<'a>)) -> Result<(), TemplateFault> {
    let mut rest = text;
    while let Some(place) = rest.find(['{', '}']) {
        visit(Piece::Text(&rest[..place]));
        let from_brace = &rest[place..];
        if from_brace.starts_with("{{") || from_brace.starts_with("}}") {
            visit(Piece::Text(&from_brace[..1]));
            rest = &from_brace[2..];
            continue;
        }
        let inside = from_brace
            .strip_prefix('{')
            .ok_or(TemplateFault::Single('}'))?;
        let (name, after) = inside.split_once('}').ok_or(TemplateFault::Single('{'))?;
        visit(match name {
            "index" => Piece::Index,
            "job" => Piece::Job,
            "attempt" => Piece::Attempt,
            _ => return Err(TemplateFault::Unknown(name.chars().take(40).collect())),
        });
        rest = after;
    }
    visit(Piece::Text(rest));
    Ok(())
}

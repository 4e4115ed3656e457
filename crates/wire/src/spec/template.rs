//! `{index}`, `{job}`, `{attempt}` and the names of parameters in the texts of a spec. They are replaced
//! where the task runs; here is only what a text may contain.

/// What every task has, and no parameter may be called.
pub(super) const RESERVED: [&str; 3] = ["index", "job", "attempt"];

/// The parameters of a job, each with the most bytes that a value of it has.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    pub(super) longest: Vec<(&'a str, usize)>,
}

impl Known<'_> {
    /// The most bytes that a placeholder can become.
    fn length_of(&self, name: &str) -> Option<usize> {
        match name {
            "index" => Some(INDEX_LENGTH_MAX),
            "job" => Some(JOB_LENGTH_MAX),
            "attempt" => Some(ATTEMPT_LENGTH_MAX),
            _ => self
                .longest
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, length)| *length),
        }
    }

    /// All placeholders, for people.
    pub(super) fn listed(&self) -> String {
        let own = self.longest.iter().map(|(name, _)| *name);
        let all = own.chain(RESERVED).take(LISTED_MAX);
        let names: Vec<String> = all.map(|name| format!("{{{name}}}")).collect();
        names.join(", ")
    }
}

/// Most names that a message lists.
const LISTED_MAX: usize = 20;

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
pub(super) fn length_max(text: &str, known: &Known<'_>) -> Result<usize, TemplateFault> {
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
        let Some(most) = known.length_of(name) else {
            return Err(TemplateFault::Unknown(name.chars().take(40).collect()));
        };
        length += most;
        rest = after;
    }
    Ok(length + rest.len())
}

//! Query parameters, strictly: unknown, repeated and malformed ones are refused.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use axum::{extract::Query, http::Uri};

use crate::problem::{Problem, QUERY_INVALID, QUERY_UNKNOWN};

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes the query of `uri` apart; `known` are the names that it may have.
    pub(crate) fn parse(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|fault| Problem::new(QUERY_INVALID, fault.body_text()))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, known));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(Problem::new(
                    QUERY_INVALID,
                    format!("`{name}` is given twice"),
                ));
            }
        }
        Ok(Self(parameters))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number within bounds.
    pub(crate) fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        bounds: RangeInclusive<T>,
    ) -> Result<Option<T>, Problem> {
        self.parsed(
            name,
            &format!("a number from {} to {}", bounds.start(), bounds.end()),
            |text| text.parse().ok().filter(|number| bounds.contains(number)),
        )
    }

    /// Anything that `parse` understands; `wanted` says what that is.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let value = parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Problem::new(
                QUERY_INVALID,
                format!("`{name}` is `{shown}`, not {wanted}"),
            )
        })?;
        Ok(Some(value))
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let shown: String = name.chars().take(40).collect();
    let problem = Problem::new(
        QUERY_UNKNOWN,
        format!("there is no parameter `{shown}` here"),
    );
    match (nearest(&shown, known), known) {
        (Some(near), _) => problem.with_hint(format!("did you mean `{near}`?")),
        (None, []) => problem.with_hint("this address has no parameters"),
        (None, known) => problem.with_hint(format!("known: {}", known.join(", "))),
    }
}

/// The known name that is at most two edits away.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let measured = known.iter().map(|other| (distance(name, other), *other));
    measured
        .min()
        .filter(|(edits, _)| *edits <= 2)
        .map(|(_, other)| other)
}

/// Insertions, deletions and replacements between two short words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("http://localhost/x?{query}").parse().unwrap()
    }

    fn parse(query: &str) -> Result<Parameters, Problem> {
        Parameters::parse(&uri(query), &["limit", "before"])
    }

    #[test]
    fn known_parameters_are_taken_with_their_escapes() {
        let parameters = parse("limit=5&before=a%20b").unwrap();
        assert_eq!(parameters.number("limit", 1..=10).unwrap(), Some(5));
        assert_eq!(parameters.text("before"), Some("a b"));
        assert_eq!(parse("").unwrap().number("limit", 1..=10).unwrap(), None);
    }

    #[test]
    fn unknown_repeated_and_malformed_parameters_are_refused() {
        let unknown = parse("limt=5").unwrap_err();
        assert_eq!(unknown.kind(), QUERY_UNKNOWN);
        assert_eq!(unknown, super::unknown("limt", &["limit"]));
        assert_eq!(parse("limit=5&limit=6").unwrap_err().kind(), QUERY_INVALID);
        let parameters = parse("limit=11&before=x").unwrap();
        assert_eq!(
            parameters.number("limit", 1..=10).unwrap_err().kind(),
            QUERY_INVALID
        );
        assert_eq!(
            parameters.number("before", 1..=10).unwrap_err().kind(),
            QUERY_INVALID
        );
    }

    #[test]
    fn the_nearest_name_is_at_most_two_edits_away() {
        assert_eq!(nearest("limt", &["limit", "before"]), Some("limit"));
        assert_eq!(nearest("bfore", &["limit", "before"]), Some("before"));
        assert_eq!(nearest("phase", &["limit", "before"]), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

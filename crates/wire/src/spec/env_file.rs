//! Files of variables: lines `NAME=VALUE`, as systemd, Docker and shells read them alike.

use std::collections::BTreeMap;

/// Longest file of variables, in bytes: more than a program can be given.
pub const ENVIRONMENT_FILE_LENGTH_MAX: usize = 256 * 1024;

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct EnvironmentFault {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads the variables of a file. Empty lines and lines that begin with `#` are left out, a value may
/// be in single or double quotes, `export` before a name is ignored. Nothing is expanded: a value is
/// what is written. Braces are doubled, as the values of a spec want them.
///
/// # Errors
/// The first line that is no variable.
pub fn parse_environment(text: &str) -> Result<BTreeMap<String, String>, EnvironmentFault> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what| EnvironmentFault {
            line: index + 1,
            what,
        };
        let bare = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = bare.split_once('=').ok_or(fault("there is no `=`"))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(fault("the name is empty or has a space"));
        }
        let value = unquoted(value.trim()).ok_or(fault("a quote is not closed"))?;
        let escaped = value.replace('{', "{{").replace('}', "}}");
        variables.insert(name.to_owned(), escaped);
    }
    Ok(variables)
}

/// Without the quotes around it; `None` when only one of them is there.
fn unquoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.strip_suffix(quote);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_variables_is_read_as_it_is_written() {
        let text =
            "# comment\n\nA=1\n  export B = two words \nC=\"x # y\"\nD='$A'\nE=\nF={x}=y\nA=2\n";
        let found = parse_environment(text).unwrap();
        let shown: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("A", "2"),
                ("B", "two words"),
                ("C", "x # y"),
                ("D", "$A"),
                ("E", ""),
                ("F", "{{x}}=y"),
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_variable_is_named() {
        let fault = |text: &str| parse_environment(text).unwrap_err().to_string();
        assert_eq!(fault("A=1\nB"), "line 2: there is no `=`");
        assert_eq!(fault("=1"), "line 1: the name is empty or has a space");
        assert_eq!(fault("A B=1"), "line 1: the name is empty or has a space");
        assert_eq!(fault("A=\"x"), "line 1: a quote is not closed");
        assert_eq!(fault("A=\""), "line 1: a quote is not closed");
    }
}

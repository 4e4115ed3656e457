//! Options that a script carries in comments: `#FLOTA --cpus 2 --array 1-10`.

use std::{ffi::OsString, fs::File, io::Read as _};

use clap::ArgMatches;

use crate::{
    catalogue::Language,
    cli::{Stopped, innermost, parse},
    failure::Failure,
};

/// Bytes of a script in which options are looked for.
const HEAD_LENGTH_MAX: u64 = 64 << 10;
/// Begins a line of options.
const MARK: &str = "#FLOTA ";
/// Options that make no sense within a script.
const FOREIGN: [&str; 4] = ["file", "kernel", "template", "idempotency-key"];

/// The options of the script that a program is; `None` where it is none, or has none.
///
/// # Errors
/// With the place of the first wrong option.
pub(super) fn options(language: Language, program: &str) -> Result<Option<ArgMatches>, Failure> {
    let Some(head) = head(program) else {
        return Ok(None);
    };
    let mut words: Vec<OsString> = ["flota", "submit"].map(OsString::from).to_vec();
    let before = words.len();
    for (number, line) in lines(&head) {
        let wrong = || Failure::usage(language.error_script_line(program, number));
        words.extend(
            split(line)
                .ok_or_else(wrong)?
                .into_iter()
                .map(OsString::from),
        );
    }
    if words.len() == before {
        return Ok(None);
    }
    let matches = parse(language, &words).map_err(|stopped| match stopped {
        Stopped::Failure(failure) => failure.because(language.in_script(program)),
        Stopped::Page(_) | Stopped::Incomplete(_) => {
            Failure::usage(language.error_script_line(program, 1))
        }
    })?;
    let inner = innermost(&matches).clone();
    let is_foreign = |id: &&str| inner.try_contains_id(id).unwrap_or(false);
    if FOREIGN.iter().any(is_foreign) || inner.contains_id("program") {
        return Err(Failure::usage(language.error_script_option(program)));
    }
    Ok(Some(inner))
}

/// The first bytes of a script; `None` where the file is not here, or is none.
fn head(program: &str) -> Option<String> {
    if !program.contains('/') {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(program).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(HEAD_LENGTH_MAX).read_to_end(&mut bytes).ok()?;
    bytes
        .starts_with(b"#!")
        .then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The options of each marked line before the first line of code, with its number.
fn lines(head: &str) -> impl Iterator<Item = (u32, &str)> {
    let comments = (1..).zip(head.lines()).take_while(|(_, line)| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    });
    comments.filter_map(|(number, line)| Some((number, line.trim().strip_prefix(MARK)?)))
}

/// Words with blanks between; quotes of either kind keep blanks. `None` where one is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

//! Every error code has a page, and every page a code; what the API raises is translated.

use std::{collections::BTreeMap, path::Path};

use super::{File, code, files};

const PAGES: &str = "docs/errors";
/// The catalogue of the API.
const API: &str = "crates/server/src/problem.rs";
/// The texts for people of the codes of the API.
const TRANSLATIONS: &str = "crates/client/src/catalogue/problems.rs";

/// Codes, each with the first place where it stands.
type Codes = BTreeMap<String, String>;

/// Every code without a page or without a text, and every page or text without a code.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let sources = files(root, "crates", ".rs");
    let is_source = |file: &&File| file.path.contains("/src/") && !file.is_test();
    let (translations, sources): (Vec<&File>, Vec<&File>) = sources
        .iter()
        .filter(is_source)
        .partition(|file| file.path == TRANSLATIONS);
    let raised = codes(&sources);
    let mut problems = of_pages(root, &raised);
    problems.extend(of_translations(&sources, &codes(&translations), &raised));
    problems
}

fn of_pages(root: &Path, raised: &Codes) -> Vec<String> {
    let pages = files(root, PAGES, ".md");
    let pages = pages.iter().filter(|page| page.name() != "README.md");
    let titles: BTreeMap<&str, &str> = pages
        .map(|page| {
            (
                page.name().trim_end_matches(".md"),
                page.text.lines().next().unwrap_or(""),
            )
        })
        .collect();
    let missing = raised
        .iter()
        .filter(|(code, _)| !titles.contains_key(code.as_str()))
        .map(|(code, place)| {
            format!("{place}: the error code {code} has no page {PAGES}/{code}.md")
        });
    let idle = titles
        .keys()
        .filter(|page| !raised.contains_key(**page))
        .map(|page| format!("{PAGES}/{page}.md: nothing raises {page}"));
    let untitled = titles
        .iter()
        .filter(|(page, title)| **title != format!("# {page}"))
        .map(|(page, _)| format!("{PAGES}/{page}.md: the first line must be `# {page}`"));
    missing.chain(idle).chain(untitled).collect()
}

fn of_translations(sources: &[&File], translated: &Codes, raised: &Codes) -> Vec<String> {
    let api: Vec<&File> = sources
        .iter()
        .copied()
        .filter(|file| file.path == API)
        .collect();
    let api = codes(&api);
    let missing = api
        .iter()
        .filter(|(code, _)| !translated.contains_key(*code))
        .map(|(code, place)| format!("{place}: {code} has no text in {TRANSLATIONS}"));
    let idle = translated
        .iter()
        .filter(|(code, _)| !raised.contains_key(*code))
        .map(|(code, place)| format!("{place}: nothing raises {code}"));
    missing.chain(idle).collect()
}

fn codes(sources: &[&File]) -> Codes {
    let mut codes = Codes::new();
    for file in sources {
        for (number, line) in code(&file.text) {
            for code in codes_of(line) {
                let place = || format!("{}:{number}", file.path);
                codes.entry(code.to_owned()).or_insert_with(place);
            }
        }
    }
    codes
}

/// The words of the form `E-NOUN-REASON`.
fn codes_of(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    line.split(move |letter: char| !is_part(letter))
        .filter(|word| is_code(word))
}

fn is_code(word: &str) -> bool {
    let capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let Some(rest) = word.strip_prefix("E-") else {
        return false;
    };
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(capital);
    rest.contains('-') && rest.split('-').all(is_part)
}

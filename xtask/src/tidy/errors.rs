//! Every error code has a page, and every page a code.

use std::{collections::BTreeMap, path::Path};

use super::{code, files};

const PAGES: &str = "docs/errors";

/// Every code without a page, page without a code, and page that does not begin with its code.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let pages = files(root, PAGES, ".md");
    let mut titles = BTreeMap::new();
    for page in pages.iter().filter(|page| page.name() != "README.md") {
        titles.insert(
            page.name().trim_end_matches(".md"),
            page.text.lines().next().unwrap_or(""),
        );
    }
    let codes = codes(root);
    let missing = codes
        .iter()
        .filter(|(code, _)| !titles.contains_key(code.as_str()))
        .map(|(code, place)| {
            format!("{place}: the error code {code} has no page {PAGES}/{code}.md")
        });
    let idle = titles
        .keys()
        .filter(|page| !codes.contains_key(**page))
        .map(|page| format!("{PAGES}/{page}.md: no code of crates/*/src raises {page}"));
    let untitled = titles
        .iter()
        .filter(|(page, title)| **title != format!("# {page}"))
        .map(|(page, _)| format!("{PAGES}/{page}.md: the first line must be `# {page}`"));
    missing.chain(idle).chain(untitled).collect()
}

/// The codes in the sources of the crates, tests apart, each with the first place where it stands.
fn codes(root: &Path) -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    let sources = files(root, "crates", ".rs");
    for file in sources
        .iter()
        .filter(|file| file.path.contains("/src/") && !file.is_test())
    {
        for (number, line) in code(&file.text) {
            for code in codes_of(line) {
                codes
                    .entry(code.to_owned())
                    .or_insert_with(|| format!("{}:{number}", file.path));
            }
        }
    }
    codes
}

/// The words of the form `E-NOUN-REASON`.
fn codes_of(line: &str) -> impl Iterator<Item = &str> {
    let words =
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_');
    words.filter(|word| {
        let mut parts = word.split('-');
        let capital = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        parts.next() == Some("E") && word.split('-').count() >= 3 && parts.all(capital)
    })
}

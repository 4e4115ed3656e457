//! The frame of every page, and escaping.

use std::fmt::{self, Write as _};

use flota_model::state::{Counts, TaskState};

use super::{language::Language, texts::Texts};

/// Seconds between two loads of a page that loads itself.
const REFRESH_SECONDS: u32 = 5;

/// Colours in both themes have a contrast of at least 4.5 to their ground; no state is told by
/// colour alone.
const STYLE: &str = include_str!("style.css");

/// Text that may hold anything, escaped for elements and quoted attributes.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape(formatter), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                plain => self.0.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// Appends to markup.
pub(super) fn add(markup: &mut String, part: fmt::Arguments<'_>) {
    markup
        .write_fmt(part)
        .expect("writing to a string cannot fail");
}

/// A whole document around `body`, which is markup.
pub(super) fn document(
    language: Language,
    title: &str,
    refresh: bool,
    nonce: &str,
    body: &str,
) -> String {
    let texts = language.texts();
    let refresh = if refresh {
        format!("<meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">")
    } else {
        String::new()
    };
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\">{refresh}\
         <title>{title} · Flota</title><style nonce=\"{nonce}\">{STYLE}</style></head><body>\
         <a class=\"skip\" href=\"#content\">{skip}</a>\
         <header><a class=\"brand\" href=\"/?lang={lang}\">Flota</a>\
         <nav><a href=\"/docs/api?lang={lang}\">{api}</a> <a href=\"?lang=en\" hreflang=\"en\" lang=\"en\">English</a> \
         <a href=\"?lang=es\" hreflang=\"es\" lang=\"es\">Español</a></nav></header>\
         <div id=\"content\">{body}</div></body></html>\n",
        lang = language.word(),
        title = Text(title),
        skip = Text(texts.skip),
        api = Text(texts.api),
    )
}

/// A state: shape, word and colour.
pub(super) fn badge(kind: &str, icon: &str, word: &str) -> String {
    format!(
        "<span class=\"badge {kind}\"><span aria-hidden=\"true\">{icon}</span> {}</span>",
        Text(word)
    )
}

pub(super) fn task_badge(texts: &Texts, state: TaskState) -> String {
    let (kind, icon) = match state {
        TaskState::Waiting => ("quiet", "◌"),
        TaskState::Parked => ("quiet", "◷"),
        TaskState::Granted => ("busy", "◐"),
        TaskState::Succeeded => ("good", "✓"),
        TaskState::Failed => ("bad", "✗"),
        TaskState::Cancelled => ("quiet", "⊘"),
        TaskState::Dead => ("bad", "✚"),
        TaskState::Unknown => ("warn", "?"),
        TaskState::Blocked => ("quiet", "⏸"),
        TaskState::Skipped => ("quiet", "⤳"),
    };
    badge(kind, icon, (texts.task_state)(state))
}

/// Progress as a bar and as a number.
pub(super) fn progress(texts: &Texts, counts: &Counts) -> String {
    let (ended, total) = (counts.ended(), counts.total());
    let failed = u64::from(counts.of(TaskState::Failed)) + u64::from(counts.of(TaskState::Dead));
    let mut cell = format!(
        "<progress value=\"{ended}\" max=\"{}\" aria-label=\"{}\"></progress> {ended}/{total}",
        total.max(1),
        Text(texts.progress),
    );
    if failed > 0 {
        let word = (texts.task_state)(TaskState::Failed);
        add(
            &mut cell,
            format_args!(" <span class=\"bad\">✗ {failed} {}</span>", Text(word)),
        );
    }
    cell
}

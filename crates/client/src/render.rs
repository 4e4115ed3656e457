//! All that a command prints: formats, tables, colours.

mod listing;
mod room;
mod table;
mod text;

use std::io::{self, Write};

pub(crate) use self::{
    listing::{Details, print_json, print_rows},
    room::room,
    text::{age, bytes, clean, count, cpus, duration, labels, seconds_ago},
};
pub use self::{
    listing::{Field, Listing},
    text::utc,
};
use crate::{catalogue::Language, failure::Failure};

/// How reads are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One document.
    Json,
    /// One document per line.
    JsonLines,
    /// RFC 4180.
    Csv,
    /// What a command takes as its argument, one per line.
    Name,
}

impl Format {
    /// All of them, with their words.
    pub const WORDS: [(&str, Self); 5] = [
        ("table", Self::Table),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
        ("csv", Self::Csv),
        ("name", Self::Name),
    ];

    /// The format of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS
            .into_iter()
            .find(|(name, _)| *name == word)
            .map(|(_, format)| format)
    }

    /// Whether it is for programs that read JSON; then errors are JSON too.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonLines)
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// All of them, with their words.
    pub const WORDS: [(&str, Self); 3] = [
        ("auto", Self::Auto),
        ("always", Self::Always),
        ("never", Self::Never),
    ];

    /// The choice of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS
            .into_iter()
            .find(|(name, _)| *name == word)
            .map(|(_, color)| color)
    }
}

/// An ANSI colour or weight (ECMA-48, SGR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }

    /// The colour of a state word, where it has one.
    pub(crate) fn of_state(word: &str) -> Option<Self> {
        match word {
            "up" | "succeeded" | "ok" => Some(Self::Green),
            "failed" | "dead" | "lost" | "fail" => Some(Self::Red),
            "away" | "unknown" | "skipped" | "cancelled" | "cancelling" | "warn" => {
                Some(Self::Yellow)
            }
            _ => None,
        }
    }
}

/// How the two outputs of the process are used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Of everything.
    pub language: Language,
    /// Of reads.
    pub format: Format,
    /// Whether tables and CSV have a header.
    pub headers: bool,
    /// Whether only names are printed, and no progress.
    pub quiet: bool,
    /// Whether standard output is a terminal, which can be drawn anew.
    pub terminal: bool,
    /// Whether standard output takes colours.
    pub color_out: bool,
    /// Whether standard error takes colours.
    pub color_err: bool,
    /// Whether standard error is a terminal, for the progress bar.
    pub bar: bool,
}

/// Standard output and standard error of a command.
pub struct Screen {
    pub(crate) style: Style,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Screen {
    /// A screen over the two streams.
    pub fn new(style: Style, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { style, out, err }
    }

    /// The screen of this process.
    pub fn of_process(style: Style) -> Self {
        let out = io::BufWriter::new(io::stdout());
        Self::new(style, Box::new(out), Box::new(io::stderr()))
    }

    pub(crate) fn language(&self) -> Language {
        self.style.language
    }

    /// Whether only what was asked for is told.
    pub fn is_quiet(&self) -> bool {
        self.style.quiet
    }

    /// Whether what is printed can be drawn anew.
    pub(crate) fn is_terminal(&self) -> bool {
        self.style.terminal
    }

    /// The format of reads; `-q` is the same as `-o name`.
    pub(crate) fn format(&self) -> Format {
        if self.style.quiet {
            Format::Name
        } else {
            self.style.format
        }
    }

    /// Prints data.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints data and ends the line.
    pub fn print_line(&mut self, text: &str) -> Result<(), Failure> {
        self.print(text)?;
        self.print("\n")
    }

    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let language = self.style.language;
        self.out
            .write_all(bytes)
            .map_err(|source| Failure::of_output(language, &source))
    }

    /// Sends on what was printed.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let language = self.style.language;
        self.out
            .flush()
            .map_err(|source| Failure::of_output(language, &source))
    }

    /// Tells something beside the data. Nobody may be listening: that is no error.
    pub fn tell(&mut self, text: &str) {
        let _ = self.flush();
        let _ = writeln!(self.err, "{text}");
        let _ = self.err.flush();
    }

    /// As [`Self::tell`], unless `-q` is given.
    pub(crate) fn mention(&mut self, text: &str) {
        if !self.style.quiet {
            self.tell(text);
        }
    }

    pub(crate) fn err_bytes(&mut self, bytes: &[u8]) {
        let _ = self.err.write_all(bytes);
        let _ = self.err.flush();
    }

    pub(crate) fn sink(&mut self, to_err: bool) -> &mut dyn Write {
        if to_err { &mut self.err } else { &mut self.out }
    }

    pub(crate) fn paint_out(&self, text: &str, paint: Paint) -> String {
        if self.style.color_out {
            painted(text, paint)
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn paint_err(&self, text: &str, paint: Paint) -> String {
        if self.style.color_err {
            painted(text, paint)
        } else {
            text.to_owned()
        }
    }
}

fn painted(text: &str, paint: Paint) -> String {
    format!("\x1b[{}m{text}\x1b[0m", paint.code())
}

#[cfg(test)]
pub(crate) mod tests;

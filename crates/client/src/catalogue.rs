//! Every text that a person reads, in English and in Spanish.
//!
//! A text is a method of [`Language`]: a key that is missing does not compile, nor does a
//! translation that leaves out, or adds, a value. Words of the API (states, outcomes, stages, keys
//! of settings, error codes) are the same in all languages, so that what is read can be typed.

mod care;
mod control;
mod doctor;
mod execution;
mod help;
mod host;
mod inputs;
mod logs;
mod messages;
mod problems;
mod processes;
mod services;
#[cfg(test)]
mod tests;
mod usage;

pub use problems::knows_problem;
pub(crate) use problems::problem_text;

/// The language of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The default.
    #[default]
    English,
    /// Neutral Spanish.
    Spanish,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// Parses `en`, `es` and locale names such as `es_MX.UTF-8`; `C` and `POSIX` are English.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split(['_', '.', '@', '-']).next().unwrap_or_default() {
            "en" | "C" | "POSIX" => Some(Self::English),
            "es" => Some(Self::Spanish),
            _ => None,
        }
    }

    /// The first of `candidates` (in order of precedence) that names a language we speak; as in
    /// `man 7 locale`, empty ones do not count.
    pub fn choose<'a>(candidates: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        candidates
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .find_map(Self::parse)
            .unwrap_or_default()
    }

    /// The word for `--lang`.
    pub fn word(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }
}

/// One text as written, for the tests.
#[cfg(test)]
pub(crate) struct Entry {
    pub(crate) key: &'static str,
    pub(crate) english: &'static str,
    pub(crate) spanish: &'static str,
}

/// Makes one method of [`Language`] per text.
///
/// The values are named arguments of `format!`, which refuses both unknown and unused ones, so the
/// two languages of a text always carry the same values.
macro_rules! texts {
    ($table:ident: $($key:ident $(($($value:ident),+))? => $english:literal, $spanish:literal;)+) => {
        impl $crate::catalogue::Language {
            $(
                /// The text of this name.
                pub fn $key(self $($(, $value: impl std::fmt::Display)+)?) -> String {
                    match self {
                        Self::English => format!($english $($(, $value = $value)+)?),
                        Self::Spanish => format!($spanish $($(, $value = $value)+)?),
                    }
                }
            )+
        }

        /// The texts of this file as written.
        #[cfg(test)]
        pub(super) const $table: &[$crate::catalogue::Entry] = &[$(
            $crate::catalogue::Entry {
                key: stringify!($key),
                english: $english,
                spanish: $spanish,
            }
        ),+];
    };
}
use texts;

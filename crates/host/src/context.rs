//! What every command has beside its own options.

use std::{io, path::PathBuf};

use flota_client::{Exit, Failure, Language, Search};
use tokio::runtime::{Builder, Runtime};

use crate::{environment::Environment, settings::Settings};

/// All that a command needs beside its own options.
pub struct Context {
    /// Of all texts.
    pub language: Language,
    /// What the process is started with.
    pub environment: Environment,
    /// Merged from all places.
    pub settings: Settings,
    /// How often `-v` is given.
    pub verbose: u8,
    /// The settings file that an option names.
    pub config: Option<String>,
}

/// How many threads carry the tasks of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// For clients, agents and `dev`.
    One,
    /// For a server.
    Several,
}

impl Context {
    /// The data folder that is set, or the usual one.
    pub fn data(&self) -> Result<PathBuf, Failure> {
        let set = self
            .settings
            .data
            .clone()
            .or_else(|| self.environment.data_folder());
        // Absolute, because it is told to people and handed to other processes.
        set.and_then(|path| std::path::absolute(path).ok())
            .ok_or_else(|| {
                Failure::new(
                    "E-FOLDER-UNKNOWN",
                    Exit::Failed,
                    self.language.error_no_home(),
                )
                .hint(self.language.hint_no_home())
            })
    }

    /// The data folder, where commands in other terminals would look for another one.
    pub fn data_to_export(&self) -> Option<String> {
        let set = self.settings.data.as_ref()?;
        let inherited = self.environment.get("FLOTA_DATA").map(PathBuf::from);
        (inherited.as_ref() != Some(set)).then(|| self.data_text())
    }

    /// As [`Self::data`], for a text; empty where there is none.
    pub fn data_text(&self) -> String {
        self.data()
            .map_or_else(|_| String::new(), |path| path.display().to_string())
    }

    /// Where a client looks for the server.
    pub fn search(&self) -> Search {
        Search {
            server: self.settings.server.clone(),
            token_file: self.settings.token_file.clone(),
            data: self.data().ok(),
        }
    }

    /// A runtime for one command.
    pub fn runtime(&self, threads: Threads) -> Result<Runtime, Failure> {
        let mut builder = match threads {
            Threads::One => Builder::new_current_thread(),
            Threads::Several => Builder::new_multi_thread(),
        };
        builder
            .enable_all()
            .build()
            .map_err(|source| self.not_set_up(&source))
    }

    /// The system refuses something without which no command works.
    pub fn not_set_up(&self, source: &io::Error) -> Failure {
        Failure::new(
            "E-PROGRAM-UNUSABLE",
            Exit::Failed,
            self.language.error_runtime(),
        )
        .because_of(source)
    }
}

/// Another process has the data folder.
pub fn folder_held(language: Language, folder: &str, holder: &str) -> Failure {
    Failure::new(
        "E-FOLDER-HELD",
        Exit::Refused,
        language.error_folder_held(folder),
    )
    .because(holder)
    .hint(language.hint_folder_held())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(set: Option<&str>, inherited: Option<&str>) -> Context {
        let variables = inherited.map(|data| ("FLOTA_DATA".to_owned(), data.to_owned()));
        Context {
            language: Language::English,
            environment: Environment {
                variables: variables.into_iter().collect(),
                ..Environment::default()
            },
            settings: Settings {
                data: set.map(PathBuf::from),
                ..Settings::default()
            },
            verbose: 0,
            config: None,
        }
    }

    #[test]
    fn a_folder_is_to_be_exported_where_other_terminals_would_not_find_it() {
        let check = |set, inherited, expected: Option<&str>| {
            let found = context(set, inherited).data_to_export();
            assert_eq!(found.as_deref(), expected, "{set:?} {inherited:?}");
        };
        check(None, None, None);
        check(Some("/d"), None, Some("/d"));
        check(Some("/d"), Some("/e"), Some("/d"));
        check(Some("/e"), Some("/e"), None);
    }
}

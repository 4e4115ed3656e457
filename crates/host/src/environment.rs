//! What the process is started with. Nothing below the binary reads the environment.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use flota_client::Language;
use flota_model::spec::NAME_LENGTH_MAX;

/// Longest settings file.
const FILE_LENGTH_MAX: u64 = 1 << 20;

/// The surroundings, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// All variables that are text.
    pub variables: BTreeMap<String, String>,
    pub current_folder: Option<PathBuf>,
    pub is_root: bool,
    pub out_is_terminal: bool,
    pub err_is_terminal: bool,
}

impl Environment {
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: env::vars_os().filter_map(text).collect(),
            current_folder: env::current_dir().ok(),
            is_root: rustix::process::geteuid().is_root(),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// A variable; an empty one counts as absent (XDG Base Directory Specification).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The language: `--lang`, then the variables in the order of `man 7 locale`.
    pub fn language(&self, flag: Option<&str>) -> Language {
        let variables = ["FLOTA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        let set = variables.into_iter().map(|name| self.get(name));
        Language::choose(std::iter::once(flag).chain(set))
    }

    /// The data folder when nobody names one.
    pub fn data_folder(&self) -> Option<PathBuf> {
        if self.is_root {
            return Some("/var/lib/flota".into());
        }
        self.base("XDG_STATE_HOME", ".local/state")
            .map(|base| base.join("flota"))
    }

    /// The settings file: the one that is named, or the first one that is there.
    ///
    /// # Errors
    /// When the one that is named cannot be read; when one is too long.
    pub fn settings_file(
        &self,
        named: Option<&str>,
    ) -> Result<Option<(PathBuf, String)>, (PathBuf, io::Error)> {
        if let Some(path) = named.or_else(|| self.get("FLOTA_CONFIG")) {
            let path = PathBuf::from(path);
            return match read(&path) {
                Ok(text) => Ok(Some((path, text))),
                Err(source) => Err((path, source)),
            };
        }
        let own = self
            .base("XDG_CONFIG_HOME", ".config")
            .map(|base| base.join("flota/flota.toml"));
        for path in own
            .into_iter()
            .chain([PathBuf::from("/etc/flota/flota.toml")])
        {
            match read(&path) {
                Ok(text) => return Ok(Some((path, text))),
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err((path, source)),
            }
        }
        Ok(None)
    }

    /// The policy file of an agent, where nobody names one: the first that is there.
    pub fn policy_file(&self) -> Option<PathBuf> {
        let own = self
            .base("XDG_CONFIG_HOME", ".config")
            .map(|base| base.join("flota/policy.toml"));
        let places = own
            .into_iter()
            .chain([PathBuf::from("/etc/flota/policy.toml")]);
        // One that cannot be looked at counts as there: its rules must not be passed over.
        places
            .into_iter()
            .find(|path| path.try_exists().unwrap_or(true))
    }

    /// An XDG base folder; relative ones are invalid and do not count.
    fn base(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let set = self
            .get(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || Some(Path::new(self.get("HOME")?).join(below_home));
        set.or_else(home)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(FILE_LENGTH_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LENGTH_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// The name of this machine, as a node may be called.
pub fn host_name() -> String {
    name_of(&rustix::system::uname().nodename().to_string_lossy())
}

/// Machines may have names that nodes may not: other letters, or one letter more.
fn name_of(host: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name: String = host
        .chars()
        .map(|letter| if allowed(letter) { letter } else { '-' })
        .skip_while(|letter| !letter.is_ascii_alphanumeric())
        .take(NAME_LENGTH_MAX)
        .collect();
    if name.is_empty() { "node".into() } else { name }
}

#[cfg(test)]
mod tests {
    use flota_wire::spec::is_name;

    use super::*;

    #[test]
    fn every_machine_has_a_name_for_its_node() {
        for (host, expected) in [
            ("node-1.example.org", "node-1.example.org"),
            ("_my máquina", "my-m-quina"),
            ("(none)", "none-"),
            ("", "node"),
            (&*"h".repeat(64), &*"h".repeat(63)),
        ] {
            assert_eq!(name_of(host), expected);
            assert!(is_name(expected));
        }
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment {
            variables: variables.iter().map(own).collect(),
            ..Environment::default()
        }
    }

    #[test]
    fn the_data_folder_is_that_of_the_system_for_root_and_of_xdg_for_others() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let found = environment(variables).data_folder();
            assert_eq!(found, expected.map(PathBuf::from), "{variables:?}");
        };
        check(
            &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")],
            Some("/s/flota"),
        );
        check(
            &[("XDG_STATE_HOME", ""), ("HOME", "/h")],
            Some("/h/.local/state/flota"),
        );
        check(
            &[("XDG_STATE_HOME", "rel"), ("HOME", "/h")],
            Some("/h/.local/state/flota"),
        );
        check(&[], None);
        let root = Environment {
            is_root: true,
            ..environment(&[("HOME", "/root")])
        };
        assert_eq!(root.data_folder(), Some("/var/lib/flota".into()));
    }

    #[test]
    fn the_language_follows_the_flag_and_the_locale() {
        let spanish = environment(&[("LANG", "es_AR.UTF-8"), ("LC_ALL", "")]);
        assert_eq!(spanish.language(None), Language::Spanish);
        assert_eq!(spanish.language(Some("en")), Language::English);
    }

    #[test]
    fn the_named_settings_file_must_be_there_and_others_may() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let set = environment(&[("XDG_CONFIG_HOME", home)]);
        let none = folder.path().join("none.toml");
        let refused = set.settings_file(none.to_str()).unwrap_err();
        assert_eq!(refused.0, none);

        let own = folder.path().join("flota/flota.toml");
        fs::create_dir(folder.path().join("flota")).unwrap();
        fs::write(&own, "log = \"info\"").unwrap();
        let found = set.settings_file(None).unwrap();
        assert_eq!(found, Some((own.clone(), "log = \"info\"".into())));

        fs::write(
            &own,
            vec![b' '; 1 + usize::try_from(FILE_LENGTH_MAX).unwrap()],
        )
        .unwrap();
        let refused = set.settings_file(None).unwrap_err();
        assert_eq!(refused.1.kind(), io::ErrorKind::FileTooLarge);
    }
}

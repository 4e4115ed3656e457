//! The file in which the owner of a node says what may be done there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flota_engine::policy::{Ceilings, Foreign, Policy, ProgramRule};
use flota_model::units::{Bytes, Cpus};
use flota_wire::quantity;
use serde::Deserialize;

/// Longest policy file, in bytes.
const FILE_LENGTH_MAX: u64 = 64 << 10;
/// Most rules about programs; each start may carry all their paths to the keeper.
const PROGRAMS_MAX: usize = 256;
/// Most bytes of their paths together, for the same reason.
const PATHS_LENGTH_MAX: usize = 16 << 10;

/// Where the rules of a node are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicySource {
    /// The file; the usual rules where there is none.
    pub path: Option<PathBuf>,
    /// Whether the usual rules are those of root.
    pub is_root: bool,
}

/// Why a policy is not used. An agent does not start without the one that it is given.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// It cannot be read.
    #[error("failed to read the policy file `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than a policy may be.
    #[error("the policy file `{}` is longer than {FILE_LENGTH_MAX} bytes", path.display())]
    Long {
        /// Which.
        path: PathBuf,
    },
    /// It is no TOML, or has unknown or missing fields.
    #[error("the policy file `{}` is wrong: {what}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong, with its line.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    shell: bool,
    users: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    signals: Option<Signals>,
    #[serde(default)]
    ceilings: FileCeilings,
    programs: Option<Vec<FileProgram>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Signals {
    None,
    OwnUser,
    Any,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCeilings {
    memory: Option<String>,
    cpus: Option<f64>,
    pids: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProgram {
    path: String,
    arguments: Option<Vec<String>>,
}

/// Reads a policy; without a file it is the usual one. Links in the paths of programs are followed now: what is executed is compared
/// with where they lead.
///
/// # Errors
/// When it cannot be read, or says what no policy can.
pub fn load(path: Option<&Path>, is_root: bool) -> Result<Policy, PolicyFault> {
    let Some(path) = path else {
        return Ok(Policy::usual(is_root));
    };
    let read = |source| PolicyFault::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(read)?.len() > FILE_LENGTH_MAX {
        return Err(PolicyFault::Long {
            path: path.to_owned(),
        });
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let mut policy = parse(&text, is_root).map_err(|what| PolicyFault::Wrong {
        path: path.to_owned(),
        what,
    })?;
    for rule in policy.programs.iter_mut().flatten() {
        follow_links(&mut rule.path);
    }
    Ok(policy)
}

/// A program that is not there stays as it is written: it may come later.
fn follow_links(path: &mut String) {
    let (folder, end) = match path.strip_suffix("/*") {
        Some(folder) => (folder, "/*"),
        None => (path.as_str(), ""),
    };
    if let Ok(real) = fs::canonicalize(folder)
        && let Some(real) = real.to_str()
    {
        *path = format!("{}{end}", real.trim_end_matches('/'));
    }
}

fn parse(text: &str, is_root: bool) -> Result<Policy, String> {
    let file: File = toml::from_str(text).map_err(|source| source.to_string())?;
    let usual = Policy::usual(is_root);
    let programs = file.programs.map(rules).transpose()?;
    Ok(Policy {
        shell: file.shell,
        programs,
        users: file.users,
        groups: file.groups,
        foreign: match file.signals {
            None => usual.foreign,
            Some(Signals::None) => Foreign::None,
            Some(Signals::OwnUser) => Foreign::OwnUser,
            Some(Signals::Any) => Foreign::Any,
        },
        ceilings: ceilings(file.ceilings)?,
    })
}

fn rules(programs: Vec<FileProgram>) -> Result<Vec<ProgramRule>, String> {
    let length: usize = programs.iter().map(|program| program.path.len()).sum();
    if programs.len() > PROGRAMS_MAX || length > PATHS_LENGTH_MAX {
        return Err(format!(
            "programs: at most {PROGRAMS_MAX}, with {PATHS_LENGTH_MAX} bytes of paths"
        ));
    }
    let rule = |program: FileProgram| {
        let is_plain = !program.path.trim_end_matches("/*").contains('*');
        if !program.path.starts_with('/') || !is_plain {
            let path = program.path;
            return Err(format!(
                "programs: `{path}` is neither an absolute path nor a folder with `/*` behind it"
            ));
        }
        Ok(ProgramRule {
            path: program.path,
            arguments: program.arguments,
        })
    };
    programs.into_iter().map(rule).collect()
}

fn ceilings(given: FileCeilings) -> Result<Ceilings, String> {
    let memory = given.memory.as_deref().map(quantity::parse_size);
    let memory: Option<Bytes> = memory
        .transpose()
        .map_err(|fault| format!("ceilings.memory: {fault}"))?;
    if memory == Some(Bytes(0)) || given.pids == Some(0) {
        return Err("ceilings: zero lets nothing run".to_owned());
    }
    Ok(Ceilings {
        memory,
        cpus: given.cpus.map(cpus).transpose()?,
        pids: given.pids,
    })
}

fn cpus(cores: f64) -> Result<Cpus, String> {
    let thousandths = (cores * 1000.0).round();
    if !(10.0..=f64::from(u32::MAX)).contains(&thousandths) {
        return Err(format!("ceilings.cpus: {cores} is out of range"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was rounded, and compared with the range just above"
    )]
    Ok(Cpus(thousandths as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_usual_policy_and_a_full_one_says_everything() {
        assert_eq!(parse("", false), Ok(Policy::usual(false)));
        assert_eq!(parse("", true), Ok(Policy::usual(true)));
        let text = r#"
            shell = true
            users = ["ana", "@agent"]
            groups = []
            signals = "none"
            [ceilings]
            memory = "2GiB"
            cpus = 1.5
            pids = 100
            [[programs]]
            path = "/usr/bin/sim"
            arguments = ["run", "**"]
            [[programs]]
            path = "/opt/tools/*"
        "#;
        let rule = |path: &str, arguments: Option<Vec<String>>| ProgramRule {
            path: path.to_owned(),
            arguments,
        };
        let arguments = ["run".to_owned(), "**".to_owned()];
        let expected = Policy {
            shell: true,
            programs: Some(vec![
                rule("/usr/bin/sim", Some(arguments.into())),
                rule("/opt/tools/*", None),
            ]),
            users: Some(vec!["ana".to_owned(), "@agent".to_owned()]),
            groups: Some(Vec::new()),
            foreign: Foreign::None,
            ceilings: Ceilings {
                memory: Some(Bytes(2 << 30)),
                cpus: Some(Cpus(1500)),
                pids: Some(100),
            },
        };
        assert_eq!(parse(text, true), Ok(expected));
    }

    #[test]
    fn what_no_policy_can_say_is_refused() {
        for (text, what) in [
            ("shells = true", "unknown field `shells`"),
            ("shell = 1", "invalid type"),
            ("signals = \"all\"", "unknown variant `all`"),
            ("[ceilings]\nram = 1", "unknown field `ram`"),
            ("[ceilings]\nmemory = \"2G\"", "ceilings.memory"),
            ("[ceilings]\ncpus = 0", "out of range"),
            ("[ceilings]\npids = 0", "zero lets nothing run"),
            ("[[programs]]\npath = \"sim\"", "neither an absolute path"),
            (
                "[[programs]]\npath = \"/usr/*/sim\"",
                "neither an absolute path",
            ),
            ("[[programs]]\narguments = []", "missing field `path`"),
            ("shell = ", "line 1"),
        ] {
            let fault = parse(text, true).unwrap_err();
            assert!(fault.contains(what), "{text}: {fault}");
        }
        let many = "[[programs]]\npath = \"/a\"\n".repeat(PROGRAMS_MAX + 1);
        assert!(parse(&many, true).unwrap_err().contains("at most 256"));
    }

    #[test]
    fn links_are_followed_and_what_is_not_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        fs::write(real.join("program"), "").unwrap();
        std::os::unix::fs::symlink(real.join("program"), real.join("link")).unwrap();
        let file = real.join("policy.toml");
        let at = real.display();
        let text = format!(
            "[[programs]]\npath = \"{at}/link\"\n[[programs]]\npath = \"{at}/none\"\n\
             [[programs]]\npath = \"{at}/../{}/*\"\n",
            real.file_name().unwrap().to_str().unwrap()
        );
        fs::write(&file, text).unwrap();
        let policy = load(Some(&file), true).unwrap();
        let paths: Vec<String> = policy
            .programs
            .unwrap()
            .into_iter()
            .map(|rule| rule.path)
            .collect();
        let expected = ["program", "none", "*"].map(|name| format!("{at}/{name}"));
        assert_eq!(paths, expected);
        let missing = load(Some(&real.join("missing")), true);
        assert!(matches!(missing, Err(PolicyFault::Read { .. })));
        fs::write(&file, " ".repeat(70_000)).unwrap();
        assert!(matches!(
            load(Some(&file), true),
            Err(PolicyFault::Long { .. })
        ));
    }
}

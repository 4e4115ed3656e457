//! What the owner of a node allows. The server cannot widen it.
//!
//! It is a fence around programs that are started as they are asked for, not around what they do
//! then: an interpreter that is allowed can do all that a shell can.

mod shell;
#[cfg(test)]
mod tests;

use flota_model::{
    execution::{Execution, Limits},
    policy::Rule,
    units::{Bytes, Cpus},
};

pub use self::shell::SHELLS;
use crate::keeper::api::Guard;

/// The rules of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether the program may be a shell.
    pub shell: bool,
    /// The only programs; any where absent.
    pub programs: Option<Vec<ProgramRule>>,
    /// The only users, as they are written in specs; [`AGENT`] for a program that asks for none. Any
    /// where absent.
    pub users: Option<Vec<String>>,
    /// The only groups that a spec may ask for besides those of its user. Any where absent.
    pub groups: Option<Vec<String>>,
    /// Which processes that Flota did not start may be signalled.
    pub foreign: Foreign,
    /// No program gets more.
    pub ceilings: Ceilings,
}

/// In a list of users: the one whom the agent runs as.
pub const AGENT: &str = "@agent";
/// In a list of argument patterns, at the end: any number of further arguments.
pub const REST: &str = "**";

/// A program that may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRule {
    /// Absolute, without links; `/folder/*` for all files below a folder.
    pub path: String,
    /// A pattern (`*`, `?`) for each argument, and perhaps [`REST`]; any arguments where absent.
    pub arguments: Option<Vec<String>>,
}

/// Which processes that Flota did not start may be signalled. The first process, threads of the
/// kernel and Flota itself never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// None.
    None,
    /// Those of the agent's own user.
    OwnUser,
    /// All that the kernel lets the agent signal.
    Any,
}

/// The most that a program with all its descendants gets, also where it asks for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ceilings {
    /// Bytes of memory.
    pub memory: Option<Bytes>,
    /// Cores.
    pub cpus: Option<Cpus>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// What is to be kept of a program that may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What can only be found out when it is executed.
    pub guard: Guard,
    /// Its limits, within the ceilings.
    pub limits: Limits,
}

/// A process that is to be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Whether Flota started it, or a parent of it.
    pub is_managed: bool,
    /// Its effective user.
    pub user: u32,
    /// The agent's effective user.
    pub own_user: u32,
}

impl Policy {
    /// The rules of a node without a policy file: any program, no shell; signals to all processes of
    /// the same user, as root to all.
    pub fn usual(is_root: bool) -> Self {
        Self {
            shell: false,
            programs: None,
            users: None,
            groups: None,
            foreign: if is_root {
                Foreign::Any
            } else {
                Foreign::OwnUser
            },
            ceilings: Ceilings::default(),
        }
    }

    /// No rules.
    pub fn unrestricted() -> Self {
        Self {
            shell: true,
            foreign: Foreign::Any,
            ..Self::usual(true)
        }
    }

    /// Whether a program may start.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn admit(&self, argv: &[String], execution: &Execution) -> Result<Admission, Rule> {
        if !self.shell && shell::is_call_of_shell(argv) {
            return Err(Rule::Shell);
        }
        self.check_identity(execution)?;
        Ok(Admission {
            guard: Guard {
                no_shell: !self.shell,
                programs: self.paths_for(argv)?,
            },
            limits: self.ceilings.apply(execution.limits)?,
        })
    }

    /// Whether a process may be signalled.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn signal(&self, target: Target) -> Result<(), Rule> {
        let is_allowed = target.is_managed
            || match self.foreign {
                Foreign::None => false,
                Foreign::OwnUser => target.user == target.own_user,
                Foreign::Any => true,
            };
        if is_allowed {
            Ok(())
        } else {
            Err(Rule::Signals)
        }
    }

    /// The files that may be executed with these arguments.
    fn paths_for(&self, argv: &[String]) -> Result<Option<Vec<String>>, Rule> {
        let Some(rules) = &self.programs else {
            return Ok(None);
        };
        let arguments = argv.get(1..).unwrap_or_default();
        let paths: Vec<String> = rules
            .iter()
            .filter(|rule| rule.takes(arguments))
            .map(|rule| rule.path.clone())
            .collect();
        if paths.is_empty() {
            return Err(Rule::Programs);
        }
        Ok(Some(paths))
    }

    fn check_identity(&self, execution: &Execution) -> Result<(), Rule> {
        let is_in = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|known| known == name))
        };
        if !is_in(&self.users, execution.user.as_deref().unwrap_or(AGENT)) {
            return Err(Rule::Users);
        }
        let mut groups = execution
            .group
            .iter()
            .chain(execution.groups.iter().flatten());
        if groups.any(|group| !is_in(&self.groups, group)) {
            return Err(Rule::Groups);
        }
        Ok(())
    }
}

impl ProgramRule {
    fn takes(&self, arguments: &[String]) -> bool {
        let Some(patterns) = &self.arguments else {
            return true;
        };
        let (patterns, has_rest) = match patterns.split_last() {
            Some((last, patterns)) if last == REST => (patterns, true),
            Some(_) | None => (patterns.as_slice(), false),
        };
        let is_long_enough =
            arguments.len() == patterns.len() || has_rest && arguments.len() > patterns.len();
        is_long_enough
            && patterns
                .iter()
                .zip(arguments)
                .all(|(pattern, argument)| matches(pattern.as_bytes(), argument.as_bytes()))
    }
}

/// `*` stands for any bytes, `?` for one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when what follows the last `*` does not fit: one byte later. Only the last one
    // needs to be tried again, so that the time is bounded by the product of the lengths.
    let (mut at, mut place, mut again) = (0, 0, None);
    loop {
        match (pattern.get(at), text.get(place)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                again = Some((at + 1, place));
                at += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => {}
            (Some(expected), Some(actual)) if expected == actual => {}
            (_, _) => {
                let Some((star, from)) = again.filter(|(_, from)| *from < text.len()) else {
                    return false;
                };
                again = Some((star, from + 1));
                (at, place) = (star, from + 1);
                continue;
            }
        }
        at += 1;
        place += 1;
    }
}

impl Ceilings {
    /// The limits as they are enforced: what is not asked for is limited by the ceiling. That is never
    /// best effort, because it is the node that wants it.
    fn apply(&self, asked: Limits) -> Result<Limits, Rule> {
        let mut limits = asked;
        limits.memory = within(asked.memory, self.memory, Rule::Memory)?;
        limits.cpus = within(asked.cpus, self.cpus, Rule::Cpus)?;
        limits.pids = within(asked.pids, self.pids, Rule::Pids)?;
        if *self != Self::default() {
            limits.best_effort = false;
        }
        Ok(limits)
    }
}

/// What is asked for, or the ceiling.
fn within<T: Ord>(asked: Option<T>, ceiling: Option<T>, rule: Rule) -> Result<Option<T>, Rule> {
    match (asked, ceiling) {
        (Some(asked), Some(ceiling)) if asked > ceiling => Err(rule),
        (asked, ceiling) => Ok(asked.or(ceiling)),
    }
}

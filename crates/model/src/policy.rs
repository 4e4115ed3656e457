//! What the owner of a node allows, as the words of an answer. The decisions are in `engine`.

/// A rule of a node's policy by which a program or a signal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// No shell.
    Shell,
    /// Only the programs that are listed, with the arguments that are listed.
    Programs,
    /// Only the users that are listed.
    Users,
    /// Only the groups that are listed.
    Groups,
    /// No more memory.
    Memory,
    /// No more cores.
    Cpus,
    /// No more processes.
    Pids,
    /// No signals to processes that Flota did not start, or not to those of others.
    Signals,
}

impl Rule {
    /// All of them. Their places are durable, counted from 1: new ones go to the end.
    pub const ALL: [Self; 8] = [
        Self::Shell,
        Self::Programs,
        Self::Users,
        Self::Groups,
        Self::Memory,
        Self::Cpus,
        Self::Pids,
        Self::Signals,
    ];

    /// Stands for the rule where an `errno` stands otherwise; from 1.
    pub fn number(self) -> i32 {
        let place = Self::ALL.into_iter().position(|rule| rule == self);
        place
            .and_then(|place| i32::try_from(place + 1).ok())
            .unwrap_or(0)
    }

    /// The rule of that number.
    pub fn of_number(number: i32) -> Option<Self> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(place).copied()
    }

    /// As the policy file names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Programs => "programs",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Memory => "ceilings.memory",
            Self::Cpus => "ceilings.cpus",
            Self::Pids => "ceilings.pids",
            Self::Signals => "signals",
        }
    }
}

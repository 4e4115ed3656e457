//! Users and groups by their names, from `/etc/passwd` and `/etc/group` (`man 5 passwd`, `man 5
//! group`).
//!
//! Not through the libraries of the system: those may ask a directory over the network, and the
//! keeper waits for nothing. Whoever is known there only is given by number.

use std::{fs, io, path::Path};

use flota_engine::keeper::api::Guard;
use flota_model::{
    execution::{Bound, Execution, IO_LEVELS, IoPriority, ResourceLimit},
    outcome::StartStage,
};

use crate::sys::spawn::{
    Fault,
    setting::{Account, Adjust, Setting},
};

/// Longer files are not read: a user that is looked for in them would block every start.
const LENGTH_MAX: u64 = 16 << 20;
/// `ioprio_set(2)`: the class is above the level.
const IO_CLASS_SHIFT: u32 = 13;

/// The files that accounts are in.
#[derive(Debug)]
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

#[derive(Debug, PartialEq, Eq)]
struct User<'a> {
    name: &'a str,
    number: u32,
    group: u32,
    home: &'a str,
}

/// What is told of a user or group that is not there.
const UNKNOWN: Fault = Fault {
    stage: StartStage::Identity,
    errno: libc::ENOENT,
};

/// Makes numbers of the settings of a program, and gives it the variables of its user.
///
/// # Errors
/// As the child would tell it.
pub(crate) fn setting(
    execution: &Execution,
    guard: &Guard,
    environment: &mut Vec<(String, String)>,
) -> Result<Setting, Fault> {
    let mut setting = Setting {
        umask: execution.umask.map(u32::from),
        nice: execution.nice.map(i32::from),
        io_priority: execution.io_priority.map(io_priority),
        resource_limits: execution
            .resource_limits
            .iter()
            .map(|(limit, bound)| (resource(*limit), bounds(*bound)))
            .collect(),
        oom_score_adjust: execution.oom_score_adjust.map(Adjust::new),
        new_privileges: execution.new_privileges,
        ..Setting::default()
    };
    setting.guard(guard);
    if execution.user.is_some() || execution.group.is_some() || execution.groups.is_some() {
        let accounts = Accounts::read().map_err(|error| Fault {
            stage: StartStage::Identity,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })?;
        let account = accounts.find(execution, environment)?;
        setting.identity = account.filter(is_another);
    }
    Ok(setting)
}

/// Whether anything is to be changed. Without rights not even to what is so already: the list of
/// groups cannot be set.
fn is_another(account: &Account) -> bool {
    let user = rustix::process::geteuid();
    let is_same =
        account.user == user.as_raw() && account.group == rustix::process::getegid().as_raw();
    user.is_root() || !is_same
}

impl Accounts {
    fn read() -> io::Result<Self> {
        Ok(Self {
            passwd: read("/etc/passwd")?,
            group: read("/etc/group")?,
        })
    }

    /// As whom a program runs; `None` for nobody else.
    fn find(
        &self,
        execution: &Execution,
        environment: &mut Vec<(String, String)>,
    ) -> Result<Option<Account>, Fault> {
        let user = execution.user.as_deref();
        let found = user.map(|user| self.user(user));
        let group = match (&execution.group, &found) {
            (Some(group), _) => self.group(group)?,
            (None, Some(Some(user))) => user.group,
            // A number without an entry has no group of its own.
            (None, Some(None)) => return Err(UNKNOWN),
            (None, None) => rustix::process::getegid().as_raw(),
        };
        let number = match (user, &found) {
            (Some(_), Some(Some(found))) => found.number,
            (Some(text), _) => text.parse().map_err(|_| UNKNOWN)?,
            (None, _) => rustix::process::geteuid().as_raw(),
        };
        if let Some(Some(user)) = &found {
            introduce(user, environment);
        }
        let groups = match (&execution.groups, &found) {
            (Some(groups), _) => {
                let numbers = groups.iter().map(|group| self.group(group));
                Some(numbers.collect::<Result<Vec<u32>, Fault>>()?)
            }
            (None, Some(Some(user))) => Some(self.groups_of(user.name, group)),
            (None, Some(None)) => Some(vec![group]),
            (None, None) => None,
        };
        Ok(Some(Account {
            user: number,
            group,
            groups,
        }))
    }

    fn user(&self, text: &str) -> Option<User<'_>> {
        let number = text.parse::<u32>().ok();
        let mut users = self.passwd.lines().filter_map(parse_user);
        users.find(|user| match number {
            Some(number) => user.number == number,
            None => user.name == text,
        })
    }

    fn group(&self, text: &str) -> Result<u32, Fault> {
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        let mut groups = self.group.lines().filter_map(parse_group);
        let found = groups.find(|(name, ..)| *name == text);
        found.map(|(_, number, _)| number).ok_or(UNKNOWN)
    }

    /// As `initgroups` would set them.
    fn groups_of(&self, name: &str, own: u32) -> Vec<u32> {
        let mut groups = vec![own];
        for (_, number, members) in self.group.lines().filter_map(parse_group) {
            if number != own && members.split(',').any(|member| member == name) {
                groups.push(number);
            }
        }
        groups
    }
}

fn read(path: &str) -> io::Result<String> {
    let path = Path::new(path);
    if fs::metadata(path)?.len() > LENGTH_MAX {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn parse_user(line: &str) -> Option<User<'_>> {
    let mut fields = line.split(':');
    Some(User {
        name: fields.next().filter(|name| !name.is_empty())?,
        number: fields.nth(1)?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        home: fields.nth(1)?,
    })
}

/// Name, number, members.
fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    Some((name, fields.nth(1)?.parse().ok()?, fields.next()?))
}

/// What a program expects to know of its user, where its spec does not say otherwise.
fn introduce(user: &User<'_>, environment: &mut Vec<(String, String)>) {
    let home = if user.home.is_empty() { "/" } else { user.home };
    for (name, value) in [("HOME", home), ("USER", user.name), ("LOGNAME", user.name)] {
        if environment.iter().all(|(known, _)| known != name) {
            environment.push((name.to_owned(), value.to_owned()));
        }
    }
}

fn io_priority(priority: IoPriority) -> u32 {
    let (class, level) = match priority {
        IoPriority::RealTime(level) => (1, level),
        IoPriority::BestEffort(level) => (2, level),
        IoPriority::Idle => (3, IO_LEVELS - 1),
    };
    class << IO_CLASS_SHIFT | u32::from(level)
}

fn bounds(bound: Bound) -> [u64; 2] {
    [bound.soft, bound.hard].map(|limit| limit.unwrap_or(libc::RLIM_INFINITY))
}

fn resource(limit: ResourceLimit) -> u32 {
    match limit {
        ResourceLimit::AddressSpace => libc::RLIMIT_AS,
        ResourceLimit::Core => libc::RLIMIT_CORE,
        ResourceLimit::Cpu => libc::RLIMIT_CPU,
        ResourceLimit::Data => libc::RLIMIT_DATA,
        ResourceLimit::FileSize => libc::RLIMIT_FSIZE,
        ResourceLimit::LockedMemory => libc::RLIMIT_MEMLOCK,
        ResourceLimit::OpenFiles => libc::RLIMIT_NOFILE,
        ResourceLimit::Processes => libc::RLIMIT_NPROC,
        ResourceLimit::PendingSignals => libc::RLIMIT_SIGPENDING,
        ResourceLimit::Stack => libc::RLIMIT_STACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd:
                "root:x:0:0:r:/root:/bin/sh\nbad\nana:x:1000:100::/home/ana:\nno:x:7:7\n:x:9:9:::\n"
                    .to_owned(),
            group: "users:x:100:\naudio:x:29:bo,ana\nvideo:x:44:anabel\nbad\nown:x:100:ana\n"
                .to_owned(),
        }
    }

    fn find(user: Option<&str>, group: Option<&str>) -> Result<(u32, u32, Option<Vec<u32>>), i32> {
        let execution = Execution {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
            ..Execution::default()
        };
        let found = accounts().find(&execution, &mut Vec::new());
        let numbers = |account: Account| (account.user, account.group, account.groups);
        found
            .map(|account| numbers(account.unwrap()))
            .map_err(|fault| fault.errno)
    }

    #[test]
    fn a_user_brings_group_groups_and_variables() {
        assert_eq!(
            find(Some("ana"), None),
            Ok((1000, 100, Some(vec![100, 29])))
        );
        assert_eq!(
            find(Some("1000"), None),
            Ok((1000, 100, Some(vec![100, 29])))
        );
        assert_eq!(
            find(Some("ana"), Some("video")),
            Ok((1000, 44, Some(vec![44, 29, 100])))
        );
        assert_eq!(find(Some("4711"), Some("5")), Ok((4711, 5, Some(vec![5]))));
        let execution = Execution {
            user: Some("ana".to_owned()),
            ..Execution::default()
        };
        let mut environment = vec![("USER".to_owned(), "other".to_owned())];
        accounts().find(&execution, &mut environment).unwrap();
        let expected = [("USER", "other"), ("HOME", "/home/ana"), ("LOGNAME", "ana")];
        let given: Vec<(&str, &str)> = environment.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(given, expected);
    }

    #[test]
    fn who_is_not_there_is_said_to_be_unknown() {
        for (user, group) in [
            (Some("bo"), None),
            (Some("no"), None),
            (Some("4711"), None),
            (Some("ana"), Some("none")),
            (Some("-1"), Some("5")),
            (None, Some("none")),
        ] {
            assert_eq!(find(user, group), Err(libc::ENOENT), "{user:?} {group:?}");
        }
    }
}

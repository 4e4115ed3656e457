//! Control groups of programs: made before a program is born in one, emptied by force, looked at
//! for what was killed for its memory, and removed.
//!
//! Each run has one group of the same name in as many trees as its limits need: in that of version 2
//! if there is one, and in those of version 1 with the controllers that version 2 does not have.
//! Keeper and agent are never in one of them, so that nothing is charged to a program but itself.

mod layout;
mod limits;
mod memory;
mod prepare;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use flota_model::{
    containment::{LimitKind, LimitSet},
    execution::Limits,
    ids::AttemptId,
};
use tokio::time::sleep;

use self::layout::Controller;
#[cfg(test)]
pub(crate) use self::prepare::places_of_one;
pub use self::prepare::{GroupWish, Prospect, look};
pub(crate) use self::{
    memory::{remember, remembered},
    prepare::arrange,
};
use crate::sys::{pidfd::PidFd, spawn::setting::Membership};

/// Deepest tree of groups that programs made below theirs and that is removed with it.
const DEPTH_MAX: usize = 16;
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(5);
/// Between two looks at a group that should become empty, at most.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// Where the kernel counts what it killed for its memory.
const EVENTS_OF_TWO: &str = "memory.events";
const EVENTS_OF_ONE: &str = "memory.oom_control";

/// Which tree a [`Place`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    Two,
    /// Version 1, for this controller.
    One(Controller),
}

/// Where groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: PlaceKind,
    /// What a group there can limit.
    pub(crate) enforced: LimitSet,
    /// The parent of all groups. May be missing while there are none.
    pub(crate) folder: PathBuf,
}

/// All places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    /// That of version 2 first.
    places: Vec<Place>,
}

/// The group of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    name: String,
    /// In which places; that by which its processes are held together first.
    places: Vec<usize>,
}

/// What a child needs to get into its group.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    two: Option<(OwnedFd, OwnedFd)>,
    one: Vec<OwnedFd>,
}

impl Place {
    /// As a keeper gets it on its command line.
    pub(crate) fn to_text(&self) -> String {
        let kind = match self.kind {
            PlaceKind::Two => "two",
            PlaceKind::One(controller) => controller.word(),
        };
        format!("{kind}:{}:{}", self.enforced.bits(), self.folder.display())
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let kind = match parts.next()? {
            "two" => PlaceKind::Two,
            word => PlaceKind::One(Controller::of_word(word)?),
        };
        let enforced = LimitSet::of_bits(parts.next()?.parse().ok()?);
        let folder = PathBuf::from(parts.next()?);
        folder.is_absolute().then_some(Self {
            kind,
            enforced,
            folder,
        })
    }
}

impl Entrance {
    /// Valid as long as this is.
    pub(crate) fn membership(&self) -> Membership {
        let two = self.two.as_ref();
        Membership {
            born_in: two.map(|(folder, _)| folder.as_raw_fd()),
            unified: two.map(|(_, processes)| processes.as_raw_fd()),
            join: self.one.iter().map(AsRawFd::as_raw_fd).collect(),
        }
    }
}

/// The name of the group of a run.
pub(crate) fn name(attempt: AttemptId, run: u32) -> String {
    format!("{attempt}.{run}")
}

/// Whose group has that name.
pub(crate) fn owner(name: &str) -> Option<AttemptId> {
    let (attempt, run) = name.rsplit_once('.')?;
    run.parse::<u32>().ok()?;
    attempt.parse().ok()
}

impl Groups {
    pub(crate) fn new(places: Vec<Place>) -> Self {
        Self { places }
    }

    /// What some group can limit.
    #[cfg(test)]
    pub(crate) fn enforced(&self) -> LimitSet {
        let enforced = self.places.iter().map(|place| place.enforced);
        enforced.fold(LimitSet::default(), LimitSet::with)
    }

    #[cfg(test)]
    pub(crate) fn folders_of(&self, group: &Group) -> Vec<PathBuf> {
        let folders = self.of(group).map(|place| place.folder.join(&group.name));
        folders.collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Makes the group of a run, with its limits in force.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where a limit cannot be enforced that must be.
    pub(crate) fn create(&self, name: String, limits: &Limits) -> io::Result<(Group, Entrance)> {
        let group = Group {
            places: self.places_for(limits)?,
            name,
        };
        let entered = self.furnish(&group, limits);
        match entered {
            Ok(entrance) => Ok((group, entrance)),
            Err(error) => {
                self.remove(&group);
                Err(error)
            }
        }
    }

    fn places_for(&self, limits: &Limits) -> io::Result<Vec<usize>> {
        let holds = |place: &Place| match place.kind {
            PlaceKind::Two | PlaceKind::One(Controller::Freezer) => true,
            PlaceKind::One(_) => false,
        };
        let first = self.places.iter().position(holds);
        let mut places: Vec<usize> = first.into_iter().collect();
        // Of memory always: it tells what was killed for it, and how much there was.
        let kinds = limits.asked().iter().chain([LimitKind::Memory]);
        for kind in kinds {
            let enforces = |place: &Place| place.enforced.has(kind);
            match self.places.iter().position(enforces) {
                Some(place) if places.contains(&place) => {}
                Some(place) => places.push(place),
                None if limits.required().has(kind) => {
                    return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
                }
                None => {}
            }
        }
        Ok(places)
    }

    fn furnish(&self, group: &Group, limits: &Limits) -> io::Result<Entrance> {
        let mut entrance = Entrance::default();
        let mut set = LimitSet::default();
        for place in self.of(group) {
            let folder = place.folder.join(&group.name);
            make(&folder)?;
            for kind in place.enforced.iter().filter(|kind| !set.has(*kind)) {
                let result = place.limit(&folder, limits, kind);
                if limits.required().has(kind) {
                    result?;
                }
            }
            set = set.with(place.enforced);
            let processes = open(&folder.join("cgroup.procs"))?;
            match place.kind {
                PlaceKind::Two => {
                    let folder = OwnedFd::from(fs::File::open(&folder)?);
                    entrance.two = Some((folder, processes));
                }
                PlaceKind::One(_) => entrance.one.push(processes),
            }
        }
        Ok(entrance)
    }

    fn of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Place> {
        let places = group.places.iter();
        places.filter_map(|place| self.places.get(*place))
    }

    /// Whether the kernel killed something of it because there was no memory left.
    pub(crate) fn was_out_of_memory(&self, group: &Group) -> bool {
        let counted = |place: &Place| {
            let file = match place.kind {
                PlaceKind::Two => EVENTS_OF_TWO,
                PlaceKind::One(Controller::Memory) => EVENTS_OF_ONE,
                PlaceKind::One(_) => return false,
            };
            let text = fs::read_to_string(place.folder.join(&group.name).join(file));
            text.is_ok_and(|text| count(&text, "oom_kill") > 0)
        };
        self.of(group).any(counted)
    }

    /// The most memory that it had at once, in bytes.
    pub(crate) fn memory_peak(&self, group: &Group) -> Option<u64> {
        let peak = |place: &Place| {
            let file = match place.kind {
                PlaceKind::Two => "memory.peak",
                PlaceKind::One(Controller::Memory) => "memory.max_usage_in_bytes",
                PlaceKind::One(_) => return None,
            };
            let text = fs::read_to_string(place.folder.join(&group.name).join(file));
            text.ok()?.trim().parse().ok()
        };
        self.of(group).find_map(peak)
    }

    /// Kills all that is in it. What is being born there dies as well where the kernel can do that
    /// (`cgroup.kill`, Linux 5.14), else it is found by the next call.
    pub(crate) fn kill(&self, group: &Group) {
        for place in self.of(group) {
            place.kill(&place.folder.join(&group.name));
        }
    }

    /// Removes it if nothing is in it, and tells whether it is gone.
    pub(crate) fn remove(&self, group: &Group) -> bool {
        // All of them: what left the group of one tree may be in that of another.
        let left = self
            .of(group)
            .filter(|place| !is_removed(&place.folder.join(&group.name), DEPTH_MAX));
        left.count() == 0
    }

    /// Kills what is left in it; tells whether it is gone.
    pub(crate) fn clear(&self, group: &Group) -> bool {
        let is_gone = self.remove(group);
        if !is_gone {
            self.kill(group);
        }
        is_gone
    }

    /// Clears groups until they are gone.
    pub(crate) async fn clear_all(&self, mut groups: Vec<Group>) {
        let mut pause = LOOK_AGAIN_FIRST;
        while !groups.is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
            groups.retain(|group| !self.clear(group));
        }
    }

    /// Those of all runs of an attempt.
    pub(crate) fn of_attempt(&self, attempt: AttemptId) -> Vec<Group> {
        let names = self.names().into_iter();
        let its = names.filter(|name| owner(name) == Some(attempt));
        its.filter_map(|name| self.find(name)).collect()
    }

    /// The processes in it.
    pub(crate) fn processes(&self, group: &Group) -> Vec<u32> {
        let lists = self
            .of(group)
            .map(|place| pids(&place.folder.join(&group.name)));
        let mut all: Vec<u32> = lists.flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The group of that name, wherever it is.
    pub(crate) fn find(&self, name: String) -> Option<Group> {
        let exists = |place: &Place| place.folder.join(&name).is_dir();
        let places = self.places.iter().enumerate();
        let places: Vec<usize> = places
            .filter(|(_, place)| exists(place))
            .map(|(index, _)| index)
            .collect();
        (!places.is_empty()).then_some(Group { name, places })
    }

    /// All groups that are there.
    pub(crate) fn all(&self) -> Vec<(AttemptId, Group)> {
        let names = self.names().into_iter();
        let of_name = |name: String| Some((owner(&name)?, self.find(name)?));
        names.filter_map(of_name).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for place in &self.places {
            let entries = fs::read_dir(&place.folder).into_iter().flatten().flatten();
            names.extend(entries.filter_map(|entry| entry.file_name().into_string().ok()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Removes the parents of all groups, where none is left.
    pub(crate) fn leave(&self) {
        for place in &self.places {
            // Another keeper may use it.
            let _ = fs::remove_dir(&place.folder);
        }
    }

    /// The same, but those that only an agent can make again: with controllers handed on to it.
    pub(crate) fn leave_plain(&self) {
        let is_plain = |place: &&Place| place.kind != PlaceKind::Two || place.enforced.is_empty();
        for place in self.places.iter().filter(is_plain) {
            let _ = fs::remove_dir(&place.folder);
        }
    }
}

impl Place {
    fn limit(&self, folder: &Path, limits: &Limits, kind: LimitKind) -> io::Result<()> {
        let entries = match self.kind {
            PlaceKind::Two => limits::of_two(limits, kind),
            PlaceKind::One(_) => limits::of_one(limits, kind)
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))?,
        };
        for entry in entries {
            let mut result = Err(io::ErrorKind::NotFound.into());
            for name in entry.names {
                result = prepare::write(&folder.join(name), &entry.value);
                if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                    break;
                }
            }
            if !entry.may_be_missing {
                result?;
            }
        }
        Ok(())
    }

    fn kill(&self, folder: &Path) {
        match self.kind {
            PlaceKind::Two => {
                if prepare::write(&folder.join("cgroup.kill"), "1").is_err() {
                    kill_each(folder);
                }
            }
            PlaceKind::One(Controller::Freezer) => {
                // A frozen process cannot fork before it dies; it dies once it is thawed.
                let state = folder.join("freezer.state");
                let _ = prepare::write(&state, "FROZEN");
                kill_each(folder);
                let _ = prepare::write(&state, "THAWED");
            }
            PlaceKind::One(_) => kill_each(folder),
        }
    }
}

/// Kills the processes of a group one by one; each is looked at again once its number cannot go over
/// to another.
fn kill_each(folder: &Path) {
    let tail: PathBuf = folder.components().rev().take(2).collect();
    let mut parts: Vec<_> = tail.iter().filter_map(|part| part.to_str()).collect();
    parts.reverse();
    let end = format!("/{}", parts.join("/"));
    for pid in pids(folder) {
        let is_in = || {
            let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            text.lines()
                .any(|line| line.ends_with(&end) || line.contains(&format!("{end}/")))
        };
        if let Ok(pidfd) = PidFd::open(pid)
            && is_in()
        {
            // It may have ended meanwhile.
            let _ = pidfd.signal(libc::SIGKILL);
        }
    }
}

/// The processes of a group and of those below it.
fn pids(folder: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    gather(folder, &mut found, DEPTH_MAX);
    found
}

fn gather(folder: &Path, found: &mut Vec<u32>, depth: usize) {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    if depth > 0 {
        for below in folders(folder) {
            gather(&below, found, depth - 1);
        }
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .filter(is_folder)
        .map(|entry| entry.path())
        .collect()
}

/// Whether a group could be removed or is not there. Those that its program made below go first.
fn is_removed(folder: &Path, depth: usize) -> bool {
    let gone = |result: io::Result<()>| match result {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if gone(fs::remove_dir(folder)) {
        return true;
    }
    let below = folders(folder);
    if depth == 0 || below.is_empty() {
        return false;
    }
    for folder in &below {
        is_removed(folder, depth - 1);
    }
    gone(fs::remove_dir(folder))
}

/// Makes an empty group, with its parent where it is the first.
fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // What an earlier try left: its counts must not be taken for ours.
            let _ = fs::remove_dir(folder);
            let _ = fs::create_dir(folder);
            if pids(folder).is_empty() {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(libc::EBUSY))
            }
        }
        result => result,
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map(OwnedFd::from)
}

/// The number behind a word, at the start of a line.
fn count(text: &str, word: &str) -> u64 {
    let of_line = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        (name == word).then(|| number.trim().parse().ok())?
    };
    text.lines().find_map(of_line).unwrap_or(0)
}

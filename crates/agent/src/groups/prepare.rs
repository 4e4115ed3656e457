//! Finding out which groups this process may make, and making the one below which all others are.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flota_model::containment::{Containment, ContainmentMode, LimitKind, LimitSet};
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::{
    Place, PlaceKind,
    layout::{Controller, Hierarchy, Layout, SUPERVISOR},
    limits,
};

/// Which control groups an agent uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GroupWish {
    /// Those below its own, as far as it may.
    #[default]
    Auto,
    /// None.
    Off,
    /// Those below this one, which is the same path in every tree of groups.
    Below(String),
}

/// What this process may do with control groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prospect {
    /// How programs are contained.
    pub containment: Containment,
    /// Groups that would have to be writable and are not.
    pub closed: Vec<PathBuf>,
    /// Our own group, in the tree that matters most.
    pub own: Option<PathBuf>,
    pub(crate) places: Vec<Place>,
    /// Groups that were asked for and were not there.
    made: Vec<PathBuf>,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Leave everything as it is.
    Look,
    /// Move ourselves where that is needed, and hand controllers on to the groups below.
    Arrange,
}

/// Looks at this machine, and leaves it as it is.
pub fn look(wish: &GroupWish) -> Prospect {
    let name = format!("flota-look-{}", std::process::id());
    let layout = read(Path::new("/"), wish);
    layout.map_or_else(Prospect::default, |layout| {
        survey(&layout, wish, &name, Depth::Look)
    })
}

/// Makes what groups of programs need. `root` is `/`, but in tests.
pub(crate) fn arrange(root: &Path, wish: &GroupWish, data: &Path) -> io::Result<Prospect> {
    let name = parent_name(data)?;
    let layout = read(root, wish);
    Ok(layout.map_or_else(Prospect::default, |layout| {
        survey(&layout, wish, &name, Depth::Arrange)
    }))
}

/// The places that version 1 alone would give.
#[cfg(test)]
pub(crate) fn places_of_one(data: &Path) -> Vec<Place> {
    let wish = GroupWish::Auto;
    let layout = Layout {
        two: None,
        ..read(Path::new("/"), &wish).unwrap()
    };
    survey(&layout, &wish, &parent_name(data).unwrap(), Depth::Arrange).places
}

/// The group below which all others of this data folder are. Named by the folder itself, so that two
/// agents of one machine never take each other's groups for theirs.
fn parent_name(data: &Path) -> io::Result<String> {
    let status = fs::metadata(data)?;
    Ok(format!("flota-{:x}-{:x}", status.dev(), status.ino()))
}

/// `None` where no groups are to be used.
fn read(root: &Path, wish: &GroupWish) -> Option<Layout> {
    let layout = match wish {
        GroupWish::Off => return None,
        GroupWish::Auto => Layout::read(root, None),
        GroupWish::Below(path) => Layout::read(root, Some(path)),
    };
    let unread = |error: &io::Error| {
        tracing::warn!(%error, "the control groups of this process cannot be read");
    };
    layout.inspect_err(unread).ok()
}

fn survey(layout: &Layout, wish: &GroupWish, name: &str, depth: Depth) -> Prospect {
    let mut prospect = Prospect::default();
    let memory = |one: &&Hierarchy| one.controllers.contains(&Controller::Memory);
    let first = layout.two.iter().chain(layout.one.iter().filter(memory));
    prospect.own = first.map(|hierarchy| hierarchy.folder.clone()).next();
    if let Some(two) = layout
        .two
        .as_ref()
        .filter(|two| prospect.is_open(two, wish))
    {
        prospect.places.push(two_place(two, name, depth));
    }
    let is_without_two = prospect.places.is_empty();
    for one in &layout.one {
        if prospect.is_open(one, wish) {
            for controller in &one.controllers {
                let is_wanted = *controller != Controller::Freezer || is_without_two;
                prospect
                    .places
                    .extend(one_place(one, *controller, name).filter(|_| is_wanted));
            }
        }
    }
    prospect.containment = containment(&prospect.places);
    if depth == Depth::Look {
        // One that was made here is empty.
        for folder in &prospect.made {
            let _ = fs::remove_dir(folder);
        }
    }
    prospect
}

/// The way follows from where groups can be made.
fn containment(places: &[Place]) -> Containment {
    let has_two = places.iter().any(|place| place.kind == PlaceKind::Two);
    let has_one = places.iter().any(|place| place.kind != PlaceKind::Two);
    let enforced = places.iter().map(|place| place.enforced);
    Containment {
        mode: match (has_two, has_one) {
            (true, false) => ContainmentMode::Unified,
            (true, true) => ContainmentMode::Hybrid,
            (false, true) => ContainmentMode::VersionOne,
            (false, false) => ContainmentMode::Sessions,
        },
        enforced: enforced.fold(LimitSet::default(), LimitSet::with),
    }
}

impl Prospect {
    /// Whether groups can be made below, and processes be moved there.
    fn is_open(&mut self, hierarchy: &Hierarchy, wish: &GroupWish) -> bool {
        let folder = &hierarchy.folder;
        if matches!(wish, GroupWish::Below(_)) {
            // One that cannot be made is not writable either.
            let is_new = !folder.exists() && fs::create_dir_all(folder).is_ok();
            self.made.extend(is_new.then(|| folder.clone()));
        }
        let is_open = is_writable(folder) && is_writable(&folder.join("cgroup.procs"));
        if !is_open {
            self.closed.push(folder.clone());
        }
        is_open
    }
}

/// Bits of the mode say nothing of a mount that is read-only.
fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
        && statvfs(path).is_ok_and(|status| !status.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn two_place(two: &Hierarchy, name: &str, depth: Depth) -> Place {
    let parent = two.folder.join(name);
    let mut enforced = LimitSet::default();
    if let Err(error) = make(&parent) {
        tracing::warn!(%error, path = %parent.display(), "no control group can be made");
    }
    let available = words_of(&two.folder.join("cgroup.controllers"));
    if !available.is_empty() {
        let given = match depth {
            Depth::Look => available,
            Depth::Arrange => hand_on(two, &parent, &available),
        };
        // Where nothing is handed on yet, the files are not there to be seen.
        let is_seen = depth == Depth::Arrange;
        enforced = enforceable(&given, limits::files_of_two, |file| {
            !is_seen || parent.join(file).exists()
        });
    }
    if depth == Depth::Look || enforced.is_empty() {
        // Made again with the first group that it holds.
        let _ = fs::remove_dir(&parent);
    }
    Place {
        kind: PlaceKind::Two,
        enforced,
        folder: parent,
    }
}

fn one_place(one: &Hierarchy, controller: Controller, name: &str) -> Option<Place> {
    let parent = one.folder.join(name);
    make(&parent).ok()?;
    let enforced = enforceable(&[controller], limits::files_of_one, |file| {
        parent.join(file).exists()
    });
    let _ = fs::remove_dir(&parent);
    (!enforced.is_empty() || controller == Controller::Freezer).then_some(Place {
        kind: PlaceKind::One(controller),
        enforced,
        folder: parent,
    })
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn enforceable(
    controllers: &[Controller],
    files: fn(LimitKind) -> (Controller, &'static [&'static str]),
    exists: impl Fn(&str) -> bool,
) -> LimitSet {
    let kinds = LimitKind::ALL.into_iter().filter(|kind| {
        let (controller, names) = files(*kind);
        controllers.contains(&controller) && names.iter().any(|name| exists(name))
    });
    kinds.collect()
}

fn words_of(path: &Path) -> Vec<Controller> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let words = text.split_ascii_whitespace();
    words.filter_map(Controller::of_word).collect()
}

/// Gives controllers to the groups below `parent`; returns those that they have.
fn hand_on(two: &Hierarchy, parent: &Path, available: &[Controller]) -> Vec<Controller> {
    const CONTROL: &str = "cgroup.subtree_control";
    let mut is_moved = false;
    let mut faults = Vec::new();
    for controller in available {
        let word = format!("+{}", controller.word());
        let mut result = write(&two.folder.join(CONTROL), &word);
        let is_inner = matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EBUSY));
        if is_inner && !two.is_root && !is_moved && step_aside(&two.folder).is_ok() {
            is_moved = true;
            result = write(&two.folder.join(CONTROL), &word);
        }
        let result = result.and_then(|()| write(&parent.join(CONTROL), &word));
        faults.extend(result.err().map(|error| (*controller, error)));
    }
    for (controller, error) in faults {
        tracing::warn!(
            %error,
            controller = controller.word(),
            path = %two.folder.display(),
            "a controller cannot be used; perhaps other processes are in the same control group"
        );
    }
    words_of(&parent.join(CONTROL))
}

/// Moves this process into a group of its own beside those of programs.
fn step_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.join(SUPERVISOR);
    make(&aside)?;
    write(&aside.join("cgroup.procs"), "0")
}

pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    // Never made: a file that the kernel does not have is a limit that it does not know.
    let file = options
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(path)?;
    rustix::io::write(file, text.as_bytes())?;
    Ok(())
}

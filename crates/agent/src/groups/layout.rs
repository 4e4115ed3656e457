//! Where control groups are mounted and which of them is ours (`man 7 cgroups`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What can be limited, or stopped as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    Memory,
    Pids,
    Cpu,
    Io,
    /// Of version 1 only; version 2 always has it.
    Freezer,
}

/// One tree of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Of version 1; those of version 2 are in `cgroup.controllers`.
    pub(crate) controllers: Vec<Controller>,
    /// Our own group, or the one that was asked for.
    pub(crate) folder: PathBuf,
    /// Whether that is the root of the whole tree.
    pub(crate) is_root: bool,
}

/// All trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) two: Option<Hierarchy>,
    pub(crate) one: Vec<Hierarchy>,
}

/// The group into which an agent moves itself, so that its own may give controllers to groups below
/// ("no internal processes", `Documentation/admin-guide/cgroup-v2.rst`).
pub(crate) const SUPERVISOR: &str = "flota-supervisor";

impl Controller {
    /// Of either version.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word {
            "memory" => Some(Self::Memory),
            "pids" => Some(Self::Pids),
            "cpu" => Some(Self::Cpu),
            "io" | "blkio" => Some(Self::Io),
            "freezer" => Some(Self::Freezer),
            _ => None,
        }
    }

    /// As `cgroup.subtree_control` has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Freezer => "freezer",
        }
    }
}

impl Layout {
    /// Reads that of this process. `root` is `/`, but in tests. Where `below` is given, that group of
    /// each tree stands for our own.
    pub(crate) fn read(root: &Path, below: Option<&str>) -> io::Result<Self> {
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo"))?;
        let own = fs::read_to_string(root.join("proc/self/cgroup"))?;
        Ok(Self::parse(root, &mounts, &own, below))
    }

    fn parse(root: &Path, mounts: &str, own: &str, below: Option<&str>) -> Self {
        let mut layout = Self::default();
        for mount in mounts.lines().filter_map(Mount::parse) {
            let words = mount.options.split(',');
            let controllers: Vec<Controller> = words.filter_map(Controller::of_word).collect();
            let Some(path) = below.or_else(|| own_path(own, &mount, &controllers)) else {
                continue;
            };
            let hierarchy = mount.hierarchy(root, path, controllers);
            if mount.is_two {
                layout.two.get_or_insert(hierarchy);
            } else if !hierarchy.controllers.is_empty() {
                layout.one.push(hierarchy);
            }
        }
        layout
    }
}

/// A line of `/proc/self/mountinfo` (`man 5 proc_pid_mountinfo`).
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    is_two: bool,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ');
        let (root, point) = (before.nth(3)?, before.next()?);
        let mut after = after.split(' ');
        let kind = after.next()?;
        let options = after.nth(1)?;
        (kind == "cgroup" || kind == "cgroup2").then_some(Self {
            root,
            point,
            is_two: kind == "cgroup2",
            options,
        })
    }

    /// Where a group is in the file system. In a container a mount may begin below the root.
    fn hierarchy(&self, root: &Path, path: &str, controllers: Vec<Controller>) -> Hierarchy {
        let below = path.strip_prefix(self.root.trim_end_matches('/'));
        let below = below.unwrap_or(path).trim_matches('/');
        let below = below.strip_suffix(SUPERVISOR).unwrap_or(below);
        let below = below.trim_end_matches('/');
        let mut folder = root.join(self.point.trim_start_matches('/'));
        if !below.is_empty() {
            folder.push(below);
        }
        Hierarchy {
            controllers,
            folder,
            is_root: below.is_empty() && self.root == "/",
        }
    }
}

/// The path of our group in a tree, from its root.
fn own_path<'a>(own: &'a str, mount: &Mount<'_>, controllers: &[Controller]) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, words, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = if mount.is_two {
            number == "0" && words.is_empty()
        } else {
            let mut known = words.split(',').filter_map(Controller::of_word);
            known.any(|controller| controllers.contains(&controller))
        };
        is_it.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        42 31 0:39 / /tmp rw - tmpfs tmpfs rw\n";

    fn parse(mounts: &str, own: &str, below: Option<&str>) -> Layout {
        Layout::parse(Path::new("/"), mounts, own, below)
    }

    #[test]
    fn a_hybrid_layout_is_understood() {
        let own = "4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice\n";
        let layout = parse(MOUNTS, own, None);
        let two = layout.two.unwrap();
        assert_eq!(two.folder, Path::new("/sys/fs/cgroup/unified/user.slice"));
        let found: Vec<_> = layout
            .one
            .iter()
            .map(|one| {
                (
                    one.controllers[0],
                    one.folder.to_str().unwrap(),
                    one.is_root,
                )
            })
            .collect();
        let expected = [
            (Controller::Cpu, "/sys/fs/cgroup/cpu", true),
            (Controller::Memory, "/sys/fs/cgroup/memory/a/b", false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_container_and_an_agent_that_moved_itself_are_understood() {
        let mounts = "41 31 0:38 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
        for (own, folder) in [
            ("0::/docker/1/flota-supervisor\n", "/sys/fs/cgroup"),
            ("0::/docker/1/unit\n", "/sys/fs/cgroup/unit"),
            ("0::/docker/1\n", "/sys/fs/cgroup"),
        ] {
            let two = parse(mounts, own, None).two.unwrap();
            assert_eq!(
                (two.folder.as_path(), two.is_root),
                (Path::new(folder), false)
            );
        }
        assert_eq!(parse("", "0::/\n", None), Layout::default());
    }

    #[test]
    fn a_group_that_is_asked_for_stands_for_our_own_in_each_tree() {
        let own = "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n";
        let layout = parse(MOUNTS, own, Some("/flota.slice/one"));
        let ends = |one: &Hierarchy| one.folder.ends_with("flota.slice/one") && !one.is_root;
        assert!(layout.one.iter().chain(&layout.two).all(ends));
        assert_eq!(layout.one.len(), 2);
    }
}

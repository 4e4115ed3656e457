use flota_model::{
    containment::ContainmentMode,
    units::{Bytes, Cpus},
};

use super::*;

/// A machine of version 2 alone, as files: what such a kernel would do by itself is there already.
struct Fake {
    root: tempfile::TempDir,
    data: PathBuf,
    own: PathBuf,
}

const FILES: [&str; 8] = [
    "cgroup.procs",
    "memory.max",
    "memory.swap.max",
    "memory.oom.group",
    "pids.max",
    "cpu.max",
    "cpu.weight",
    "io.weight",
];

impl Fake {
    fn new(controllers: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let own = at("sys/fs/cgroup/user.slice/app");
        for folder in [own.as_path(), &at("proc/self"), &at("data")] {
            fs::create_dir_all(folder).unwrap();
        }
        let mounts = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        fs::write(at("proc/self/mountinfo"), mounts).unwrap();
        fs::write(at("proc/self/cgroup"), "0::/user.slice/app\n").unwrap();
        fs::write(own.join("cgroup.controllers"), controllers).unwrap();
        fs::write(own.join("cgroup.procs"), "").unwrap();
        fs::write(own.join("cgroup.subtree_control"), "").unwrap();
        let data = at("data");
        Self { root, data, own }
    }

    /// A group as the kernel would make it. Orders for its controllers are written over the spaces.
    fn group(folder: &Path, controllers: &str) {
        fs::create_dir(folder).unwrap();
        for file in FILES {
            fs::write(folder.join(file), "").unwrap();
        }
        let text = format!("{:20}{controllers}", "");
        fs::write(folder.join("cgroup.subtree_control"), text).unwrap();
    }

    fn parent(&self) -> PathBuf {
        use std::os::unix::fs::MetadataExt;
        let status = fs::metadata(&self.data).unwrap();
        let name = format!("flota-{:x}-{:x}", status.dev(), status.ino());
        self.own.join(name)
    }

    fn arrange(&self, wish: &GroupWish) -> Prospect {
        arrange(self.root.path(), wish, &self.data).unwrap()
    }
}

fn words(set: LimitSet) -> Vec<&'static str> {
    set.iter().map(LimitKind::word).collect()
}

#[test]
fn a_delegated_group_of_version_two_enforces_what_its_controllers_can() {
    let fake = Fake::new("cpuset cpu io memory pids");
    Fake::group(&fake.parent(), "cpu io memory pids");
    let prospect = fake.arrange(&GroupWish::Auto);
    assert_eq!(prospect.containment.mode, ContainmentMode::Unified);
    assert_eq!(prospect.containment.enforced, LimitSet::ALL);
    let handed = fs::read_to_string(fake.own.join("cgroup.subtree_control")).unwrap();
    assert!(handed.starts_with('+'), "{handed}");
    assert_eq!(prospect.closed, Vec::<PathBuf>::new());
}

#[test]
fn a_controller_that_is_not_handed_on_enforces_nothing() {
    let fake = Fake::new("memory pids");
    Fake::group(&fake.parent(), "pids");
    fs::remove_file(fake.parent().join("cpu.max")).unwrap();
    let prospect = fake.arrange(&GroupWish::Auto);
    assert_eq!(words(prospect.containment.enforced), ["pids"]);
    let without = Fake::new("");
    let prospect = without.arrange(&GroupWish::Auto);
    let nothing = (ContainmentMode::Unified, LimitSet::default());
    let found = prospect.containment;
    assert_eq!((found.mode, found.enforced), nothing);
    assert!(
        !without.parent().exists(),
        "it is made with its first group"
    );
}

#[test]
fn who_may_write_nowhere_or_does_not_want_to_has_sessions() {
    let fake = Fake::new("memory");
    let off = fake.arrange(&GroupWish::Off);
    assert_eq!(off, Prospect::default());
    fs::remove_file(fake.own.join("cgroup.procs")).unwrap();
    let closed = fake.arrange(&GroupWish::Auto);
    assert_eq!(closed.containment.mode, ContainmentMode::Sessions);
    assert_eq!(closed.closed, std::slice::from_ref(&fake.own));
    fs::remove_file(fake.root.path().join("proc/self/cgroup")).unwrap();
    assert_eq!(fake.arrange(&GroupWish::Auto).places, []);
}

#[test]
fn limits_are_written_before_anything_is_born_in_a_group() {
    let fake = Fake::new("cpu io memory pids");
    Fake::group(&fake.parent(), "cpu io memory pids");
    let groups = Groups::new(fake.arrange(&GroupWish::Auto).places);
    let attempt = AttemptId::default();
    let folder = fake.parent().join(name(attempt, 3));
    Fake::group(&folder, "");
    let limits = Limits {
        memory: Some(Bytes(1 << 20)),
        pids: Some(9),
        cpus: Some(Cpus(500)),
        io_weight: Some(50),
        ..Limits::default()
    };
    let (group, entrance) = groups.create(name(attempt, 3), &limits).unwrap();
    let membership = entrance.membership();
    assert!(membership.born_in.is_some() && membership.join.is_empty());
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let files = FILES.map(read);
    assert_eq!(
        files,
        ["", "1048576", "0", "1", "9", "50000 100000", "", "50"]
    );
    assert_eq!(groups.all(), [(attempt, group.clone())]);
    assert_eq!(groups.of_attempt(attempt), std::slice::from_ref(&group));
    fs::write(folder.join("memory.events"), "low 0\noom 2\noom_kill 1\n").unwrap();
    fs::write(folder.join("memory.peak"), "4096\n").unwrap();
    assert!(groups.was_out_of_memory(&group));
    assert_eq!(groups.memory_peak(&group), Some(4_096));
    fs::write(folder.join("memory.events"), "oom 2\noom_kill 0\n").unwrap();
    assert!(!groups.was_out_of_memory(&group));
}

#[test]
fn a_limit_that_cannot_be_enforced_lets_nothing_start_unless_best_effort_does() {
    let fake = Fake::new("pids");
    Fake::group(&fake.parent(), "pids");
    let groups = Groups::new(fake.arrange(&GroupWish::Auto).places);
    let mut limits = Limits {
        memory: Some(Bytes(1 << 20)),
        pids: Some(9),
        ..Limits::default()
    };
    let attempt = AttemptId::default();
    let error = groups.create(name(attempt, 1), &limits).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
    let folder = fake.parent().join(name(attempt, 1));
    assert!(!folder.exists());
    limits.best_effort = true;
    Fake::group(&folder, "");
    groups.create(name(attempt, 1), &limits).unwrap();
    assert_eq!(fs::read_to_string(folder.join("pids.max")).unwrap(), "9");
    assert_eq!(fs::read_to_string(folder.join("memory.max")).unwrap(), "");
}

#[test]
fn places_are_remembered_as_long_as_there_are_groups() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| Place {
        kind: PlaceKind::One(Controller::Memory),
        enforced: LimitSet::of_bits(0b101),
        folder: folder.path().join(name),
    };
    let (old, new) = (place("old: with spaces"), place("new"));
    let text = old.to_text();
    assert_eq!(Place::of_text(&text), Some(old.clone()));
    for wrong in ["", "two", "two:1", "two:x:/a", "two:1:a", "other:1:/a"] {
        assert_eq!(Place::of_text(wrong), None, "{wrong}");
    }
    remember(folder.path(), std::slice::from_ref(&old)).unwrap();
    assert_eq!(remembered(folder.path()), [], "nothing is there");
    fs::create_dir(&old.folder).unwrap();
    let all = remember(folder.path(), std::slice::from_ref(&new)).unwrap();
    assert_eq!(all, [new.clone(), old]);
    fs::remove_dir(folder.path().join("old: with spaces")).unwrap();
    let all = remember(folder.path(), std::slice::from_ref(&new)).unwrap();
    assert_eq!(all, [new]);
}

#[test]
fn the_name_of_a_group_tells_whose_it_is() {
    let attempt = AttemptId {
        salt: 5,
        sequence: 12,
        ..AttemptId::default()
    };
    assert_eq!(owner(&name(attempt, 7)), Some(attempt));
    for other in [
        "",
        "cgroup.procs",
        "0-0-1",
        "0-0-1.x",
        "flota-supervisor",
        "x-y-z.1",
    ] {
        assert_eq!(owner(other), None, "{other}");
    }
}

#[test]
fn a_parent_with_controllers_is_left_to_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let place = |kind, enforced, name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        Place {
            kind,
            enforced: LimitSet::of_bits(enforced),
            folder,
        }
    };
    let places = vec![
        place(PlaceKind::Two, 1, "handed on"),
        place(PlaceKind::Two, 0, "bare"),
        place(PlaceKind::One(Controller::Pids), 4, "old"),
    ];
    let groups = Groups::new(places.clone());
    let left = || {
        places
            .iter()
            .map(|place| place.folder.exists())
            .collect::<Vec<_>>()
    };
    groups.leave_plain();
    assert_eq!(left(), [true, false, false]);
    groups.leave();
    assert_eq!(left(), [false, false, false]);
}

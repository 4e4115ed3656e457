//! Parts of the checks that depend on the machine.

use std::{fs, path::Path};

use super::{
    Check, Exit, exit,
    folder::mount_of,
    system::{our_group, version},
};

#[test]
fn the_file_system_is_that_of_the_longest_mount_point_above() {
    let table = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                 30 22 0:26 / /run rw,nosuid shared:5 - tmpfs tmpfs rw\n\
                 31 30 8:1 / /run/my\\040disk rw - xfs /dev/sda1 rw\n\
                 32 22 0:40 / /var rw - tmpfs tmpfs rw\n\
                 33 22 8:2 / /var rw - btrfs /dev/sda2 rw\n";
    let check = |path: &str, expected: &str| {
        let (kind, _) = mount_of(table, Path::new(path)).unwrap();
        assert_eq!(kind, expected, "{path}");
    };
    check("/home/me", "ext4");
    check("/running", "ext4");
    check("/run/flota", "tmpfs");
    check("/run/my disk/x", "xfs");
    check("/var/lib", "btrfs");
    assert_eq!(mount_of("", Path::new("/")), None);
}

#[test]
fn releases_have_two_numbers() {
    assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
    assert_eq!(version("5.10-rc1"), Some((5, 10)));
    assert_eq!(version("Linux"), None);
}

#[test]
fn the_mode_of_groups_and_our_own_are_found() {
    let check = |folders: &[&str], ours: &str, expected: Option<(&str, &str)>| {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let found = our_group(root.path(), ours);
        let found = found.as_ref().map(|(mode, path)| (*mode, path.as_str()));
        assert_eq!(found, expected, "{folders:?} {ours}");
    };
    let (two, old) = (
        "0::/system/flota\n",
        "5:devices:/\n4:cpu,memory:/x:y\n0::/\n",
    );
    check(&["cgroup.controllers"], two, Some(("v2", "/system/flota")));
    check(&["memory", "unified"], old, Some(("hybrid", "/memory/x:y")));
    check(&["memory"], old, Some(("v1", "/memory/x:y")));
    check(&[], old, None);
    check(&["memory"], "", None);
}

#[test]
fn the_exit_code_is_that_of_the_worst_check() {
    let ok = || Check::ok("a", String::new());
    let warn = || Check::warn("b", String::new(), String::new());
    let fail = || Check::fail("c", String::new(), String::new());
    assert_eq!(exit(&[ok()]), Exit::Ok);
    assert_eq!(exit(&[ok(), warn()]).code(), 1);
    assert_eq!(exit(&[fail(), warn(), ok()]).code(), 2);
}

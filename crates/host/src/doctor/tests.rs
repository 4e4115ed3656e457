//! Parts of the checks that depend on the machine.

use std::path::Path;

use super::{Check, Exit, exit, folder::mount_of, system::version};

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
fn the_exit_code_is_that_of_the_worst_check() {
    let ok = || Check::ok("a", String::new());
    let warn = || Check::warn("b", String::new(), String::new());
    let fail = || Check::fail("c", String::new(), String::new());
    assert_eq!(exit(&[ok()]), Exit::Ok);
    assert_eq!(exit(&[ok(), warn()]).code(), 1);
    assert_eq!(exit(&[fail(), warn(), ok()]).code(), 2);
}

//! Small tables of `/proc/PID`: text to values.

use std::{collections::BTreeMap, num::ParseIntError};

use flota_model::inspect::{ControlGroup, LINES_MAX, Limit, PATH_LENGTH_MAX};

use super::cut;

/// `limits` (`man 5 proc_pid_limits`): columns with several blanks between.
pub(super) fn limits(text: &str) -> Vec<Limit> {
    text.lines()
        .skip(1)
        .filter_map(limit)
        .take(LINES_MAX)
        .collect()
}

fn limit(line: &str) -> Option<Limit> {
    let mut columns = line
        .split("  ")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let name = columns.next()?;
    let soft = amount(columns.next()?).ok()?;
    let hard = amount(columns.next()?).ok()?;
    Some(Limit {
        name: cut(name.to_owned(), PATH_LENGTH_MAX),
        soft,
        hard,
        unit: cut(columns.next().unwrap_or("").to_owned(), PATH_LENGTH_MAX),
    })
}

/// `None` is no limit.
fn amount(text: &str) -> Result<Option<u64>, ParseIntError> {
    match text {
        "unlimited" => Ok(None),
        number => number.parse().map(Some),
    }
}

/// `cgroup` (`man 7 cgroups`): number, controllers, path.
pub(super) fn groups(text: &str) -> Vec<ControlGroup> {
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        Some(ControlGroup {
            controllers: cut(controllers.to_owned(), PATH_LENGTH_MAX),
            path: cut(path.to_owned(), PATH_LENGTH_MAX),
        })
    };
    text.lines().filter_map(group).take(LINES_MAX).collect()
}

/// `io` (`man 5 proc_pid_io`): `rchar: 123`.
pub(super) fn counters(text: &str) -> BTreeMap<String, u64> {
    let counter = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(counter).take(LINES_MAX).collect()
}

/// `smaps_rollup`: `Pss: 12 kB`, in bytes.
pub(super) fn kilobytes(text: &str) -> BTreeMap<String, u64> {
    let counter = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let number: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some((name.to_owned(), number.saturating_mul(1024)))
    };
    text.lines().filter_map(counter).take(LINES_MAX).collect()
}

/// Some lines of `status`.
pub(super) fn lines(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        names
            .contains(&name)
            .then(|| (name.to_owned(), cut(words.join(" "), PATH_LENGTH_MAX)))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_units() {
        let text = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 4096                 files     
Max nice priority         0                    0                    
nonsense
";
        let limit = |name: &str, soft, hard, unit: &str| Limit {
            name: name.into(),
            soft,
            hard,
            unit: unit.into(),
        };
        let expected = [
            limit("Max cpu time", None, None, "seconds"),
            limit("Max open files", Some(1024), Some(4096), "files"),
            limit("Max nice priority", Some(0), Some(0), ""),
        ];
        assert_eq!(limits(text), expected);
    }

    #[test]
    fn groups_may_have_colons_in_their_paths() {
        let found = groups("4:cpu,cpuacct:/a:b\n0::/c\nx\n");
        let expected =
            [("cpu,cpuacct", "/a:b"), ("", "/c")].map(|(controllers, path)| ControlGroup {
                controllers: controllers.into(),
                path: path.into(),
            });
        assert_eq!(found, expected);
    }

    #[test]
    fn counters_are_numbers_and_memory_is_in_bytes() {
        let found = counters("rchar: 12\nwchar: x\nsyscr:3\n");
        assert_eq!(
            found,
            BTreeMap::from([("rchar".into(), 12), ("syscr".into(), 3)])
        );
        let text = "00400000-7ffd [rollup]\nRss:     12 kB\nPss_Dirty: 1 kB\nTHPeligible: 0\n";
        assert_eq!(
            kilobytes(text),
            BTreeMap::from([("Rss".into(), 12_288), ("Pss_Dirty".into(), 1_024)])
        );
        let text = "Name:\tx\nUid:\t0\t0\t0\t0\n";
        assert_eq!(
            lines(text, &["Uid"]),
            BTreeMap::from([("Uid".into(), "0 0 0 0".into())])
        );
    }
}

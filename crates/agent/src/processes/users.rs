//! Names of users, from `/etc/passwd` (`man 5 passwd`).

use std::{collections::HashMap, fs::File, io::Read as _, time::Duration};

use flota_model::units::Moment;

/// How long names are believed.
const AGE_MAX: Duration = Duration::from_mins(1);
/// A longer file is not read further.
const LENGTH_MAX: u64 = 4 << 20;
/// Longer names are no names (`man 8 useradd` allows 32 bytes).
const NAME_LENGTH_MAX: usize = 64;

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Users {
    names: HashMap<u32, String>,
    read_at: Option<Moment>,
}

impl Users {
    /// Reads the file when what is known is old.
    pub(super) fn refresh(&mut self, now: Moment) {
        if self.read_at.is_some_and(|then| now.since(then) < AGE_MAX) {
            return;
        }
        self.read_at = Some(now);
        let mut bytes = Vec::new();
        if let Ok(file) = File::open("/etc/passwd")
            && file.take(LENGTH_MAX).read_to_end(&mut bytes).is_ok()
        {
            self.names = parse(&String::from_utf8_lossy(&bytes));
        }
    }

    pub(super) fn name(&self, uid: u32) -> Option<String> {
        self.names.get(&uid).cloned()
    }
}

/// The first name of a number counts, as for everybody else (`man 3 getpwuid`).
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1));
        if let (Some(name), Some(Ok(uid))) = (name, uid.map(str::parse))
            && (1..=NAME_LENGTH_MAX).contains(&name.len())
        {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts_and_nonsense_is_skipped() {
        let text = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbad\n:x:5:5::/:\nana:x:1000:1::/:\nx:x:y:1::/:\n";
        let expected = [(0, "root".to_owned()), (1000, "ana".to_owned())];
        assert_eq!(parse(text), HashMap::from(expected));
    }
}

//! One `dev` in a folder at a time, and what it leaves for others to read.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

const LOCK: &str = "dev.lock";
/// Written by the server once it listens.
const ADDRESSES: &str = "addresses.json";

/// The lock; held until it is dropped. Close-on-exec, so that no child has it.
#[derive(Debug)]
pub(super) struct Lock(File);

/// Who has the lock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// Empty while it starts.
    pub(super) url: String,
}

impl Lock {
    /// Takes the lock of the folder, or tells who has it.
    pub(super) fn take(folder: &Path) -> io::Result<Result<Self, Holder>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self(file);
                lock.write("")?;
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                Ok(Err(serde_json::from_str(&text).unwrap_or_default()))
            }
            Err(TryLockError::Error(source)) => Err(source),
        }
    }

    /// Tells others who has it and where.
    pub(super) fn write(&self, url: &str) -> io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            url: url.to_owned(),
        };
        let text = serde_json::to_vec(&holder)?;
        let mut file = &self.0;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&text)
    }

    /// Removes all that is in the folder beside the lock.
    pub(super) fn empty_around(folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Addresses {
    http: String,
    pid: u32,
}

/// Where the server with that process id listens, once it does.
pub fn url_of_server(folder: &Path, pid: u32) -> Option<String> {
    let text = fs::read_to_string(folder.join(ADDRESSES)).ok()?;
    let addresses: Addresses = serde_json::from_str(&text).ok()?;
    (addresses.pid == pid).then(|| format!("http://{}", addresses.http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap().unwrap();
        lock.write("http://127.0.0.1:1").unwrap();
        let holder = Lock::take(folder.path()).unwrap().unwrap_err();
        let expected = Holder {
            pid: std::process::id(),
            url: "http://127.0.0.1:1".into(),
        };
        assert_eq!(holder, expected);
        drop(lock);
        Lock::take(folder.path()).unwrap().unwrap();
    }

    #[test]
    fn the_folder_is_emptied_but_for_the_lock_and_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "x").unwrap();
        let _lock = Lock::take(folder.path()).unwrap().unwrap();
        fs::create_dir_all(folder.path().join("nodes/n1")).unwrap();
        fs::write(folder.path().join("nodes/n1/journal"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        Lock::empty_around(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), LOCK);
        assert!(outside.path().join("precious").exists());
        assert!(
            Lock::take(folder.path()).unwrap().is_err(),
            "the lock is still held"
        );
    }

    #[test]
    fn only_the_addresses_of_our_own_server_count() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(url_of_server(folder.path(), 7), None);
        let text = r#"{"http": "127.0.0.1:7071", "socket": "/x", "pid": 7}"#;
        fs::write(folder.path().join(ADDRESSES), text).unwrap();
        assert_eq!(
            url_of_server(folder.path(), 7),
            Some("http://127.0.0.1:7071".into())
        );
        assert_eq!(
            url_of_server(folder.path(), 8),
            None,
            "left by one that was killed"
        );
    }
}

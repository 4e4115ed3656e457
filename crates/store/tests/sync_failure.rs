//! A disk whose syncs fail: nothing is written any more, and what was acknowledged stays.
//!
//! SQLite asks the C library to sync, so a small library answers in its place and fails for the
//! file that a test names.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::symlink,
        path::{Path, PathBuf},
        process::Command,
    };

    use flota_model::{
        change::{AuditRecord, Batch, Change},
        ids::{Authority, BatchNumber, Epoch, JobId, Term},
        units::Timestamp,
    };
    use flota_store::{
        history::{AuditPage, History},
        journal::{ApplyFault, Journal},
        sqlite::{self, Opened},
    };

    /// The symbolic link that names the file whose syncs fail, while it exists.
    const LINK_VARIABLE: &str = "FLOTA_TEST_SYNC_FAILS";

    /// Stands before the C library in the process that is tested. The file is the one of the
    /// descriptor; all other syncs are made.
    const LIBRARY: &str = r#"
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <unistd.h>

        static int fails(int descriptor) {
            char link[64], open_file[4096] = {0}, failing[4096] = {0};
            const char *named = getenv("FLOTA_TEST_SYNC_FAILS");
            snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
            if (readlink(link, open_file, sizeof open_file - 1) < 0) return 0;
            if (!named || readlink(named, failing, sizeof failing - 1) < 0) return 0;
            return strcmp(open_file, failing) == 0;
        }

        static int sync_file(int descriptor) {
            if (fails(descriptor)) { errno = EIO; return -1; }
            return (int)syscall(SYS_fsync, descriptor);
        }

        int fsync(int descriptor) { return sync_file(descriptor); }
        int fdatasync(int descriptor) { return sync_file(descriptor); }
    "#;

    const AUTHORITY: Authority = Authority {
        term: Term(1),
        epoch: Epoch(1),
    };

    fn first() -> Batch {
        let taken = Change::AuthorityTaken {
            authority: AUTHORITY,
            salt: 7,
            at: Timestamp(1),
            recovered: false,
        };
        Batch {
            number: BatchNumber(1),
            authority: AUTHORITY,
            changes: vec![taken],
        }
    }

    fn audited(number: u64) -> Batch {
        let record = AuditRecord {
            at: Timestamp(number),
            principal: "local".to_owned(),
            verb: "job.submit",
            object: format!("batch/{number}"),
            reason: None,
            refused: None,
        };
        let changes = vec![Change::Audited(record)];
        Batch {
            number: BatchNumber(number),
            authority: AUTHORITY,
            changes,
        }
    }

    /// A batch of about 40 MiB: far more than makes a checkpoint due.
    fn large(number: u64) -> Batch {
        let chunk = |chunk| Change::ChunkWritten {
            job: JobId(1),
            number: chunk,
            bytes: vec![u8::try_from(number).unwrap(); 1 << 20],
        };
        let changes = (0..40).map(chunk).collect();
        Batch {
            number: BatchNumber(number),
            authority: AUTHORITY,
            changes,
        }
    }

    fn open(path: &Path) -> Opened {
        sqlite::open(path, |_| None).unwrap()
    }

    fn fail_syncs_of(path: Option<PathBuf>) {
        let link = std::env::var_os(LINK_VARIABLE).expect("only the child does this");
        match path {
            Some(path) => symlink(path, link).unwrap(),
            None => fs::remove_file(link).unwrap(),
        }
    }

    fn is_sync(result: &Result<(), ApplyFault>) -> bool {
        matches!(result, Err(ApplyFault::Sync { .. }))
    }

    /// Builds the library with the compiler that SQLite itself was built with.
    #[expect(clippy::disallowed_methods, reason = "builds what the test needs")]
    fn build(folder: &Path) -> PathBuf {
        let (source, library) = (folder.join("failing.c"), folder.join("failing.so"));
        fs::write(&source, LIBRARY).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(built.unwrap().success());
        library
    }

    /// Runs one of the ignored functions below in a process of its own.
    #[expect(clippy::disallowed_methods, reason = "the test binary runs itself")]
    fn run(child: &str) {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", child, "--ignored", "--nocapture"])
            .env("LD_PRELOAD", build(folder.path()))
            .env(LINK_VARIABLE, folder.path().join("failing"))
            .output()
            .unwrap();
        // Not the exit status alone: it is success also where no function has that name.
        let told = String::from_utf8_lossy(&child.stdout);
        let faults = String::from_utf8_lossy(&child.stderr);
        assert!(told.contains("1 passed"), "{told}{faults}");
    }

    #[test]
    fn a_store_is_never_written_again_after_a_failed_sync() {
        run("tests::failed_commit");
    }

    #[test]
    fn a_failed_sync_of_a_checkpoint_is_told_by_a_later_commit() {
        run("tests::failed_checkpoint");
    }

    #[test]
    #[ignore = "run by the test above, with syncs that fail"]
    fn failed_commit() {
        if std::env::var_os(LINK_VARIABLE).is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut opened = open(&path);
        opened.journal.apply(&[first(), audited(2)]).unwrap();

        fail_syncs_of(Some(folder.path().join("store-wal")));
        let failed = opened.journal.apply(&[audited(3)]);
        assert!(is_sync(&failed), "{failed:?}");
        // The disk seems well again; nobody can know what it has lost.
        fail_syncs_of(None);
        let sealed = opened.journal.apply(&[audited(3)]);
        assert!(is_sync(&sealed), "{sealed:?}");
        drop(opened);

        let mut opened = open(&path);
        let last = opened.journal.last_batch().unwrap().0;
        assert!((2..=3).contains(&last), "{last}");
        let page = AuditPage {
            before: None,
            limit: 9,
        };
        assert_eq!(
            opened.history.audit(&page).unwrap().rows.len() as u64,
            last - 1
        );
        opened.journal.apply(&[audited(last + 1)]).unwrap();
    }

    #[test]
    #[ignore = "run by the test above, with syncs that fail"]
    fn failed_checkpoint() {
        if std::env::var_os(LINK_VARIABLE).is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut opened = open(&path);
        opened.journal.apply(&[first()]).unwrap();
        fail_syncs_of(Some(path.clone()));
        // Each of these is durable in the log. The checkpoint beside them fails at some time.
        let failed_at = (2..50).find(|number| {
            let applied = opened.journal.apply(&[large(*number)]);
            assert!(applied.is_ok() || is_sync(&applied), "{applied:?}");
            applied.is_err()
        });
        let failed_at = failed_at.expect("the failed checkpoint was never told");
        fail_syncs_of(None);
        assert!(is_sync(&opened.journal.apply(&[audited(failed_at)])));
        drop(opened);
        assert_eq!(open(&path).journal.last_batch().unwrap().0, failed_at - 1);
    }
}

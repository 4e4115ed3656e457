//! The folder of one measurement: fresh, on a disk, removed at the end.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flota_client::{Exit, Failure};
use flota_host::Context;

/// `f_type` of file systems in memory (`man 2 statfs`): tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];

/// The folder; dropping it removes it.
pub(super) struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(super) fn new(context: &Context) -> Result<Self, Failure> {
        let folder = context.data()?.join("bench");
        let path = folder.join(format!("run-{}", std::process::id()));
        let unusable = |source: io::Error| {
            let what = context.language.error_folder_unusable(folder.display());
            Failure::new("E-FOLDER-UNUSABLE", Exit::Failed, what).because_of(&source)
        };
        fs::create_dir_all(&folder).map_err(unusable)?;
        if is_in_memory(&folder).map_err(unusable)? {
            let language = context.language;
            let what = language.error_bench_memory(folder.display());
            return Err(Failure::new("E-BENCH-MEMORY", Exit::Refused, what)
                .hint(language.hint_bench_memory()));
        }
        match fs::remove_dir_all(&path) {
            // What a killed run with the same process id left.
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(unusable(fault)),
        }
        fs::create_dir(&path).map_err(unusable)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

pub(super) fn is_in_memory(folder: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(folder)?.f_type;
    // 32 bits on some machines, where the sign is extended: only these bits have a meaning.
    let kind = u64::try_from(i128::from(kind) & 0xFFFF_FFFF).unwrap_or_default();
    Ok(IN_MEMORY.contains(&kind))
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(fault) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %fault, "the folder was not removed");
        }
    }
}

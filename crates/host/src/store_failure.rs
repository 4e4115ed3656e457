//! What is told of a store that cannot be used.

use flota_client::{Exit, Failure, Language};
use flota_store::{
    journal::LoadFault,
    sqlite::{BackupFault, OpenFault, RestoreFault},
};

/// A store that is newer, damaged or not ours; `None` where its disk or its rights are at fault.
pub fn of_open(language: Language, fault: &OpenFault) -> Option<Failure> {
    match fault {
        OpenFault::Load { path, source } => of_load(language, path, source),
        OpenFault::Foreign { path } => Some(damaged(language, path).because_of(fault)),
        OpenFault::Backup { .. } | OpenFault::Migrate { .. } | OpenFault::Folder { .. } => None,
    }
}

/// As [`of_open`], for a store that was opened.
pub fn of_load(language: Language, path: &std::path::Path, fault: &LoadFault) -> Option<Failure> {
    match fault {
        LoadFault::Newer { .. } => {
            let what = language.error_store_newer(path.display());
            let failure = Failure::new("E-STORE-NEWER", Exit::Refused, what);
            Some(failure.because_of(fault).hint(language.hint_store_newer()))
        }
        LoadFault::Damaged { .. } => Some(damaged(language, path).because_of(fault)),
        LoadFault::Busy { .. } | LoadFault::Unreadable { .. } => None,
    }
}

/// A store that holds what no server leaves there.
pub fn damaged(language: Language, path: &std::path::Path) -> Failure {
    let what = language.error_store_damaged(path.display());
    Failure::new("E-STORE-DAMAGED", Exit::Failed, what).hint(language.hint_store_damaged())
}

/// Why a store was not copied or put back; `data` is its folder.
pub(crate) fn of_copy(language: Language, data: &str, fault: &RestoreFault) -> Failure {
    match fault {
        RestoreFault::Missing { path } => {
            let what = language.error_store_missing(path.display());
            Failure::new("E-STORE-MISSING", Exit::NotFound, what)
                .hint(language.hint_store_missing())
        }
        RestoreFault::Source(open) => of_open(language, open).unwrap_or_else(|| {
            Failure::new(
                "E-FOLDER-UNUSABLE",
                Exit::Failed,
                language.error_folder_unusable(data),
            )
            .because_of(open)
        }),
        RestoreFault::Damaged { path, what } => damaged(language, path).because(what.clone()),
        RestoreFault::Exists { .. } => {
            let what = language.error_store_exists(data);
            Failure::new("E-STORE-EXISTS", Exit::Refused, what).hint(language.hint_store_exists())
        }
        RestoreFault::Write(BackupFault::Exists { path }) => {
            let what = language.error_copy_exists(path.display());
            Failure::new("E-FILE-EXISTS", Exit::Refused, what).hint(language.hint_copy_exists())
        }
        RestoreFault::Write(BackupFault::Copy { path, .. } | BackupFault::Sync { path, .. })
        | RestoreFault::Place { path, .. } => {
            let what = language.error_copy_unwritable(path.display());
            Failure::new("E-FILE-UNWRITABLE", Exit::Failed, what).because_of(fault)
        }
    }
}

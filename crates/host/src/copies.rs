//! `flota backup` and `flota restore`.

use std::path::PathBuf;

use clap::ArgMatches;
use flota_client::{Exit, Failure, Screen};
use flota_model::units::Bytes;
use flota_server::{CopyFault, FolderFault};
use flota_wire::quantity;

use crate::{
    context::{Context, folder_held},
    store_failure,
};

/// Copies the store of the data folder to a new file.
pub fn backup(
    context: &Context,
    screen: &mut Screen,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let (data, file) = (context.data()?, file(matches));
    let length = flota_server::back_up(&data, &file).map_err(|fault| failure(context, &fault))?;
    let language = context.language;
    let told = file.display().to_string();
    if screen.is_quiet() {
        screen.print_line(&told)?;
    } else {
        let size = quantity::format_size(Bytes(length));
        screen.tell(&language.backed_up(&told, size));
        screen.tell(&language.backed_up_next());
    }
    screen.flush()?;
    Ok(Exit::Ok)
}

/// Makes a copy the store of the data folder.
pub fn restore(
    context: &Context,
    screen: &mut Screen,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let (data, file) = (context.data()?, file(matches));
    let aside = flota_server::restore(&file, &data, matches.get_flag("force"))
        .map_err(|fault| failure(context, &fault))?;
    if !screen.is_quiet() {
        let language = context.language;
        screen.tell(&language.restored(data.display()));
        if let Some(aside) = aside {
            screen.tell(&language.restored_aside(aside.display()));
        }
        screen.tell(&language.restored_next());
    }
    Ok(Exit::Ok)
}

fn file(matches: &ArgMatches) -> PathBuf {
    let file = matches.get_one::<String>("file");
    PathBuf::from(file.expect("the grammar requires it"))
}

fn failure(context: &Context, fault: &CopyFault) -> Failure {
    let language = context.language;
    match fault {
        CopyFault::Folder(FolderFault::InUse { path, holder }) => {
            let holder = holder.as_ref().map(ToString::to_string).unwrap_or_default();
            folder_held(language, &path.display().to_string(), &holder)
        }
        CopyFault::Folder(folder) => {
            let what = language.error_folder_unusable(context.data_text());
            Failure::new("E-FOLDER-UNUSABLE", Exit::Failed, what).because_of(folder)
        }
        CopyFault::Store(store) => store_failure::of_copy(language, &context.data_text(), store),
    }
}

//! Files of jobs, in their folder and nowhere else.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::atomic::Ordering,
};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use flota_wire::hpc::{
    answer::Loaded,
    file::{FILE_LENGTH_MAX, FileJob, parse_file},
    job::parse_load,
};
use futures_util::{StreamExt as _, stream};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

use super::{Hpc, of_problem, refused};
use crate::problem::Problem;

/// The file that is meant where none is named.
pub(crate) const DEFAULT_FILE: &str = "trabajos.txt";
/// Jobs on their way to the fleet at a time; they are committed in groups.
const AT_A_TIME: usize = 256;

/// `POST /cargar_trabajos`
pub(super) async fn load(State(hpc): State<Hpc>, body: Body) -> Response {
    let body = match hpc.body(body).await {
        Ok(body) => body,
        Err(problem) => return of_problem(&problem),
    };
    let wanted = match parse_load(&body) {
        Ok(wanted) => wanted,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let settings = &hpc.0.settings;
    let folder = settings.jobs_folder.clone();
    let file = wanted
        .file
        .map_or_else(|| settings.job_file.clone(), Into::into);
    let shown = file.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_below(&folder, &file)).await;
    let text = match read.map_err(|_| io::Error::other("interrumpido")) {
        Ok(Ok(text)) => text,
        Ok(Err(fault)) | Err(fault) => return unreadable(&shown, &fault),
    };
    match queue(&hpc, &text).await {
        Ok(loaded) => Json(loaded).into_response(),
        Err(problem) => of_problem(&problem),
    }
}

fn unreadable(file: &str, fault: &io::Error) -> Response {
    let status = if fault.kind() == io::ErrorKind::NotFound {
        StatusCode::NOT_FOUND
    } else if fault.kind() == io::ErrorKind::FileTooLarge {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    };
    refused(status, format!("no se puede leer `{file}`: {fault}"))
}

/// Queues every line that is a job, in order.
pub(super) async fn queue(hpc: &Hpc, text: &str) -> Result<Loaded, Problem> {
    let (jobs, faults) = parse_file(text);
    let mut told: Vec<(usize, String)> = faults
        .into_iter()
        .map(|fault| (fault.line, fault.what))
        .collect();
    let mut count = 0;
    let submitted = jobs.into_iter().map(|job| submit(hpc.clone(), job));
    let mut submitted = stream::iter(submitted).buffered(AT_A_TIME);
    while let Some((line, result)) = submitted.next().await {
        match result {
            Ok(_) => count += 1,
            // What is wrong with one line says nothing of the others.
            Err(problem) if problem.kind().status == 422 => {
                told.push((line, problem.detail().to_owned()));
            }
            Err(problem) => return Err(problem),
        }
    }
    told.sort_unstable();
    if count > 0 {
        hpc.0.from_file.store(true, Ordering::Relaxed);
    }
    Ok(Loaded {
        status: "loaded",
        count,
        pending: hpc.pending().await?,
        faults: told
            .into_iter()
            .map(|(line, what)| format!("línea {line}: {what}"))
            .collect(),
    })
}

async fn submit(hpc: Hpc, job: FileJob) -> (usize, Result<u64, Problem>) {
    (job.line, hpc.submit(&job.request, None).await)
}

/// Reads a file below a folder. The kernel refuses what leads out of it, by `..`, an absolute path or a
/// link (`man 2 openat2`).
pub(super) fn read_below(folder: &Path, file: &Path) -> io::Result<String> {
    let folder = open(
        folder,
        OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH,
        Mode::empty(),
    )?;
    let opened = openat2(
        &folder,
        file,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    )?;
    let opened = File::from(opened);
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no es un archivo",
        ));
    }
    let mut text = Vec::new();
    opened.take(FILE_LENGTH_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_LENGTH_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("tiene más de {FILE_LENGTH_MAX} bytes"),
        ));
    }
    String::from_utf8(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no es UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("jobs");
        fs::create_dir(&folder).unwrap();
        fs::write(outside.path().join("secret.txt"), "secreto").unwrap();
        fs::write(folder.join("trabajos.txt"), "Numpy,1,1,1\n").unwrap();
        fs::create_dir(folder.join("sub")).unwrap();
        std::os::unix::fs::symlink("../secret.txt", folder.join("link.txt")).unwrap();
        std::os::unix::fs::symlink("trabajos.txt", folder.join("inside.txt")).unwrap();
        let read = |file: &str| read_below(&folder, Path::new(file));
        assert_eq!(read("trabajos.txt").unwrap(), "Numpy,1,1,1\n");
        assert_eq!(read("inside.txt").unwrap(), "Numpy,1,1,1\n");
        let absolute = outside.path().join("secret.txt");
        for wrong in [
            "../secret.txt",
            "sub/../../secret.txt",
            "link.txt",
            "sub",
            "none.txt",
            absolute.to_str().unwrap(),
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let length = usize::try_from(FILE_LENGTH_MAX).unwrap() + 1;
        fs::write(folder.join("large.txt"), vec![b'#'; length]).unwrap();
        assert_eq!(
            read("large.txt").unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}

//! The keeper: a small process of one thread that owns every program of a node.
//!
//! It decides nothing (`flota_engine::keeper` does) and waits for nothing but its epoll. It outlives
//! the agent: programs go on, and their ends are kept until an agent has them. SIGTERM and the like
//! are ignored, because whoever stops an agent does not mean its programs; `flota agent stop --all`
//! ends both.

pub(crate) mod accounts;
mod children;
mod log;
mod outputs;
mod peers;
#[cfg(test)]
mod rate;
mod reactor;
mod shell;
#[cfg(test)]
mod tests;
mod trees;

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use flota_engine::{keeper::codec, logs::Limits};
use flota_model::{ids::AttemptId, outcome::StreamName};

use crate::{
    groups,
    sys::{files, limits},
};

/// Folder of the keepers below the data folder.
pub(crate) const FOLDER: &str = "keeper";
/// Folder of outputs below the data folder.
pub(crate) const OUTPUT_FOLDER: &str = "output";
/// What a keeper is called in lists of processes.
pub(crate) const PROGRAM_NAME: &str = "flota-keeper";
/// Mode bit of an output file that was cut at the limit. In the file's own status, so that it
/// survives every process.
pub(crate) const CUT: u32 = 0o1000;
/// What stands before each number on the command line of a keeper, in order.
const NUMBERS: [&str; 7] = [
    "--output-bytes-max",
    "--open-files",
    "--log-segment-bytes",
    "--log-segment-age",
    "--log-segments-max",
    "--log-age-max",
    "--log-bytes-max",
];
/// What stands before each place for control groups, behind the numbers.
const PLACE: &str = "--groups";
/// What stands before the newest version that it speaks, behind all else, where that is not ours.
const VERSION_MAX: &str = "--version-max";
/// Highest number of a keeper; they are used again from 1.
const NUMBER_MAX: u32 = 9_999;

/// What a keeper is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperSettings {
    /// The agent's data folder.
    pub data: PathBuf,
    /// Longest output of one stream of one attempt, in bytes.
    pub output_bytes_max: u64,
    /// Soft limit of open files for its programs. The keeper itself takes all that it may, but
    /// programs may rely on low numbers (`select`).
    pub open_files: u64,
    /// Limits of logs that are rotated.
    pub logs: Limits,
    /// Where it may make control groups.
    pub(crate) places: Vec<groups::Place>,
    /// The newest version of the messages that it understands: it then behaves as keepers did before
    /// there was a newer one. With that an upgrade is tried without an older binary.
    pub version_max: u8,
}

/// Why a keeper did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum KeeperFault {
    /// The command line is not one that an agent writes.
    #[error("a keeper is started by an agent, not by hand")]
    Arguments,
    /// A file or folder could not be used.
    #[error("failed to use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A call of the operating system failed without which no keeper can work.
    #[error("failed to {step}")]
    System {
        /// What it was for.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl KeeperSettings {
    /// The arguments that [`Self::from_arguments`] reads, without the name of the subcommand.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--data".into(), self.data.clone().into_os_string()];
        for (flag, number) in NUMBERS.into_iter().zip(self.numbers()) {
            arguments.extend([flag.into(), number.to_string().into()]);
        }
        for place in &self.places {
            arguments.extend([PLACE.into(), place.to_text().into()]);
        }
        if self.version_max != codec::VERSION {
            arguments.extend([VERSION_MAX.into(), self.version_max.to_string().into()]);
        }
        arguments
    }

    /// In the order of [`NUMBERS`].
    fn numbers(&self) -> [u64; NUMBERS.len()] {
        [
            self.output_bytes_max,
            self.open_files,
            self.logs.segment_bytes,
            self.logs.segment_age.as_secs(),
            self.logs.segments_max.into(),
            self.logs.age_max.as_secs(),
            self.logs.node_bytes_max,
        ]
    }

    /// Reads the arguments behind the name of the subcommand.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, KeeperFault> {
        let mut arguments = arguments.into_iter();
        let mut value = |flag: &str| value(&mut arguments, flag);
        let data = value("--data")?.into();
        let mut numbers = [0; NUMBERS.len()];
        for (number, flag) in numbers.iter_mut().zip(NUMBERS) {
            let text = value(flag)?;
            let text = text.to_str().and_then(|text| text.parse().ok());
            *number = text.ok_or(KeeperFault::Arguments)?;
        }
        let [
            output_bytes_max,
            open_files,
            segment_bytes,
            segment_age,
            segments_max,
            age_max,
            node_bytes_max,
        ] = numbers;
        let (places, version_max) = places_and_version(&mut arguments)?;
        Ok(Self {
            places,
            version_max,
            data,
            output_bytes_max,
            open_files,
            logs: Limits {
                segment_bytes,
                segment_age: Duration::from_secs(segment_age),
                segments_max: u32::try_from(segments_max).unwrap_or(u32::MAX),
                age_max: Duration::from_secs(age_max),
                node_bytes_max,
            },
        })
    }
}

/// The value behind a flag that must be next.
fn value(
    arguments: &mut impl Iterator<Item = OsString>,
    flag: &str,
) -> Result<OsString, KeeperFault> {
    let is_it = arguments.next().is_some_and(|argument| argument == flag);
    let value = arguments.next().filter(|_| is_it);
    value.ok_or(KeeperFault::Arguments)
}

/// All that are left.
fn places_and_version(
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<(Vec<groups::Place>, u8), KeeperFault> {
    let (mut places, mut version_max) = (Vec::new(), codec::VERSION);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(KeeperFault::Arguments)?;
        let text = value.to_str().ok_or(KeeperFault::Arguments)?;
        if flag == VERSION_MAX {
            version_max = text.parse().map_err(|_| KeeperFault::Arguments)?;
            continue;
        }
        let place = groups::Place::of_text(text).filter(|_| flag == PLACE);
        places.push(place.ok_or(KeeperFault::Arguments)?);
    }
    Ok((places, version_max))
}

/// Runs a keeper to its end. It writes its number and a line end to stdout once agents can connect.
pub fn main(settings: &KeeperSettings) -> ExitCode {
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let fault: &dyn std::error::Error = &fault;
            tracing::error!(error = fault, "the keeper cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &KeeperSettings) -> Result<(), KeeperFault> {
    let signals = crate::sys::signals::take_over(&[libc::SIGCHLD])
        .map_err(system("take over the signals"))?;
    // Fails only where we lead a group already; then we are apart enough.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| system("become a subreaper")(error.into()))?;
    let limit = limits::raise_open_files();
    let place = Place::new(&settings.data)?;
    let listener = crate::sys::socket::listen(&place.folder, &place.name("sock"))
        .map_err(place.fault("sock"))?;
    let null = open_null()?;
    let shell = shell::Shell::new(
        settings,
        &place,
        shell::Descriptors {
            signals,
            listener,
            null,
            open_files: Some((settings.open_files.min(limit), limit)),
        },
    )?;
    announce(&place)?;
    let result = shell.run();
    place.remove();
    result
}

/// The files of one keeper: `<number>.lock` (locked while it lives), `.log`, `.sock`.
#[derive(Debug)]
struct Place {
    folder: OwnedFd,
    path: PathBuf,
    number: u32,
    _lock: OwnedFd,
}

impl Place {
    /// Takes the lowest number above all that are in use, or a free one where that is the highest.
    fn new(data: &Path) -> Result<Self, KeeperFault> {
        let path = data.join(FOLDER);
        let fault = |source| KeeperFault::File {
            path: path.clone(),
            source,
        };
        files::private_folder(&path).map_err(fault)?;
        let folder = files::folder(&path).map_err(fault)?;
        let highest = numbers(&path)
            .map_err(fault)?
            .into_iter()
            .max()
            .unwrap_or(0);
        let numbers = (highest + 1..=NUMBER_MAX).chain(1..=highest.min(NUMBER_MAX));
        for number in numbers {
            let name = format!("{number}.lock");
            match files::exclusive(&folder, &name) {
                Ok(lock) => {
                    // An agent that looks whether we are dead holds it for a moment.
                    while !files::lock(&lock).map_err(fault)? {
                        std::thread::yield_now();
                    }
                    return Ok(Self {
                        folder,
                        path,
                        number,
                        _lock: lock,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault(error)),
            }
        }
        Err(fault(io::ErrorKind::StorageFull.into()))
    }

    fn name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.number)
    }

    fn fault(&self, extension: &str) -> impl FnOnce(io::Error) -> KeeperFault {
        let path = self.path.join(self.name(extension));
        move |source| KeeperFault::File { path, source }
    }

    /// The lock goes last: without it the rest is not looked at.
    fn remove(&self) {
        for extension in ["sock", "log", "lock"] {
            let flags = rustix::fs::AtFlags::empty();
            let _ = rustix::fs::unlinkat(&self.folder, self.name(extension), flags);
        }
    }
}

/// The name of an output file that could not be without one, until the agent has read it.
pub(crate) fn partial_name(attempt: AttemptId, stream: StreamName) -> String {
    format!("{attempt}.{}.partial", stream.word())
}

/// The numbers of all keepers that have files in a folder.
pub(crate) fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".lock"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn system(step: &'static str) -> impl FnOnce(io::Error) -> KeeperFault {
    move |source| KeeperFault::System { step, source }
}

fn open_null() -> Result<OwnedFd, KeeperFault> {
    let path = Path::new("/dev/null");
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    null.map(OwnedFd::from).map_err(|source| KeeperFault::File {
        path: path.into(),
        source,
    })
}

/// Tells who started us that we listen, and lets go of what we were started with.
fn announce(place: &Place) -> Result<(), KeeperFault> {
    let line = format!("{}\n", place.number);
    let fault = |error: rustix::io::Errno| system("say that the keeper listens")(error.into());
    rustix::io::write(rustix::stdio::stdout(), line.as_bytes()).map_err(fault)?;
    let null = open_null()?;
    rustix::stdio::dup2_stdin(null.as_fd()).map_err(fault)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(fault)?;
    rustix::process::chdir("/").map_err(fault)
}

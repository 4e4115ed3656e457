//! Starting a keeper as a process of its own.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    process::{Command, Stdio},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::keeper::{FOLDER, KeeperSettings, PROGRAM_NAME};

/// Longest wait for a keeper to say its number.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The file for what keepers have to say is begun anew beyond this length, in bytes.
const MESSAGES_LENGTH_MAX: u64 = 1 << 20;

/// How keepers are started.
#[derive(Debug, Clone)]
pub(crate) struct KeeperCommand {
    /// The program and its first arguments.
    pub(crate) command: Vec<OsString>,
    pub(crate) settings: KeeperSettings,
}

impl KeeperCommand {
    pub(crate) fn program(&self) -> OsString {
        self.command.first().cloned().unwrap_or_default()
    }

    /// Starts a keeper and waits until it listens. It makes a session of its own, so that what ends
    /// us does not end it. We are a subreaper and reap it as any other child.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the binary executes itself again"
    )]
    pub(crate) fn start(&self) -> io::Result<u32> {
        let messages = self.settings.data.join(FOLDER).join("messages");
        let mut options = OpenOptions::new();
        let messages = options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(messages)?;
        if messages.metadata()?.len() > MESSAGES_LENGTH_MAX {
            messages.set_len(0)?;
        }
        let mut child = Command::new(self.program())
            .args(self.command.get(1..).unwrap_or_default())
            .args(self.settings.to_arguments())
            .arg0(PROGRAM_NAME)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages)
            .spawn()?;
        let number = child
            .stdout
            .as_mut()
            .and_then(|stdout| read_number(stdout).transpose());
        number.unwrap_or_else(|| {
            // It did not come up; where it still tries, it must not come up later.
            let _ = child.kill();
            let _ = child.wait();
            Err(io::ErrorKind::TimedOut.into())
        })
    }
}

/// The line with its number; `None` where there is none in time.
fn read_number(mut stdout: impl Read + AsFd) -> io::Result<Option<u32>> {
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        let mut polled = [PollFd::new(&stdout, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(START_WITHIN.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        if poll(&mut polled, Some(&timeout))? == 0 {
            return Ok(None);
        }
        let mut bytes = [0; 16];
        let length = stdout.read(&mut bytes)?;
        line.extend_from_slice(bytes.get(..length).unwrap_or_default());
        if length == 0 || line.len() > bytes.len() {
            return Ok(None);
        }
    }
    Ok(String::from_utf8_lossy(&line).trim().parse().ok())
}

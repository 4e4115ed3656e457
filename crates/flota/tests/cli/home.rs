//! A person with a home of their own who runs the real binary.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest wait for anything that does happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// A policy that allows shells: the tests are written in them.
pub(crate) const SHELL_POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shell.toml");
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Home {
    /// On the disk of the build, not in memory.
    folder: tempfile::TempDir,
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    /// Fails unless it ended with `code`, and standard error has all of `texts`.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.err.contains(text), "no `{text}` in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("all that is told is text");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        // Made by cargo when it builds, and perhaps cleared away since.
        fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(folder.path().join("none.toml"), "").unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder of every command.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The binary, in surroundings that no one else has a part in.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test starts the binary itself")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_flota"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("FLOTA_CONFIG", self.path().join("none.toml"))
            .env("FLOTA_DATA", self.data())
            .env("FLOTA_POLICY", SHELL_POLICY)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Told {
        self.command(arguments)
            .output()
            .expect("the binary runs")
            .into()
    }

    /// As [`Self::run`], for one line without quotes.
    pub(crate) fn line(&self, line: &str) -> Told {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command that prints one JSON document.
    pub(crate) fn json(&self, line: &str) -> Value {
        let told = self.line(line).succeeded();
        serde_json::from_str(&told.out).expect("JSON")
    }

    /// Starts a command that stays, and waits until it has told `ready`.
    pub(crate) fn start(&self, arguments: &[&str], ready: &str) -> Running {
        self.watch(self.command(arguments), ready)
    }

    /// As [`Self::start`], with a command that was changed.
    #[expect(
        clippy::unused_self,
        reason = "what is started belongs to this home and ends with it"
    )]
    pub(crate) fn watch(&self, mut command: Command, ready: &str) -> Running {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut told = String::new();
        while !told.contains(ready) {
            let length = err.read_line(&mut told).unwrap();
            assert_ne!(length, 0, "{command:?} ended before `{ready}`: {told}");
        }
        Running { child, err, told }
    }

    /// `flota dev` on a free port.
    pub(crate) fn dev(&self, arguments: &[&str]) -> Running {
        let all = [&["dev", "--listen", "127.0.0.1:0"], arguments].concat();
        self.start(&all, "Ctrl-C ends everything")
    }

    /// Processes whose command line names this home.
    pub(crate) fn processes(&self) -> Vec<String> {
        let home = self.path().display().to_string();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.parse::<u32>().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&home).then(|| format!("{name} {line}"))
        });
        lines.collect()
    }

    /// As [`Self::processes`], those that have `text` too.
    pub(crate) fn processes_with(&self, text: &str) -> Vec<String> {
        self.processes()
            .into_iter()
            .filter(|line| line.contains(text))
            .collect()
    }
}

/// Whatever a failed test leaves.
impl Drop for Home {
    fn drop(&mut self) {
        for line in self.processes() {
            let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A command that stays. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    pub(crate) told: String,
}

/// Whatever a failed test leaves; one that ended is not there any more.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; all that it told.
    pub(crate) fn end(mut self) -> Told {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        let mut err = std::mem::take(&mut self.told);
        self.err.read_to_string(&mut err).unwrap();
        Told {
            code: status.code(),
            out: String::new(),
            err,
        }
    }

    /// Ends it as a person does.
    pub(crate) fn stop(self) -> Told {
        self.signal(Signal::INT);
        self.end()
    }
}

/// Looks until there is something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited in vain until {what}"))
}

/// As [`eventually`], with another patience; `None` when it was in vain.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let looks = patience.as_millis() / LOOK_INTERVAL.as_millis();
    for _ in 0..looks {
        if let Some(found) = look() {
            return Some(found);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "other processes are watched from outside"
        )]
        std::thread::sleep(LOOK_INTERVAL);
    }
    look()
}

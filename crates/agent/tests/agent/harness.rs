//! A data folder with real processes.

use std::{
    fs::{self, File},
    io::Read as _,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::server::{PATIENCE, Server};

const NOBODY: u32 = 65_534;
/// As whom the agents of all tests run: `nobody`, or `namespace` for one who is root in a user namespace
/// of its own; absent for the user of the tests.
const RUN_AS: &str = "FLOTA_TEST_RUN_AS";

/// As whom an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunAs {
    Ourselves,
    /// User 65534, who may do next to nothing.
    Nobody,
    /// The same, who has become root in a user namespace.
    Namespace,
}

impl RunAs {
    fn of_surroundings() -> Self {
        match std::env::var(RUN_AS).as_deref() {
            Ok("nobody") => Self::Nobody,
            Ok("namespace") => Self::Namespace,
            Ok(other) => panic!("{RUN_AS} is {other}"),
            Err(_) => Self::Ourselves,
        }
    }
}

/// A node: its folder and its agent.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    agent: Option<Child>,
    output_bytes_max: u64,
    server: SocketAddr,
    salt: String,
    run_as: RunAs,
    /// The newest version of messages to keepers that the next agent speaks; the newest of all where absent.
    pub(crate) version_max: Option<u8>,
}

/// The executable with the subcommands of the binary.
fn harness() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let path = folder.join("examples/agent_harness");
    assert!(
        path.exists(),
        "`{}` was not built; run the tests of the whole crate",
        path.display()
    );
    path
}

impl Node {
    pub(crate) fn start(server: &Server) -> Self {
        Self::start_with_limit(server, 1 << 20)
    }

    pub(crate) fn start_with_limit(server: &Server, output_bytes_max: u64) -> Self {
        let run_as = RunAs::of_surroundings();
        let mut node = Self::new(server, output_bytes_max, run_as);
        node.restart_agent();
        node
    }

    pub(crate) fn start_as_nobody(server: &Server) -> Self {
        let mut node = Self::new(server, 1 << 20, RunAs::Nobody);
        node.restart_agent();
        node
    }

    /// Without an agent.
    pub(crate) fn prepare(server: &Server) -> Self {
        Self::new(server, 1 << 20, RunAs::of_surroundings())
    }

    fn new(server: &Server, output_bytes_max: u64, run_as: RunAs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if run_as != RunAs::Ourselves {
            let nobody = Some(NOBODY);
            std::os::unix::fs::chown(folder.path(), nobody, nobody).unwrap();
            // What builds may be in a folder that is closed to others.
            fs::copy(harness(), folder.path().join("harness")).unwrap();
        }
        Self {
            folder,
            agent: None,
            output_bytes_max,
            server: server.address,
            salt: server.salt(),
            run_as,
            version_max: None,
        }
    }

    fn command(&self) -> Command {
        let own = self.folder.path().join("harness");
        let words: Vec<PathBuf> = match self.run_as {
            RunAs::Ourselves => vec![harness()],
            RunAs::Nobody => vec![own],
            RunAs::Namespace => vec!["unshare".into(), "-Ur".into(), own],
        };
        #[expect(clippy::disallowed_methods, reason = "a test starts the harness")]
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if self.run_as != RunAs::Ourselves {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&self) -> Child {
        self.command()
            .arg("agent")
            .arg(self.folder.path())
            .arg(self.server.to_string())
            .arg(self.output_bytes_max.to_string())
            .args(self.version_max.map(|version| version.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn restart_agent(&mut self) {
        assert!(self.agent.is_none());
        self.agent = Some(self.spawn());
    }

    pub(crate) fn agent_pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// `kill -9`.
    pub(crate) fn kill_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// SIGTERM; gives what it says.
    pub(crate) fn terminate_agent(&mut self) -> String {
        kill(self.agent_pid(), libc::SIGTERM);
        self.wait_agent()
    }

    /// Waits for its end; gives what it says.
    pub(crate) fn wait_agent(&mut self) -> String {
        finish(self.agent.take().unwrap())
    }

    /// Gives what another one on the same folder says.
    pub(crate) fn second_agent(&self) -> String {
        finish(self.spawn())
    }

    pub(crate) fn stop_all(&self) -> String {
        let mut stop = self.command();
        stop.arg("stop")
            .arg(self.folder.path())
            .stdout(Stdio::piped());
        finish(stop.spawn().unwrap())
    }

    pub(crate) fn keepers(&self) -> Vec<u32> {
        let data = self.folder.path().to_str().unwrap();
        find("cmdline", |text| {
            text.contains("__keeper") && text.contains(data)
        })
    }

    pub(crate) fn kill_keepers(&self) {
        let keepers = self.keepers();
        assert!(!keepers.is_empty());
        for pid in &keepers {
            kill(*pid, libc::SIGKILL);
        }
        wait_for("the death of the keepers", || {
            keepers
                .iter()
                .all(|pid| !self.keepers().contains(pid))
                .then_some(())
        });
    }

    /// As [`Self::kill_keepers`], where there may be none, without waiting for their death. Those on
    /// their way to a program share the keeper's memory, and so its command line, but have no lock
    /// or a keeper as their parent.
    pub(crate) fn shoot_keepers(&self) {
        let looked_at = self.keepers().into_iter().filter_map(|pid| {
            let raw = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
            let flags = rustix::process::PidfdFlags::empty();
            let pidfd = rustix::process::pidfd_open(raw, flags).ok()?;
            let is_child = parent(pid).is_some_and(|parent| self.has_lock(parent));
            (self.has_lock(pid) && !is_child).then_some(pidfd)
        });
        for pidfd in looked_at.collect::<Vec<_>>() {
            let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        }
    }

    /// That of the one that lives.
    pub(crate) fn keeper_pid(&self) -> u32 {
        let keepers = self.keepers();
        assert_eq!(keepers.len(), 1);
        keepers[0]
    }

    /// Whether it is a keeper of ours.
    fn has_lock(&self, pid: u32) -> bool {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
        let mut targets = files
            .flatten()
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        let folder = self.path("keeper");
        targets.any(|target| {
            target.starts_with(&folder) && target.extension().is_some_and(|it| it == "lock")
        })
    }

    /// Waits until that many live.
    pub(crate) fn wait_keepers(&self, count: usize) {
        wait_for("that many keepers", || {
            (self.keepers().len() == count).then_some(())
        });
    }

    /// How many processes of programs there are.
    pub(crate) fn processes(&self) -> usize {
        self.programs().len()
    }

    /// Those whose attempts come from our server.
    pub(crate) fn programs(&self) -> Vec<u32> {
        find("environ", |text| {
            text.split('\0')
                .filter_map(|variable| variable.strip_prefix("FLOTA_ATTEMPT="))
                .any(|attempt| attempt.contains(&self.salt))
        })
    }

    /// Waits until all but `count` of these have ended, and then for their parent to reap them, which
    /// some never do; returns whether it did.
    pub(crate) fn wait_gone(&self, pids: &[u32], count: usize) -> bool {
        let programs = || {
            self.programs()
                .iter()
                .filter(|pid| pids.contains(pid))
                .count()
        };
        wait_for("the ends", || (programs() == count).then_some(()));
        let left = || {
            pids.iter()
                .filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
                .count()
        };
        let mut looks = 0;
        wait_for("an end of waiting", || {
            looks += 1;
            (left() == count || looks == 2_000).then_some(())
        });
        left() == count
    }

    pub(crate) fn wait_processes(&self, count: usize) {
        wait_for("that many processes", || {
            (self.processes() == count).then_some(())
        });
    }
}

/// Something that programs wait for until it is dropped.
pub(crate) struct Gate {
    path: PathBuf,
    _file: File,
}

impl Gate {
    pub(crate) fn new(path: PathBuf) -> Self {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        if RunAs::of_surroundings() != RunAs::Ourselves {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Self { path, _file: file }
    }

    /// Waits in a shell, without a process of its own.
    pub(crate) fn script(&self) -> String {
        format!("read line < {}", self.path.display())
    }

    /// Waits until that many programs wait.
    pub(crate) fn wait(&self, count: usize) {
        let own = std::process::id();
        let waits = |pid: &u32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .flatten();
            let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
            *pid != own && files.any(|target| target == self.path)
        };
        wait_for("the programs at the gate", || {
            let pids = find("comm", |_| true);
            (pids.iter().filter(|pid| waits(pid)).count() == count).then_some(())
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        for pid in self.keepers().into_iter().chain(self.programs()) {
            kill(pid, libc::SIGKILL);
        }
        remove_groups(&self.folder.path().join("groups"));
    }
}

/// Kills and removes what is left in groups of a node; best effort, as all that is tidied up.
fn remove_groups(list: &Path) {
    let text = fs::read_to_string(list).unwrap_or_default();
    for _ in 0..200 {
        let mut is_left = false;
        for folder in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            let folder = Path::new(folder);
            for group in fs::read_dir(folder).into_iter().flatten().flatten() {
                let _ = fs::write(group.path().join("cgroup.kill"), "1");
                let _ = fs::remove_dir(group.path());
            }
            let _ = fs::remove_dir(folder);
            is_left |= folder.exists();
        }
        if !is_left {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Whether the kernel keeps the status of a process after it was reaped (Linux ≥ 6.15).
pub(crate) fn kernel_keeps_exits() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 15)
}

/// Processes that are not zombies and have a file of `/proc` that fits.
fn find(file: &str, fits: impl Fn(&str) -> bool) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
        if fits(&String::from_utf8_lossy(&bytes)) {
            found.push(pid);
        }
    }
    found
}

pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(") ")?.1;
    rest.split(' ').nth(1)?.parse().ok()
}

fn kill(pid: u32, signal: i32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, signal);
}

fn finish(mut child: Child) -> String {
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child.wait().unwrap();
    said
}

/// Looks again and again until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let pause = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(waited < PATIENCE, "{what} did not happen");
        std::thread::park_timeout(pause);
        waited += pause;
    }
}

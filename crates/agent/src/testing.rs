//! Real keepers and a client for them, for tests.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use flota_engine::{
    keeper::{
        api::{ChildState, End, FromKeeper, Guard, Launch, LogMode, ToKeeper},
        codec::{VERSION, decode_from_keeper, encode_to_keeper},
    },
    logs::Limits,
};
use flota_model::ids::{AttemptId, Nonce};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    groups::{Groups, Place},
    keeper::KeeperSettings,
    proc,
    sys::{
        clock, files,
        pidfd::PidFd,
        socket::{self, Received},
    },
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The executable with the subcommand of the keeper.
pub(crate) fn harness() -> PathBuf {
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

/// A data folder with a keeper.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) keeper: Child,
    pub(crate) number: u32,
    pub(crate) groups: Groups,
    salt: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_output_limit(1 << 20)
    }

    pub(crate) fn with_output_limit(output_bytes_max: u64) -> Self {
        Self::with(
            tempfile::tempdir().unwrap(),
            output_bytes_max,
            Limits::default(),
        )
    }

    pub(crate) fn with_logs(logs: Limits) -> Self {
        Self::with(tempfile::tempdir().unwrap(), 1 << 20, logs)
    }

    pub(crate) fn with(folder: tempfile::TempDir, output_bytes_max: u64, logs: Limits) -> Self {
        Self::with_all(folder, output_bytes_max, logs, Vec::new())
    }

    /// With control groups.
    pub(crate) fn with_places(find: impl FnOnce(&Path) -> Vec<Place>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = find(folder.path());
        Self::with_all(folder, 1 << 20, Limits::default(), places)
    }

    fn with_all(
        folder: tempfile::TempDir,
        output_bytes_max: u64,
        logs: Limits,
        places: Vec<Place>,
    ) -> Self {
        let groups = Groups::new(places.clone());
        let settings = KeeperSettings {
            data: folder.path().to_owned(),
            output_bytes_max,
            open_files: 1024,
            logs,
            places,
            version_max: VERSION,
        };
        let (keeper, number) = start_keeper(&settings);
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).unwrap();
        Self {
            folder,
            keeper,
            number,
            groups,
            salt: u64::from_le_bytes(salt),
        }
    }

    /// A path for programs of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Attempts of this bench alone.
    pub(crate) fn attempt(&self, sequence: u64) -> AttemptId {
        AttemptId {
            salt: self.salt,
            sequence,
            ..AttemptId::default()
        }
    }

    /// A connection that has not said hello.
    pub(crate) fn connect(&self) -> Client {
        let folder = files::folder(&self.folder.path().join(crate::keeper::FOLDER)).unwrap();
        let name = format!("{}.sock", self.number);
        Client {
            // Refused for a moment while too many others wait to be accepted.
            socket: wait_for("a connection", || socket::connect(&folder, &name).ok()),
            inbox: VecDeque::new(),
            version: VERSION,
        }
    }

    /// A connection that has said hello, with what was listed.
    pub(crate) fn agent(&self) -> (Client, Vec<flota_engine::keeper::api::Child>) {
        self.agent_speaking(VERSION)
    }

    /// As [`Self::agent`], in that version.
    pub(crate) fn agent_speaking(
        &self,
        version: u8,
    ) -> (Client, Vec<flota_engine::keeper::api::Child>) {
        let mut client = self.connect();
        client.version = version;
        client.send(ToKeeper::Hello { nonce: Nonce(1) });
        let mut all = Vec::new();
        loop {
            let (message, _) = client.next();
            let FromKeeper::Listed { children, last } = message else {
                panic!("{message:?} before the list");
            };
            all.extend(children);
            if last {
                return (client, all);
            }
        }
    }

    /// A launch of a shell script.
    pub(crate) fn script(&self, sequence: u64, script: &str) -> Launch {
        self.launch(sequence, &["/bin/sh", "-c", script])
    }

    pub(crate) fn launch(&self, sequence: u64, argv: &[&str]) -> Launch {
        let attempt = self.attempt(sequence);
        Launch {
            run: 1,
            attempt,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            environment: vec![
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                (proc::COOKIE.to_owned(), attempt.to_string()),
            ],
            working_directory: "/".to_owned(),
            stdin: None,
            fence: None,
            class: 1,
            places: None,
            logs: LogMode::Captured,
            execution: None,
            guard: Guard::default(),
        }
    }

    /// All processes of an attempt that can be found by its cookie.
    pub(crate) fn processes(&self, sequence: u64) -> Vec<u32> {
        let attempt = self.attempt(sequence);
        find(|found| found == attempt)
    }
}

fn find(fits: impl Fn(AttemptId) -> bool) -> Vec<u32> {
    let mut found = Vec::new();
    proc::all(|pid| {
        let is_alive = proc::stat(pid).is_ok_and(|stat| stat.state != b'Z');
        if is_alive && proc::cookie(pid).is_some_and(&fits) {
            found.push(pid);
        }
    });
    found
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        for pid in find(|attempt| attempt.salt == self.salt) {
            let _ = PidFd::open(pid).and_then(|pidfd| pidfd.signal(libc::SIGKILL));
        }
        let mut left = self.groups.all();
        let deadline = clock::moment() + PATIENCE;
        while !left.is_empty() && clock::moment() < deadline {
            left.retain(|(_, group)| !self.groups.clear(group));
        }
        self.groups.leave();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts the harness")]
pub(crate) fn start_keeper(settings: &KeeperSettings) -> (Child, u32) {
    let mut keeper = Command::new(harness())
        .arg("__keeper")
        .args(settings.to_arguments())
        .arg0(crate::keeper::PROGRAM_NAME)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (keeper, line.trim().parse().unwrap())
}

/// A hand-driven agent.
pub(crate) struct Client {
    pub(crate) socket: OwnedFd,
    inbox: VecDeque<(FromKeeper, Vec<OwnedFd>)>,
    version: u8,
}

impl Client {
    pub(crate) fn send(&self, message: ToKeeper) {
        let mut packet = Vec::new();
        assert_eq!(encode_to_keeper(self.version, &[message], &mut packet), 1);
        socket::send(&self.socket, &packet, &[]).unwrap();
    }

    pub(crate) fn start(&self, launch: Launch) {
        self.send(ToKeeper::Start(Box::new(launch)));
    }

    /// The next message with its descriptors.
    pub(crate) fn next(&mut self) -> (FromKeeper, Vec<OwnedFd>) {
        let deadline = clock::moment() + PATIENCE;
        while self.inbox.is_empty() {
            assert!(clock::moment() < deadline, "no message came");
            assert!(self.receive(), "the keeper closed the connection");
        }
        self.inbox.pop_front().unwrap()
    }

    /// Waits until the keeper has closed the connection.
    pub(crate) fn wait_closed(mut self) {
        while self.receive() {}
    }

    /// Takes one packet; `false` when the connection is closed.
    fn receive(&mut self) -> bool {
        wait_readable(&self.socket);
        let mut buffer = vec![0; socket::PACKET_LENGTH_MAX];
        match socket::receive(&self.socket, &mut buffer).unwrap() {
            Received::Packet {
                length,
                descriptors,
                ..
            } => {
                let mut descriptors = descriptors.into_iter();
                for message in decode_from_keeper(&buffer[..length]).unwrap() {
                    let count = descriptors_of(&message);
                    let taken: Vec<OwnedFd> = descriptors.by_ref().take(count).collect();
                    assert_eq!(taken.len(), count, "{message:?}");
                    self.inbox.push_back((message, taken));
                }
                assert_eq!(descriptors.count(), 0, "descriptors of nobody");
                true
            }
            Received::Closed => false,
            other @ (Received::Broken | Received::Nothing) => panic!("{other:?}"),
        }
    }

    /// Waits for the end of an attempt; other messages are skipped.
    pub(crate) fn wait_end(&mut self, attempt: AttemptId) -> End {
        loop {
            if let (
                FromKeeper::Ended {
                    attempt: ended,
                    end,
                },
                _,
            ) = self.next()
                && ended == attempt
            {
                return end;
            }
        }
    }
}

fn descriptors_of(message: &FromKeeper) -> usize {
    match message {
        FromKeeper::Started { .. } => 3,
        FromKeeper::Listed { children, .. } => {
            let has = |state| matches!(state, ChildState::Running { .. } | ChildState::Ended(_));
            3 * children.iter().filter(|child| has(child.state)).count()
        }
        FromKeeper::NotStarted { .. }
        | FromKeeper::Ended { .. }
        | FromKeeper::Refused { .. }
        | FromKeeper::Unkillable(_) => 0,
    }
}

/// Waits until a descriptor is readable; fails after [`PATIENCE`].
pub(crate) fn wait_readable(descriptor: impl AsFd) {
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap(),
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut polled, Some(&timeout)).unwrap(),
        1,
        "nothing came"
    );
}

/// Looks again and again until there is something; fails after [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::moment() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::moment() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// Whether a test may become another user. If not, it is skipped, which fails where tests must be complete.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root || std::env::var_os("CI").is_none(),
        "CI must be root"
    );
    if !is_root {
        println!("skipped: only root starts a program as another user");
    }
    is_root
}

/// A file system of its own, of 512 KiB, until it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing may be mounted; that is a failure where the tests must be complete.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let words = ["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs"];
        if run("mount", &words, path) {
            return Some(Self(path.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
        println!("skipped: this user may not mount a file system");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.0);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only root can fill a disk of its own"
)]
fn run(program: &str, words: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    let ended = command.args(words).arg(path).status();
    ended.is_ok_and(|status| status.success())
}

/// The wait status of an exit with that code.
pub(crate) fn exit(code: i32) -> i32 {
    code << 8
}

/// A group of the first version that is frozen, whose process no signal ends; thawed and removed at
/// the end.
pub(crate) struct Frozen(PathBuf);

impl Frozen {
    /// `None` where there is no such hierarchy, or it may not be written; that is a failure where the
    /// tests must be complete.
    pub(crate) fn new(name: &str, pid: u32) -> Option<Self> {
        let frozen = Self::try_new(name, pid);
        if frozen.is_none() {
            assert!(std::env::var_os("CI").is_none(), "CI must have a freezer");
            println!("skipped: no freezer of the first version that may be written");
        }
        frozen
    }

    fn try_new(name: &str, pid: u32) -> Option<Self> {
        let own = std::process::id();
        let path = format!("/sys/fs/cgroup/freezer/flota-test-{name}-{own}");
        std::fs::create_dir(&path).ok()?;
        let frozen = Self(path.into());
        std::fs::write(frozen.0.join("cgroup.procs"), pid.to_string()).ok()?;
        std::fs::write(frozen.0.join("freezer.state"), "FROZEN").ok()?;
        Some(frozen)
    }

    pub(crate) fn thaw(&self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        let deadline = clock::moment() + PATIENCE;
        while std::fs::remove_dir(&self.0).is_err() && clock::moment() < deadline {
            std::thread::yield_now();
        }
    }
}

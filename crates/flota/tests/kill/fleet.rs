//! A real fleet: a server and agents as processes of the binary under test, on a folder of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

/// Numbers that a seed repeats (Knuth's MMIX constants).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

/// The processes and their folder. Dropping it kills what is left.
pub(crate) struct Fleet {
    pub(crate) folder: PathBuf,
    /// The server first, then the agents.
    members: Vec<Member>,
    address: String,
    _removed_at_the_end: tempfile::TempDir,
}

struct Member {
    arguments: Vec<String>,
    child: Child,
}

/// A command of the binary under test.
fn flota(arguments: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "a test starts the binary itself")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_flota"));
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shell.toml");
    command
        .args(arguments)
        .env("FLOTA_LANG", "en")
        .env("FLOTA_POLICY", policy);
    // Ours, and no settings of the binary.
    for name in ["FLOTA_SEED", "FLOTA_KILLS", "FLOTA_KILL_TASKS"] {
        command.env_remove(name);
    }
    command
}

fn spawn(arguments: &[String], folder: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    flota(&words)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

impl Fleet {
    /// A server and `agents` agents with two cores each; returns once all are up.
    pub(crate) fn start(agents: usize) -> Self {
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = temporary.path().to_owned();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let text = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let data = |name: &str| folder.join(name).display().to_string();
        let mut lines = vec![text(&[
            "server",
            "--data",
            &data("server"),
            "--listen",
            &address,
        ])];
        for number in 1..=agents {
            let name = format!("n{number}");
            let url = format!("http://{address}");
            let words = [
                "agent",
                "--data",
                &data(&name),
                "--server",
                &url,
                "--name",
                &name,
            ];
            lines.push([text(&words), text(&["--cpus", "2"])].concat());
        }
        let members = lines
            .into_iter()
            .map(|arguments| Member {
                child: spawn(&arguments, &folder),
                arguments,
            })
            .collect();
        let fleet = Self {
            folder,
            members,
            address,
            _removed_at_the_end: temporary,
        };
        fleet.eventually("all nodes are up", || {
            let output = fleet.ask(&["node", "ls", "-o", "jsonl"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines()
                .filter(|line| line.contains("\"phase\":\"up\""))
                .count()
                == agents
        });
        fleet
    }

    /// Runs a client command.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let token = self.folder.join("server/token").display().to_string();
        let url = format!("http://{}", self.address);
        let global = ["--server", &url, "--token-file", &token];
        flota(&[&global, arguments].concat())
            .output()
            .expect("the binary runs")
    }

    /// `flota logs JOB -f`, while it goes on.
    pub(crate) fn follow(&self, job: &str) -> Child {
        let token = self.folder.join("server/token").display().to_string();
        let url = format!("http://{}", self.address);
        let arguments = ["--server", &url, "--token-file", &token, "logs", job, "-f"];
        let mut command = flota(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().expect("the binary runs")
    }

    /// Submits a job; repeats with the same key until the server has answered.
    pub(crate) fn submit(&self, arguments: &[&str]) -> u64 {
        let all = [&["submit", "-q"], arguments].concat();
        let output = self.ask(&all);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Kills the server or an agent and starts it again after up to half a second.
    pub(crate) fn kill_one(&mut self, random: &mut Random) {
        let all = self.members.len() as u64;
        let index = usize::try_from(random.below(all)).unwrap();
        let down = Duration::from_millis(random.below(500));
        self.members[index].child.kill().unwrap();
        self.members[index].child.wait().unwrap();
        self.pause(down);
        let child = spawn(&self.members[index].arguments, &self.folder);
        self.members[index].child = child;
    }

    /// Lets the fleet work for a while: here time itself is what is tested.
    #[expect(clippy::unused_self, reason = "reads as a step of the fleet's story")]
    pub(crate) fn pause(&self, span: Duration) {
        #[expect(
            clippy::disallowed_methods,
            reason = "kills come at random times, not at events"
        )]
        std::thread::sleep(span);
    }

    /// Waits for the end of a job.
    pub(crate) fn wait_for(&self, job: u64) {
        let job = job.to_string();
        self.eventually("the job ends", || {
            let output = self.ask(&["job", "wait", &job, "--timeout", "5s"]);
            output.status.success()
        });
    }

    /// The tasks of a job with their attempts.
    pub(crate) fn tasks(&self, job: u64, count: u64) -> Vec<Value> {
        let (job, count) = (job.to_string(), count.to_string());
        let output = self.ask(&["job", "tasks", &job, "--limit", &count, "-o", "jsonl"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Stops everything as a person would; nothing may be left.
    pub(crate) fn stop(mut self) {
        for member in &self.members[1..] {
            let data = member.arguments[2].clone();
            let output = self.ask(&["agent", "stop", "--all", "--data", &data]);
            assert!(output.status.success(), "{output:?}");
        }
        for member in self.members.iter_mut().skip(1) {
            member.child.wait().unwrap();
        }
        self.members[0].child.kill().unwrap();
        self.members[0].child.wait().unwrap();
        self.eventually("no process is left", || self.left().is_empty());
    }

    /// Processes that were started for this folder.
    fn left(&self) -> Vec<u32> {
        let folder = self.folder.display().to_string();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).into_owned();
                (line.contains(&folder) && pid != std::process::id()).then_some(pid)
            })
            .collect()
    }

    /// Repeats `holds` until it holds, at most two minutes.
    fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..1_200 {
            if holds() {
                return;
            }
            self.pause(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(40).collect();
        panic!("waited in vain until {what}; the end of the log, last line first: {end:#?}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for pid in self.left() {
            #[expect(clippy::disallowed_methods, reason = "cleans up after a failed test")]
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

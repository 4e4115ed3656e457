//! Wall clocks that jump by an hour (T15): only those of the processes under test, never the machine's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::home::{Home, Running, eventually};

/// Stands before the C library: the wall clock is off by what the file says that the variable names, in
/// seconds. Other clocks are as they are.
const LIBRARY: &str = r#"
    #include <fcntl.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    static long offset(void) {
        char text[32] = {0};
        const char *path = getenv("CLOCK_OFFSET");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (file < 0) return 0;
        long length = read(file, text, sizeof text - 1);
        close(file);
        return length > 0 ? atol(text) : 0;
    }

    int clock_gettime(clockid_t clock, struct timespec *time) {
        int result = (int)syscall(SYS_clock_gettime, clock, time);
        if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += offset();
        return result;
    }
"#;

/// The hour, in seconds.
const HOUR: i64 = 3_600;
/// Grace of what does not hear its stop, in seconds.
const GRACE: f64 = 2.0;
/// The same for a busy machine.
const AT_MOST: f64 = 40.0;

struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// Built with the compiler that SQLite itself was built with.
    fn new(folder: &Path) -> Self {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, LIBRARY).unwrap();
        #[expect(clippy::disallowed_methods, reason = "builds what the test needs")]
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(built.unwrap().success());
        let offset = folder.join("offset");
        fs::write(&offset, "0").unwrap();
        Self { library, offset }
    }

    /// The command under this clock, with all that it starts.
    fn start(&self, home: &Home, arguments: &[&str], ready: &str) -> Running {
        let mut command = home.command(arguments);
        command
            .env("LD_PRELOAD", &self.library)
            .env("CLOCK_OFFSET", &self.offset);
        home.watch(command, ready)
    }

    /// Never half written, as a process may look at any time.
    fn jump_to(&self, seconds: i64) {
        let new = self.offset.with_extension("new");
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(new, &self.offset).unwrap();
    }
}

/// Seconds since the boot.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn starts(home: &Home) -> usize {
    let text = fs::read_to_string(home.path().join("starts")).unwrap_or_default();
    text.lines().count()
}

/// A program that does not hear its stop is stopped while the clock jumps: it has its grace, and no more.
fn stop_across_a_jump(home: &Home, clock: &Clock, seconds: i64) {
    let ready = home.path().join("ready");
    let _ = fs::remove_file(&ready);
    let script = format!(
        "trap '' TERM; touch {}; while :; do sleep 0.1; done",
        ready.display()
    );
    let grace = format!("{GRACE}s");
    let submit = ["submit", "-q", "--grace", &grace, "--", "sh", "-c", &script];
    let job = home.run(&submit).succeeded().out;
    eventually("the program runs", || ready.exists().then_some(()));
    let begun = uptime();
    home.line(&format!("job cancel {job}")).succeeded();
    clock.jump_to(seconds);
    eventually("the program is killed", || {
        let shown = home.json(&format!("job show {} -o json", job.trim()));
        (shown["phase"] == "finished").then_some(())
    });
    let took = uptime() - begun;
    assert!((GRACE..AT_MOST).contains(&took), "{took} s at {seconds}");
}

/// What is told of the only attempt of a job.
fn attempt(home: &Home, job: &str) -> Value {
    let tasks = home.json(&format!("job tasks {} -o json", job.trim()));
    tasks[0]["attempts"][0].clone()
}

#[test]
fn a_wall_clock_that_jumps_by_an_hour_changes_nothing_but_what_is_shown() {
    let home = Home::new();
    let clock = Clock::new(home.path());
    let server = ["server", "--listen", "127.0.0.1:0"];
    let _server = clock.start(&home, &server, "flota submit");
    let data = home.path().join("agent");
    let addresses = fs::read(home.data().join("addresses.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    let url = format!("http://{}", addresses["http"].as_str().unwrap());
    let data = data.to_str().unwrap();
    let agent = [
        "agent", "--name", "n1", "--data", data, "--cpus", "4", "--server", &url,
    ];
    let _agent = clock.start(&home, &agent, "agent stop");
    let file = format!(
        r#"
[service.loop]
program = ["sh", "-c", "echo start >> {folder}/starts; exit 1"]
restart = {{ policy = "always", backoff = "1s", backoff_max = "2s" }}

[service.calm]
program = ["sleep", "1000"]
liveness = {{ exec = ["true"], interval = "200ms", timeout = "30s", failure_threshold = 1 }}
"#,
        folder = home.path().display()
    );
    fs::write(home.path().join("services.toml"), file).unwrap();
    home.line("service apply services.toml").succeeded();
    let go = home.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    let long = home.run(&["submit", "-q", "--timeout", "5m", "--", "sh", "-c", &script]);
    let long = long.succeeded().out;
    let begun = uptime();
    for seconds in [HOUR, -HOUR, 0] {
        let before = starts(&home);
        clock.jump_to(seconds);
        // The loop goes on at its pace.
        eventually("more starts", || {
            (starts(&home) >= before + 2).then_some(())
        });
        let shown = home.line("submit -q --wait -- true").succeeded().out;
        let shown = home.json(&format!("job show {} -o json", shown.trim()));
        #[expect(clippy::disallowed_methods, reason = "what a clock beside ours says")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let off = shown["submitted_at"].as_f64().unwrap() - now.unwrap().as_secs_f64();
        let expected = f64::from(i32::try_from(seconds).unwrap());
        assert!(
            (off - expected).abs() < 60.0,
            "{off} s: no clock of ours was asked"
        );
        stop_across_a_jump(&home, &clock, -seconds);
    }
    // A start a second and a half on average, and a run of nothing.
    let most = 20.0 + 4.0 * (uptime() - begun);
    let all = f64::from(u32::try_from(starts(&home)).unwrap());
    assert!(all < most, "a storm of {all} starts");
    let calm = home.json("service show calm -o json");
    assert_eq!(calm["replicas"][0]["run"], 1, "{calm}");
    assert_eq!(calm["replicas"][0]["state"], "ready", "{calm}");
    assert_eq!(home.json("node ls -o json")[0]["phase"], "up");
    assert_eq!(
        attempt(&home, &long)["outcome"],
        Value::Null,
        "it timed out"
    );
    fs::write(&go, "").unwrap();
    home.line(&format!("job wait {long}")).succeeded();
    let ended = attempt(&home, &long);
    let at = |key: &str| ended[key].as_f64().unwrap();
    assert!(at("started_at") <= at("ended_at"), "{ended}");
}

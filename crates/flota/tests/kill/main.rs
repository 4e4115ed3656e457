//! The kill test: a real fleet whose server and agents are killed with SIGKILL at random.
//!
//! Every task appends one line to a file of its own when it starts and one when it ends. Afterwards
//! every task has exactly one end line and one counted attempt, and no start came after an end.
//! `FLOTA_KILL_TASKS`, `FLOTA_KILLS` and `FLOTA_SEED` make it longer or repeat a run.

#[cfg(test)]
mod fleet;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path, time::Duration};

    use crate::fleet::{Fleet, Random};

    fn number(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    }

    /// The log of a program is followed while server and agent are killed: each line comes once, and the
    /// command ends as the program did.
    #[test]
    fn a_log_is_followed_across_kills_of_server_and_agent() {
        const LINES: u32 = 400;
        let seed = number("FLOTA_SEED", 20_261_121);
        println!("repeat with FLOTA_SEED={seed}");
        let mut random = Random(seed);
        let mut fleet = Fleet::start(1);
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 7"
        );
        let started = fleet.ask(&["start", "n1", "-q", "--", "/bin/sh", "-c", &script]);
        let job = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        let followed = fleet.follow(&job);
        for _ in 0..4 {
            fleet.pause(Duration::from_millis(500 + random.below(1_000)));
            fleet.kill_one(&mut random);
        }
        let output = followed.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let expected: Vec<String> = (1..=LINES).map(|i| format!("line {i}")).collect();
        assert_eq!(lines, expected);
        assert_eq!(output.status.code(), Some(7));
        fleet.stop();
    }

    /// Program tasks and, beside them, as many no-op kernel tasks.
    #[test]
    fn nothing_is_lost_or_done_twice_while_server_and_agents_are_killed() {
        let seed = number("FLOTA_SEED", 20_261_121);
        let tasks = number("FLOTA_KILL_TASKS", 10_000);
        let kills = number("FLOTA_KILLS", 30);
        println!("repeat with FLOTA_SEED={seed} FLOTA_KILL_TASKS={tasks} FLOTA_KILLS={kills}");
        let mut random = Random(seed);
        let mut fleet = Fleet::start(3);
        let marks = fleet.folder.join("marks");
        fs::create_dir(&marks).unwrap();
        let script = "echo start >> $0; sleep 0.02; echo end >> $0";
        let mark = format!("{}/{{index}}", marks.display());
        let array = format!("1-{tasks}");
        let programs = fleet.submit(&["--array", &array, "--", "/bin/sh", "-c", script, &mark]);
        let kernels = fleet.submit(&["--array", &array, "--kernel", "noop"]);

        // Tasks take at least 20 ms on six slots: the kills are spread over that time.
        let gap = (tasks * 20 / 6).max(1_000) / (kills + 1);
        for _ in 0..kills {
            fleet.pause(Duration::from_millis(random.below(2 * gap)));
            fleet.kill_one(&mut random);
        }
        fleet.wait_for(programs);
        fleet.wait_for(kernels);

        check_marks(&marks, tasks);
        for job in [programs, kernels] {
            check_attempts(&fleet.tasks(job, tasks), tasks);
        }
        fleet.stop();
    }

    fn check_marks(marks: &Path, tasks: u64) {
        for index in 1..=tasks {
            let text = fs::read_to_string(marks.join(index.to_string()))
                .unwrap_or_else(|error| panic!("task {index} left no mark: {error}"));
            let lines: Vec<&str> = text.lines().collect();
            let ends = lines.iter().filter(|line| **line == "end").count();
            assert_eq!(ends, 1, "task {index}: {lines:?}");
            assert_eq!(
                lines.last(),
                Some(&"end"),
                "task {index} started after its end: {lines:?}"
            );
        }
    }

    fn check_attempts(rows: &[serde_json::Value], tasks: u64) {
        assert_eq!(rows.len() as u64, tasks);
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows {
            *states
                .entry(row["state"].as_str().unwrap().to_owned())
                .or_default() += 1;
            let attempts = row["attempts"].as_array().unwrap();
            let counted = attempts
                .iter()
                .filter(|attempt| attempt["counted"] == true)
                .count();
            assert_eq!(counted, 1, "{row}");
        }
        assert_eq!(states, BTreeMap::from([("succeeded".to_owned(), tasks)]));
    }
}

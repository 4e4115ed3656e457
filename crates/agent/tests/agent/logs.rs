//! A storm of lines while agent and keeper are killed: none is lost, torn or doubled.
//!
//! `FLOTA_LOG_ROUNDS` and `FLOTA_SEED` make it longer or repeat a run.

use std::{fs, path::Path};

use flota_model::{
    outcome::Outcome,
    spec::{LogKind, Retry, Work},
};

use crate::{
    chance::{Random, number},
    harness::Node,
    server::{Server, job, script},
};

/// Of each program, so that even the fastest machine removes no segment.
const LINES_MAX: u32 = 2_000_000;
/// Kills of the agent after each kill of the keeper.
const AGENT_KILLS: u32 = 4;

fn rotated(text: &str) -> Work {
    let Work::Program(mut program) = script(text) else {
        panic!("a script is a program");
    };
    program.logs = LogKind::Rotated;
    Work::Program(program)
}

/// The bytes of all segments of a stream, which must follow each other without a gap.
fn written(folder: &Path, stream: &str) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(stream) && name.contains(".log"))
        .collect();
    names.sort_unstable();
    let mut bytes = Vec::new();
    for name in names {
        let start: usize = name.split('.').nth(1).unwrap().parse().unwrap();
        assert_eq!(start, bytes.len(), "a gap before {name}");
        bytes.extend(fs::read(folder.join(name)).unwrap());
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_lost_torn_or_doubled_while_agent_and_keeper_are_killed() {
    let seed = number("FLOTA_SEED", 20_261_121);
    let rounds = number("FLOTA_LOG_ROUNDS", 5);
    println!("repeat with FLOTA_SEED={seed} FLOTA_LOG_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    let mut hellos = 1;
    server.wait_hello(hellos).await;
    let (stop, counts) = (node.path("stop"), node.path("counts"));
    fs::create_dir(&counts).unwrap();
    let text = format!(
        "i=0; while [ ! -e {} ]; do if [ $i -lt {LINES_MAX} ]; then i=$((i+1)); echo $i out; echo $i err >&2; fi; done; echo $i > {}/$0",
        stop.display(),
        counts.display()
    );
    for round in 0..rounds {
        let work = rotated(&text.replace("$0", &round.to_string()));
        server.grant(round, 1, job(1, work, Retry::Never));
        node.wait_processes(usize::try_from(round + 1).unwrap());
        random.pause(80);
        let is_agent_dead = random.below(2) == 1;
        if is_agent_dead {
            node.kill_agent();
        }
        node.kill_keepers();
        for kill in 0..AGENT_KILLS {
            random.pause(80);
            if !(is_agent_dead && kill == 0) {
                node.kill_agent();
            }
            random.pause(80);
            node.restart_agent();
            hellos += 1;
            server.wait_hello(hellos).await;
        }
    }
    fs::write(&stop, "").unwrap();
    server.wait_reports(usize::try_from(rounds).unwrap()).await;
    for round in 0..rounds {
        let outcome = &server.reports[&round].outcome;
        assert!(
            matches!(outcome, Outcome::Exited { code: 0 } | Outcome::Unknown),
            "{outcome:?}"
        );
        let count = fs::read_to_string(counts.join(round.to_string())).unwrap();
        let count: u64 = count.trim().parse().unwrap();
        let folder = node.path(&format!("logs/{}.1", server.attempt(round)));
        for (stream, word) in [("stdout", "out"), ("stderr", "err")] {
            let text = String::from_utf8(written(&folder, stream)).unwrap();
            let mut number = 0;
            for line in text.split_inclusive('\n') {
                number += 1;
                assert_eq!(line, format!("{number} {word}\n"), "program {round}");
            }
            assert_eq!(number, count, "program {round}, {stream}");
        }
    }
}

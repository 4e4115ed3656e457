use std::time::Duration;

use flota_model::{
    execution::{Bound, Execution, IoPriority, Limits, ResourceLimit},
    ids::{AttemptId, BootId, Epoch, Nonce},
    outcome::{StartStage, Usage},
    sample::{Remnant, Unkillable},
    units::{Bytes, Cpus, Moment, Timestamp},
};

use super::*;
use crate::{
    journal::random::Random,
    keeper::api::{Child, ChildState, End, Guard, Identity, LogMode, StopReason},
};

mod versions;

fn identity(random: &mut Random) -> Identity {
    Identity {
        boot: BootId(u128::from(random.next())),
        pid_namespace: random.number(),
        pid: random.small(),
        start_time: random.number(),
        pidfd_inode: random.number(),
    }
}

fn reason(random: &mut Random) -> StopReason {
    match random.below(5) {
        0 => StopReason::Stray,
        1 => StopReason::Fenced,
        2 => StopReason::TimedOut,
        3 => StopReason::Cancelled,
        _ => StopReason::Forgotten,
    }
}

fn end(random: &mut Random) -> End {
    if random.below(3) == 0 {
        return End::Unknown {
            started_at: random.maybe(|random| Timestamp(random.number())),
            found_at: Timestamp(random.number()),
        };
    }
    End::Known {
        status: random.errno(),
        usage: random.usage(),
        out_of_memory: random.below(2) == 1,
        started_at: Timestamp(random.number()),
        ended_at: Timestamp(random.number()),
        fenced: random.below(2) == 1,
        stopped: random.maybe(reason),
    }
}

fn child(random: &mut Random) -> Child {
    let state = match random.below(4) {
        0 => ChildState::Starting,
        1 => ChildState::Running {
            identity: identity(random),
            started_at: Timestamp(random.number()),
        },
        2 => ChildState::NotStarted {
            stage: random.stage(),
            errno: random.errno(),
        },
        _ => ChildState::Ended(end(random)),
    };
    Child {
        run: random.small(),
        attempt: random.attempt(),
        state,
    }
}

fn launch(random: &mut Random) -> Launch {
    Launch {
        run: random.small(),
        attempt: random.attempt(),
        argv: (0..random.below(4)).map(|_| random.text()).collect(),
        environment: (0..random.below(4))
            .map(|_| (random.text(), random.text()))
            .collect(),
        working_directory: random.text(),
        stdin: random.maybe(Random::text),
        fence: random.maybe(|random| Moment(random.number())),
        class: random.number(),
        places: random.maybe(|random| u32::try_from(random.below(9)).unwrap()),
        logs: match random.below(3) {
            0 => LogMode::Captured,
            _ => LogMode::Rotated {
                run: u32::try_from(random.below(1_000)).unwrap(),
            },
        },
        execution: random.maybe(|random| Box::new(execution(random))),
        guard: Guard {
            no_shell: random.below(2) == 1,
            programs: random.maybe(|random| vec![random.text()]),
        },
    }
}

fn execution(random: &mut Random) -> Execution {
    let level = u8::try_from(random.below(8)).unwrap();
    let small = |random: &mut Random| i8::try_from(random.below(40)).unwrap() - 20;
    let bound = Bound {
        soft: random.maybe(Random::number),
        hard: random.maybe(Random::number),
    };
    let limit = ResourceLimit::ALL[usize::try_from(random.below(10)).unwrap()];
    Execution {
        user: random.maybe(Random::text),
        group: random.maybe(Random::text),
        groups: random.maybe(|random| vec![random.text()]),
        umask: random.maybe(|random| u16::try_from(random.below(512)).unwrap()),
        nice: random.maybe(small),
        io_priority: random.maybe(|random| match random.below(3) {
            0 => IoPriority::Idle,
            1 => IoPriority::BestEffort(level),
            _ => IoPriority::RealTime(level),
        }),
        resource_limits: [(limit, bound)].into(),
        oom_score_adjust: random.maybe(|random| i16::from(small(random))),
        new_privileges: random.below(2) == 1,
        limits: Limits {
            memory: random.maybe(|random| Bytes(random.number())),
            pids: random.maybe(|random| u32::try_from(random.below(99)).unwrap()),
            cpus: random.maybe(|random| Cpus(u32::try_from(random.below(99)).unwrap())),
            best_effort: random.below(2) == 1,
            ..Limits::default()
        },
    }
}

fn to_keeper(random: &mut Random) -> ToKeeper {
    let attempt = random.attempt();
    match random.below(6) {
        0 => ToKeeper::Hello {
            nonce: Nonce(random.next()),
        },
        1 => ToKeeper::Start(Box::new(launch(random))),
        2 => ToKeeper::Stop {
            signal: random.byte(),
            attempt,
            grace: Duration::from_micros(random.number()),
            reason: reason(random),
        },
        3 => ToKeeper::Fence {
            attempt,
            deadline: Moment(random.number()),
        },
        4 => ToKeeper::Forget { attempt },
        _ => ToKeeper::Quit,
    }
}

fn from_keeper(random: &mut Random) -> FromKeeper {
    let attempt = random.attempt();
    match random.below(6) {
        0 => FromKeeper::Listed {
            children: (0..random.below(5)).map(|_| child(random)).collect(),
            last: random.below(2) == 1,
        },
        1 => FromKeeper::Started {
            attempt,
            identity: identity(random),
            at: Timestamp(random.number()),
        },
        2 => FromKeeper::NotStarted {
            attempt,
            stage: random.stage(),
            errno: random.errno(),
        },
        3 => FromKeeper::Ended {
            attempt,
            end: end(random),
        },
        4 => FromKeeper::Unkillable(Unkillable {
            attempt,
            since: Timestamp(random.number()),
            count: random.small(),
            remnants: vec![Remnant {
                pid: random.small(),
                state: b'D',
            }],
        }),
        _ => FromKeeper::Refused { attempt },
    }
}

fn log_record(random: &mut Random) -> LogRecord {
    let attempt = random.attempt();
    match random.below(6) {
        0 => LogRecord::Spawning {
            run: random.small(),
            attempt,
            at: Timestamp(random.number()),
        },
        1 => LogRecord::Running {
            attempt,
            identity: identity(random),
            at: Timestamp(random.number()),
        },
        2 => LogRecord::NotStarted {
            attempt,
            stage: random.stage(),
            errno: random.errno(),
        },
        3 => LogRecord::Ended {
            attempt,
            end: end(random),
        },
        4 => LogRecord::Stopping {
            attempt,
            reason: reason(random),
        },
        _ => LogRecord::Forgotten { attempt },
    }
}

#[test]
fn packets_are_read_as_written() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let to: Vec<ToKeeper> = (0..random.below(8))
            .map(|_| to_keeper(&mut random))
            .collect();
        let mut bytes = Vec::new();
        assert_eq!(encode_to_keeper(VERSION, &to, &mut bytes), to.len());
        assert_eq!(decode_to_keeper(&bytes), Ok((VERSION, to)), "seed {seed}");

        let from: Vec<FromKeeper> = (0..random.below(8))
            .map(|_| from_keeper(&mut random))
            .collect();
        let mut bytes = Vec::new();
        assert_eq!(encode_from_keeper(VERSION, &from, &mut bytes), from.len());
        assert_eq!(decode_from_keeper(&bytes), Ok(from), "seed {seed}");
    }
}

#[test]
fn cut_flipped_and_random_packets_are_refused_or_read_without_a_panic() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let messages: Vec<FromKeeper> = (0..4).map(|_| from_keeper(&mut random)).collect();
        let mut bytes = Vec::new();
        assert_eq!(encode_from_keeper(VERSION, &messages, &mut bytes), 4);
        for length in 1..bytes.len() {
            // Whole messages at most: a cut never makes one up.
            if let Ok(read) = decode_from_keeper(&bytes[..length]) {
                assert_eq!(read, messages[..read.len()], "seed {seed}");
            }
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = decode_from_keeper(&bytes);
            let _ = decode_to_keeper(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut bytes = random.bytes(80);
        bytes.insert(0, VERSION);
        let _ = decode_from_keeper(&bytes);
        let _ = decode_to_keeper(&bytes);
    }
}

#[test]
fn a_packet_of_another_version_is_refused() {
    assert_eq!(decode_to_keeper(&[]), Err(CodecFault::Truncated));
    for version in [VERSION_MIN - 1, VERSION + 1] {
        let refused = Err(CodecFault::Version(version));
        assert_eq!(decode_to_keeper(&[version]), refused);
    }
}

#[test]
fn what_does_not_fit_into_a_packet_goes_into_the_next_one() {
    let mut random = Random(3);
    let start = |random: &mut Random| {
        let argv = vec!["x".repeat(50_000)];
        ToKeeper::Start(Box::new(Launch {
            argv,
            ..launch(random)
        }))
    };
    let messages: Vec<ToKeeper> = (0..3).map(|_| start(&mut random)).collect();
    let mut bytes = Vec::new();
    assert_eq!(encode_to_keeper(VERSION, &messages, &mut bytes), 2);
    assert!(bytes.len() <= PACKET_LENGTH_MAX);
    let (_, decoded) = decode_to_keeper(&bytes).unwrap();
    assert_eq!(decoded, messages[..2]);
}

#[test]
fn the_descriptors_of_a_packet_are_bounded() {
    let mut random = Random(4);
    let attempt = random.attempt();
    let started = FromKeeper::Started {
        attempt,
        identity: identity(&mut random),
        at: Timestamp(1),
    };
    let messages = vec![started; LIST_PART_MAX + 1];
    assert_eq!(
        encode_from_keeper(VERSION, &messages, &mut Vec::new()),
        LIST_PART_MAX
    );
}

#[test]
fn a_launch_that_fits_makes_a_packet_that_fits() {
    let mut random = Random(5);
    let (mut fitting, mut too_long) = (0, 0);
    for _ in 0..400 {
        let length = usize::try_from(random.below(1_200)).unwrap();
        let argv = vec!["x".repeat(length); 100 + length / 8];
        let launch = Launch {
            argv,
            ..launch(&mut random)
        };
        let is_fit = fits(&launch);
        let mut bytes = Vec::new();
        assert_eq!(
            encode_to_keeper(VERSION, &[ToKeeper::Start(Box::new(launch))], &mut bytes),
            1
        );
        assert!(!is_fit || bytes.len() <= PACKET_LENGTH_MAX);
        *(if is_fit { &mut fitting } else { &mut too_long }) += 1;
    }
    assert!(fitting > 10 && too_long > 10);
}

#[test]
fn a_log_gives_the_records_before_the_first_invalid_byte() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let records: Vec<LogRecord> = (0..6).map(|_| log_record(&mut random)).collect();
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for record in &records {
            encode_log(record, &mut bytes);
            ends.push(bytes.len());
        }
        assert_eq!(recover_log(&bytes), (records.clone(), bytes.len()));
        for length in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            let expected = (records[..whole].to_vec(), ends[whole]);
            assert_eq!(recover_log(&bytes[..length]), expected, "seed {seed}");
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let whole = ends.iter().filter(|end| **end <= bit / 8).count() - 1;
            let expected = (records[..whole].to_vec(), ends[whole]);
            assert_eq!(recover_log(&bytes), expected, "seed {seed}, bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

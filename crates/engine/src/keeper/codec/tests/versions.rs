//! A conversation in version 1, its bytes worked out by hand from the rules of that version: whoever still speaks it is
//! understood, and hears bytes that it understands. Orders to start programs are not among it: they go
//! to keepers of the agent's own version alone. A change here breaks programs that run now; raise the
//! version instead, and speak both.

use super::*;
use crate::keeper::api::LogRecord;

fn attempt(sequence: u64) -> AttemptId {
    AttemptId {
        epoch: Epoch(3),
        salt: 0x1122_3344_5566_7788,
        sequence,
    }
}

fn identity() -> Identity {
    Identity {
        boot: BootId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        pid_namespace: 4_026_531_836,
        pid: 4_711,
        start_time: 99_000,
        pidfd_inode: 77,
    }
}

fn end() -> End {
    End::Known {
        status: 0x0700,
        usage: Usage {
            user_micros: 1_500,
            system_micros: 300,
            memory_bytes_max: Some(4_096),
        },
        out_of_memory: false,
        started_at: Timestamp(1_795_235_530_000_000),
        ended_at: Timestamp(1_795_235_531_000_000),
        fenced: false,
        stopped: Some(StopReason::Cancelled),
    }
}

fn child(sequence: u64, state: ChildState) -> Child {
    Child {
        attempt: attempt(sequence),
        run: 2,
        state,
    }
}

fn to_keeper() -> Vec<ToKeeper> {
    vec![
        ToKeeper::Hello {
            nonce: Nonce(0x0a0b),
        },
        ToKeeper::Stop {
            attempt: attempt(1),
            signal: 15,
            grace: Duration::from_secs(10),
            reason: StopReason::Unhealthy,
        },
        ToKeeper::Fence {
            attempt: attempt(2),
            deadline: Moment(5_000_000),
        },
        ToKeeper::Forget {
            attempt: attempt(3),
        },
        ToKeeper::Quit,
    ]
}

fn from_keeper() -> Vec<FromKeeper> {
    let started_at = Timestamp(1_795_235_530_000_000);
    let unknown = End::Unknown {
        started_at: None,
        found_at: started_at,
    };
    let (stage, errno) = (StartStage::Execute, 2);
    let states = [
        ChildState::Waiting,
        ChildState::Starting,
        ChildState::Running {
            identity: identity(),
            started_at,
        },
        ChildState::NotStarted { stage, errno },
        ChildState::Ended(unknown),
    ];
    let children = (1..).zip(states);
    vec![
        FromKeeper::Listed {
            children: children
                .map(|(number, state)| child(number, state))
                .collect(),
            last: true,
        },
        FromKeeper::Started {
            attempt: attempt(6),
            identity: identity(),
            at: started_at,
        },
        FromKeeper::NotStarted {
            attempt: attempt(7),
            stage,
            errno,
        },
        FromKeeper::Ended {
            attempt: attempt(8),
            end: end(),
        },
        FromKeeper::Refused {
            attempt: attempt(9),
        },
    ]
}

fn log() -> Vec<LogRecord> {
    let at = Timestamp(1_795_235_530_000_000);
    vec![
        LogRecord::Spawning {
            attempt: attempt(1),
            run: 2,
            at,
        },
        LogRecord::Running {
            attempt: attempt(1),
            identity: identity(),
            at,
        },
        LogRecord::Stopping {
            attempt: attempt(1),
            reason: StopReason::Fenced,
        },
        LogRecord::Ended {
            attempt: attempt(1),
            end: end(),
        },
        LogRecord::NotStarted {
            attempt: attempt(2),
            stage: StartStage::Policy,
            errno: 1,
        },
        LogRecord::Forgotten {
            attempt: attempt(1),
        },
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The bytes of a file, which has them in hexadecimal digits.
fn recorded(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/keeper/codec/tests/version-1"
    );
    bytes(&std::fs::read_to_string(format!("{folder}/{name}.hex")).unwrap())
}

#[test]
fn an_agent_of_version_1_is_understood_and_one_of_today_says_the_same() {
    let recorded = recorded("to-keeper");
    let mut packet = Vec::new();
    assert_eq!(encode_to_keeper(1, &to_keeper(), &mut packet), 5);
    assert_eq!(hexadecimal(&packet), hexadecimal(&recorded));
    assert_eq!(decode_to_keeper(&recorded), Ok((1, to_keeper())));
}

#[test]
fn a_keeper_of_version_1_is_understood_and_one_of_today_says_the_same() {
    let recorded = recorded("from-keeper");
    let mut packet = Vec::new();
    assert_eq!(encode_from_keeper(1, &from_keeper(), &mut packet), 5);
    assert_eq!(hexadecimal(&packet), hexadecimal(&recorded));
    assert_eq!(decode_from_keeper(&recorded), Ok(from_keeper()));
}

#[test]
fn the_log_of_a_dead_keeper_of_version_1_is_read() {
    let recorded = recorded("log");
    let mut written = Vec::new();
    for record in log() {
        encode_log(&record, &mut written);
    }
    assert_eq!(hexadecimal(&written), hexadecimal(&recorded));
    assert_eq!(recover_log(&recorded), (log(), recorded.len()));
}

#[test]
fn nothing_that_version_1_does_not_know_is_said_in_it() {
    let unkillable = FromKeeper::Unkillable(Unkillable {
        attempt: attempt(1),
        since: Timestamp(1),
        count: 0,
        remnants: Vec::new(),
    });
    assert!(!is_known(&unkillable, 1) && is_known(&unkillable, 2));
    assert!(from_keeper().iter().all(|message| is_known(message, 1)));
}

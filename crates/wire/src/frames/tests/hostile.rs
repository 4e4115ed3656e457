//! Bytes that no peer of ours would send.

use super::*;

fn up_fault(body: proto::up::Body) -> DecodeFault {
    let frame = proto::Up {
        session: 1,
        sequence: 2,
        body: Some(body),
    };
    let batch = proto::UpBatch {
        frames: vec![frame],
    }
    .encode_to_vec();
    decode_up(&batch).next().unwrap().unwrap_err()
}

fn down_fault(body: proto::down::Body) -> DecodeFault {
    let authority = Some(proto::Authority { term: 1, epoch: 1 });
    let frame = proto::Down {
        session: 1,
        sequence: 2,
        authority,
        body: Some(body),
    };
    let batch = proto::DownBatch {
        frames: vec![frame],
    }
    .encode_to_vec();
    decode_down(&batch).next().unwrap().unwrap_err()
}

fn raw(first: u64, count: u32) -> Vec<proto::AttemptRange> {
    vec![proto::AttemptRange {
        epoch: 1,
        salt: 2,
        first,
        count,
    }]
}

fn forgotten(ranges: Vec<proto::AttemptRange>) -> proto::up::Body {
    proto::up::Body::Forgotten(proto::AttemptRanges { ranges })
}

/// One valid run of a single report.
fn run() -> proto::ReportRun {
    proto::ReportRun {
        sequence_steps: vec![1],
        task_steps: vec![1],
        outcomes: vec![proto::OutcomeKind::Completed.into()],
        ended_steps: vec![1],
        ran_micros: vec![0],
        ..proto::ReportRun::default()
    }
}

fn run_fault(run: proto::ReportRun) -> String {
    up_fault(proto::up::Body::Reports(proto::Reports { runs: vec![run] })).to_string()
}

fn with_outcome(kind: proto::OutcomeKind, detail: i32) -> proto::ReportRun {
    proto::ReportRun {
        outcomes: vec![kind.into()],
        details: vec![detail],
        ..run()
    }
}

fn with_extra(kind: proto::OutcomeKind, extra: proto::ReportExtra) -> proto::ReportRun {
    proto::ReportRun {
        extras: vec![extra],
        ..with_outcome(kind, 0)
    }
}

/// Empty where all is well.
fn hello_fault(change: impl FnOnce(&mut proto::Hello)) -> String {
    let mut hello = proto::Hello {
        name: "n".repeat(63),
        version: "v".repeat(63),
        labels: [("zone".to_owned(), "b".repeat(63))].into(),
        obeyed: Some(proto::Authority { term: 1, epoch: 1 }),
        capacity: Some(proto::Resources::default()),
        ..proto::Hello::default()
    };
    change(&mut hello);
    let frame = proto::Up {
        session: 1,
        sequence: 2,
        body: Some(proto::up::Body::Hello(hello)),
    };
    let frames = vec![frame];
    let batch = proto::UpBatch { frames }.encode_to_vec();
    let decoded = decode_up(&batch).next().unwrap();
    decoded.map_or_else(|fault| fault.to_string(), |_| String::new())
}

#[test]
fn a_hello_has_bounds_on_all_that_people_read() {
    assert_eq!(hello_fault(|_| {}), "");
    let many = || (0..65).map(|number| format!("k{number}"));
    let fault = |change: fn(&mut proto::Hello)| hello_fault(change);
    for name in ["", "-n", "a b", "n\n", "a/b", &"n".repeat(64)] {
        let fault = hello_fault(|hello| hello.name = name.to_owned());
        assert_eq!(
            fault, "the field `hello.name` is no name of a node",
            "{name}"
        );
    }
    assert!(fault(|hello| hello.version = "v".repeat(64)).contains("hello.version"));
    assert!(fault(|hello| hello.version = "\u{1b}[31m".into()).contains("hello.version"));
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a", "\n"),
        ("a", &*"b".repeat(64)),
    ] {
        let label = (name.to_owned(), value.to_owned());
        let fault = hello_fault(|hello| hello.labels = [label].into());
        assert!(fault.contains("`hello.labels` has a"), "{fault}");
    }
    let labels = many().map(|name| (name, String::new())).collect();
    let too_many = hello_fault(|hello| hello.labels = labels);
    assert_eq!(
        too_many,
        "the field `hello.labels` has 65, at most 64 allowed"
    );
    let counters = many().map(|name| (name, 1)).collect();
    let too_many = hello_fault(|hello| {
        hello.capacity = Some(proto::Resources {
            counters,
            ..proto::Resources::default()
        });
    });
    assert!(too_many.ends_with("has 65, at most 64 allowed"));
    let wrong = fault(|hello| {
        hello.capacity.as_mut().unwrap().counters = [("a b".to_owned(), 1)].into();
    });
    assert!(wrong.contains("hello.capacity.counters"), "{wrong}");
}

#[test]
fn what_is_missing_is_named() {
    use proto::{down::Body as DownBody, up::Body as UpBody};
    let empty = proto::UpBatch {
        frames: vec![proto::Up::default()],
    }
    .encode_to_vec();
    assert_eq!(
        decode_up(&empty).next(),
        Some(Err(DecodeFault::Missing("up.body")))
    );
    let empty = proto::DownBatch {
        frames: vec![proto::Down::default()],
    }
    .encode_to_vec();
    assert_eq!(
        decode_down(&empty).next(),
        Some(Err(DecodeFault::Missing("down.body")))
    );
    let part = proto::OutputPartAnswer::default();
    let held = proto::Hello {
        held: vec![proto::Held {
            attempts: None,
            state: 1,
        }],
        ..proto::Hello::default()
    };
    for (fault, field) in [
        (
            up_fault(UpBody::Hello(proto::Hello::default())),
            "hello.obeyed",
        ),
        (up_fault(UpBody::Hello(held)), "held.attempts"),
        (up_fault(UpBody::OutputPart(part)), "output_part.answer"),
        (
            down_fault(DownBody::Grants(proto::Grants {
                specs: Vec::new(),
                orders: vec![proto::GrantOrder::default()],
            })),
            "order.attempts",
        ),
    ] {
        assert_eq!(fault, DecodeFault::Missing(field));
    }
}

#[test]
fn unknown_values_are_named() {
    use proto::{down::Body as DownBody, up::Body as UpBody};
    let held = |state| proto::Hello {
        held: vec![proto::Held {
            attempts: Some(raw(1, 1).remove(0)),
            state,
        }],
        ..proto::Hello::default()
    };
    let refused = |kind| DownBody::Refused(proto::HelloRefusal { kind, protocol: 1 });
    let answer = |kind| {
        let fault = proto::OutputFault { kind, errno: 0 };
        let answer = Some(proto::output_part_answer::Answer::Fault(fault));
        UpBody::OutputPart(proto::OutputPartAnswer { request: 1, answer })
    };
    let read = |stream| {
        let read = proto::ReadOutput {
            stream,
            ..proto::ReadOutput::default()
        };
        DownBody::ReadOutput(read)
    };
    for value in [0, 99, -1] {
        for (fault, field) in [
            (up_fault(UpBody::Hello(held(value))), "held.state"),
            (up_fault(answer(value)), "output_part.fault.kind"),
            (down_fault(refused(value)), "refused.kind"),
            (down_fault(read(value)), "read_output.stream"),
        ] {
            assert_eq!(
                fault,
                DecodeFault::Unknown {
                    field,
                    value: value.into()
                }
            );
        }
        let run = proto::ReportRun {
            outcomes: vec![value],
            ..run()
        };
        assert!(run_fault(run).contains(&format!("unknown value {value}")));
    }
}

#[test]
fn ranges_that_would_overflow_are_refused() {
    let invalid = |body| {
        let fault = up_fault(body);
        let DecodeFault::Invalid {
            field: "forgotten",
            what,
        } = fault
        else {
            panic!("{fault}");
        };
        what
    };
    assert_eq!(invalid(forgotten(raw(1, 0))), "is an empty range");
    assert_eq!(
        invalid(forgotten(raw(u64::MAX, 1))),
        "ends above the greatest sequence"
    );
    let many = [raw(0, 1 << 23), raw(1 << 24, 1 << 23), raw(1 << 30, 1)].concat();
    let fault = up_fault(forgotten(many));
    assert_eq!(
        fault.to_string(),
        "the field `forgotten` has 16777217, at most 16777216 allowed"
    );

    let order = proto::GrantOrder {
        attempts: Some(raw(1, 2).remove(0)),
        job: 1,
        first_task: u32::MAX,
        spec_hash: 0,
        ..proto::GrantOrder::default()
    };
    let grants = proto::Grants {
        specs: Vec::new(),
        orders: vec![order],
    };
    let fault = down_fault(proto::down::Body::Grants(grants));
    assert!(
        matches!(
            fault,
            DecodeFault::Invalid {
                field: "order.first_task",
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn the_greatest_ranges_are_accepted() {
    let ranges = vec![range(u64::MAX - 1, 1), range(0, (1 << 24) - 1)];
    let frame = up(UpBody::Forgotten(ranges));
    assert_eq!(
        decode_up(&up_batch(std::slice::from_ref(&frame))).next(),
        Some(Ok(frame))
    );
    let orders = vec![order(u32::MAX, range(5, 1))];
    let frame = down(DownBody::Grants {
        specs: Vec::new(),
        orders,
    });
    assert_eq!(
        decode_down(&down_batch(std::slice::from_ref(&frame))).next(),
        Some(Ok(frame))
    );
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    fn changed(change: fn(&mut proto::ReportRun)) -> String {
        let mut run = run();
        change(&mut run);
        run_fault(run)
    }
    for (fault, what) in [
        (
            changed(|run| run.sequence_steps.clear()),
            "`report.sequence_steps` is missing",
        ),
        (
            changed(|run| run.task_steps.clear()),
            "`report.task_steps` has another",
        ),
        (
            changed(|run| run.outcomes.push(1)),
            "`report.outcomes` has another",
        ),
        (
            changed(|run| run.ended_steps.push(1)),
            "`report.ended_steps` has another",
        ),
        (
            changed(|run| run.ran_micros.push(1)),
            "`report.ran_micros` has another",
        ),
        (
            changed(|run| run.details = vec![0, 0]),
            "`report.details` has another",
        ),
        (
            changed(|run| run.user_micros = vec![0, 0]),
            "`report.user_micros` has another",
        ),
        (
            changed(|run| run.task_steps[0] = -1),
            "`report.task_steps` leads out",
        ),
        (
            changed(|run| run.task_steps[0] = 1 << 32),
            "`report.task_steps` leads out",
        ),
    ] {
        assert!(fault.contains(what), "{fault}: {what}");
    }
}

#[test]
fn details_that_do_not_fit_are_refused() {
    use proto::OutcomeKind as Kind;
    let extra = |position| proto::ReportExtra {
        position,
        ..Default::default()
    };
    let long = "x".repeat(MESSAGE_LENGTH_MAX + 1);
    let content = proto::stream_content::Content::Inline(vec![0; 16 * 1024 + 1]);
    let stdout = Some(proto::StreamContent {
        content: Some(content),
    });
    let output = Some(proto::Output {
        stdout,
        ..Default::default()
    });
    let twice = proto::ReportRun {
        extras: vec![extra(0), extra(0)],
        ..run()
    };
    let stage = proto::ReportExtra {
        stage: 44,
        ..extra(0)
    };
    let message = proto::ReportExtra {
        message: long,
        ..extra(0)
    };
    let output = proto::ReportExtra { output, ..extra(0) };
    for (run, what) in [
        (twice, "`report.extras` has a position"),
        (
            with_extra(Kind::Completed, extra(1)),
            "`report.extras` has a position",
        ),
        (
            with_outcome(Kind::Exited, 256),
            "`report.details` is out of 0..=255",
        ),
        (
            with_outcome(Kind::Signalled, -1),
            "`report.details` is out of 0..=255",
        ),
        (
            with_outcome(Kind::NotStarted, 2),
            "`report.stage` is missing",
        ),
        (
            with_extra(Kind::NotStarted, stage),
            "`report.stage` has the unknown value 44",
        ),
        (
            with_extra(Kind::Failed, message),
            "`report.message` has 1025",
        ),
        (
            with_extra(Kind::Completed, output),
            "`report.output.inline` has 16385",
        ),
    ] {
        let fault = run_fault(run);
        assert!(fault.contains(what), "{fault}: {what}");
    }
}

#[test]
fn more_reports_than_allowed_are_refused() {
    let count = u32::try_from(REPORTS_PER_FRAME_MAX).unwrap();
    let fault = |reports| {
        let frame = up(UpBody::Reports(reports));
        decode_up(&up_batch(&[frame])).next().unwrap().err()
    };
    assert_eq!(fault(no_ops(count)), None);
    let limit = u64::from(count);
    let expected = DecodeFault::TooMuch {
        field: "reports",
        actual: limit + 1,
        limit,
    };
    assert_eq!(fault(no_ops(count + 1)), Some(expected));
}

#[test]
fn empty_messages_are_counted_before_they_take_memory() {
    // Two bytes each; as structures they would take hundreds of mebibytes.
    let wrapped = |field: u8, part: &[u8]| {
        let mut message = vec![field << 3 | 2];
        prost::encode_length_delimiter(part.len(), &mut message).unwrap();
        message.extend_from_slice(part);
        message
    };
    let empty_runs = [1 << 3 | 2, 0].repeat(2_000_000);
    let batch = wrapped(1, &wrapped(5, &empty_runs));
    let fault = decode_up(&batch).next().unwrap().unwrap_err();
    assert!(
        matches!(
            fault,
            DecodeFault::TooMuch {
                field: "reports",
                ..
            }
        ),
        "{fault}"
    );

    let empty_extras = [14 << 3 | 2, 0].repeat(2_000_000);
    let batch = wrapped(1, &wrapped(5, &wrapped(1, &empty_extras)));
    let fault = decode_up(&batch).next().unwrap().unwrap_err();
    assert!(
        matches!(
            fault,
            DecodeFault::TooMuch {
                field: "reports",
                ..
            }
        ),
        "{fault}"
    );

    let empty_frames = [1 << 3 | 2, 0].repeat(2_000_000);
    assert_eq!(
        decode_up(&empty_frames).count(),
        1,
        "the first one has no body"
    );
}

#[test]
fn a_part_of_an_output_has_a_limit() {
    let part = proto::OutputPart {
        bytes: vec![0; (256 << 10) + 1],
        ..Default::default()
    };
    let answer = Some(proto::output_part_answer::Answer::Part(part));
    let body = proto::up::Body::OutputPart(proto::OutputPartAnswer { request: 1, answer });
    let fault = up_fault(body).to_string();
    assert!(fault.contains("`output_part.bytes` has 262145"), "{fault}");

    let read = proto::ReadOutput {
        stream: 1,
        length: (256 << 10) + 1,
        ..Default::default()
    };
    let fault = down_fault(proto::down::Body::ReadOutput(read)).to_string();
    assert!(fault.contains("`read_output.length` has 262145"), "{fault}");
}

#[test]
fn a_frame_above_the_limit_is_refused() {
    let hello = proto::Hello {
        version: "v".repeat(FRAME_LENGTH_MAX),
        ..Default::default()
    };
    let fault = up_fault(proto::up::Body::Hello(hello));
    assert!(
        matches!(fault, DecodeFault::TooMuch { field: "frame", .. }),
        "{fault}"
    );
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    for seed in 0..5_000 {
        let mut random = Random(seed);
        let mut ups = up_batch(&[generate::up(&mut random), generate::up(&mut random)]);
        let mut downs = down_batch(&[generate::down(&mut random)]);
        for bytes in [&mut ups, &mut downs] {
            for _ in 0..=random.below(6) {
                damage(bytes, &mut random);
            }
        }
        walk(&ups);
        walk(&downs);
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let place = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[place] = random.byte(),
        1 => bytes[place] ^= 1 << random.below(8),
        2 => bytes.truncate(place),
        3 => bytes.insert(place, 0xff),
        _ => drop(bytes.remove(place)),
    }
}

/// Decodes, and does with the ranges what an engine does.
fn walk(bytes: &[u8]) {
    for frame in decode_up(bytes).flatten() {
        if let UpBody::Forgotten(ranges) = frame.body {
            assert!(
                ranges
                    .iter()
                    .all(|range| range.iter().take(10_000).count() > 0)
            );
        }
    }
    for frame in decode_down(bytes).flatten() {
        if let DownBody::Grants { orders, .. } = frame.body {
            for order in orders {
                std::hint::black_box(order.task(order.attempts.count - 1));
            }
        }
    }
}

use std::{fs, path::Path};

use super::*;

const LIMIT: u64 = 100_000;

struct Bench {
    folder: tempfile::TempDir,
    outputs: Outputs,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let handle = files::folder(folder.path()).unwrap();
        Self {
            outputs: Outputs::new(handle.as_fd(), LIMIT).unwrap(),
            folder,
        }
    }

    fn file(&self, bytes: &[u8]) -> OwnedFd {
        let file = files::unnamed(&self.outputs.folder).unwrap().unwrap();
        assert_eq!(rustix::io::write(&file, bytes).unwrap(), bytes.len());
        file
    }

    fn streams(&self, stdout: &[u8], stderr: &[u8]) -> Streams {
        Streams {
            stdout: self.file(stdout),
            stderr: self.file(stderr),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn names(&self) -> usize {
        fs::read_dir(self.path()).unwrap().count()
    }
}

#[test]
fn empty_and_small_outputs_leave_no_file() {
    let bench = Bench::new();
    let attempt = AttemptId::default();
    let none = bench.streams(b"", b"");
    assert!(Outputs::is_empty(&none));
    assert_eq!(bench.outputs.collect(attempt, Some(&none)), None);
    let edge = vec![b'x'; INLINE_OUTPUT_MAX];
    let small = bench.streams(&edge, b"e");
    assert!(!Outputs::is_empty(&small) && Outputs::is_small(&small));
    let output = bench.outputs.collect(attempt, Some(&small)).unwrap();
    assert_eq!(output.stdout, Stream::Inline(edge));
    assert_eq!(output.stderr, Stream::Inline(b"e".to_vec()));
    assert_eq!(bench.names(), 0);
}

#[test]
fn a_large_output_gets_a_name_once_and_is_read_in_parts() {
    let bench = Bench::new();
    let attempt = AttemptId::default();
    let bytes: Vec<u8> = (0..=INLINE_OUTPUT_MAX)
        .map(|index| index.to_le_bytes()[0])
        .collect();
    let streams = bench.streams(b"", &bytes);
    assert!(!Outputs::is_small(&streams));
    let length = bytes.len() as u64;
    // Twice, as after an agent that was killed between the name and the report.
    for _ in 0..2 {
        let output = bench.outputs.collect(attempt, Some(&streams)).unwrap();
        assert_eq!(output.stdout, Stream::Empty);
        assert_eq!(
            output.stderr,
            Stream::OnNode {
                length,
                truncated: false
            }
        );
    }
    bench.outputs.sync().unwrap();
    assert_eq!(
        fs::read(bench.path().join(final_name(attempt, StreamName::Stderr))).unwrap(),
        bytes
    );
    let read = |offset, length| {
        bench
            .outputs
            .read((attempt, StreamName::Stderr), None, offset, length)
            .unwrap()
    };
    assert_eq!(read(5, 10).bytes, &bytes[5..15]);
    assert_eq!(read(0, u32::MAX).bytes, bytes);
    assert_eq!(
        (read(length, 10).bytes.len(), read(length, 10).length),
        (0, length)
    );
    assert!(!read(0, 1).growing);
}

#[test]
fn the_output_of_a_running_attempt_grows_and_that_of_a_strange_one_is_gone() {
    let bench = Bench::new();
    let key = (AttemptId::default(), StreamName::Stdout);
    let file = bench.file(b"abc");
    let part = bench.outputs.read(key, Some(file.as_fd()), 1, 100).unwrap();
    assert_eq!(
        (part.bytes.as_slice(), part.length, part.growing),
        (&b"bc"[..], 3, true)
    );
    assert_eq!(bench.outputs.read(key, None, 0, 1), Err(OutputFault::Gone));
}

#[test]
fn an_output_beyond_the_limit_is_truncated_and_says_so() {
    let bench = Bench::new();
    let attempt = AttemptId::default();
    let long = vec![1; usize::try_from(LIMIT).unwrap() + 1];
    let output = bench
        .outputs
        .collect(attempt, Some(&bench.streams(&long, b"")))
        .unwrap();
    assert_eq!(
        output.stdout,
        Stream::OnNode {
            length: LIMIT,
            truncated: true
        }
    );
    let name = bench.path().join(final_name(attempt, StreamName::Stdout));
    assert_eq!(fs::metadata(name).unwrap().len(), LIMIT);
    // A keeper with a smaller limit has cut it before.
    let cut = bench.streams(b"", b"short");
    rustix::fs::fchmod(&cut.stderr, Mode::from_raw_mode(0o600 | CUT)).unwrap();
    let output = bench.outputs.collect(attempt, Some(&cut)).unwrap();
    assert_eq!(
        output.stderr,
        Stream::OnNode {
            length: 5,
            truncated: true
        }
    );
}

#[test]
fn outputs_with_names_of_their_own_are_found_without_descriptors() {
    let bench = Bench::new();
    let attempt = AttemptId::default();
    let partial = |stream| bench.path().join(partial_name(attempt, stream));
    fs::write(partial(StreamName::Stdout), b"small").unwrap();
    fs::write(partial(StreamName::Stderr), vec![2; 20_000]).unwrap();
    let output = bench.outputs.collect(attempt, None).unwrap();
    assert_eq!(output.stdout, Stream::Inline(b"small".to_vec()));
    assert_eq!(
        output.stderr,
        Stream::OnNode {
            length: 20_000,
            truncated: false
        }
    );
    assert!(
        bench
            .path()
            .join(final_name(attempt, StreamName::Stderr))
            .exists()
    );
    assert_eq!(bench.names(), 1);
}

#[test]
fn leftovers_of_attempts_that_nobody_holds_are_removed() {
    let bench = Bench::new();
    let held = AttemptId {
        sequence: 1,
        ..AttemptId::default()
    };
    let lost = AttemptId {
        sequence: 2,
        ..AttemptId::default()
    };
    for attempt in [held, lost] {
        fs::write(
            bench.path().join(partial_name(attempt, StreamName::Stdout)),
            b"",
        )
        .unwrap();
        fs::write(
            bench.path().join(final_name(attempt, StreamName::Stdout)),
            b"",
        )
        .unwrap();
    }
    bench.outputs.clean(|attempt| attempt == held);
    assert_eq!(bench.names(), 3);
    assert!(
        !bench
            .path()
            .join(partial_name(lost, StreamName::Stdout))
            .exists()
    );
}

#[test]
fn results_of_kernels_are_kept_like_outputs() {
    let bench = Bench::new();
    let attempt = AttemptId::default();
    let keep = |bytes: Vec<u8>| bench.outputs.keep_result(attempt, bytes).unwrap();
    assert_eq!(keep(Vec::new()), None);
    assert_eq!(
        keep(vec![1; 10]).unwrap().result,
        Stream::Inline(vec![1; 10])
    );
    let kept = keep(vec![1; 20_000]).unwrap().result;
    assert_eq!(
        kept,
        Stream::OnNode {
            length: 20_000,
            truncated: false
        }
    );
    let kept = keep(vec![1; 200_000]).unwrap().result;
    assert_eq!(
        kept,
        Stream::OnNode {
            length: LIMIT,
            truncated: true
        }
    );
}

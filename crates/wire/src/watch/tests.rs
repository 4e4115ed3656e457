use super::*;

fn template(argv: &str) -> String {
    format!(r#"{{"name": "n", "program": {{"argv": ["run", "{argv}"]}}}}"#)
}

fn watch(format: WatchFormat, argv: &str) -> WatchState {
    WatchState::new(format, template(argv))
}

/// The rows of the jobs that a look gives, with blanks between the values and bars between the rows.
fn look(state: &mut WatchState, name: &str, text: &str) -> Vec<String> {
    let (jobs, left) = state.step(name, text.as_bytes(), &|_| Ok(()));
    assert!(!left);
    jobs.iter()
        .map(|job| {
            let rows = job.rows.as_ref().unwrap();
            let rows = (0..rows.count()).map(|row| rows.get(row).unwrap().join(" "));
            rows.collect::<Vec<_>>().join("|")
        })
        .collect()
}

fn faults(state: &WatchState) -> Vec<String> {
    let shown = |fault: &WatchFault| format!("{}:{}: {}", fault.file, fault.line, fault.reason);
    state.faults.iter().map(shown).collect()
}

#[test]
fn a_line_is_taken_once_wherever_it_moves_and_counts_only_with_its_end() {
    let mut state = watch(WatchFormat::Lines, "{line}");
    assert_eq!(look(&mut state, "", "a\nb\na\nhalf"), ["a|b|a"]);
    assert_eq!(
        look(&mut state, "", "a\nb\na\nhalf a line\n"),
        ["half a line"]
    );
    // An editor has moved them, and added one.
    assert_eq!(look(&mut state, "", "half a line\r\nc\na\na\n\nb\n"), ["c"]);
    // Cut, and one more of a line that was there twice.
    assert!(look(&mut state, "", "").is_empty());
    assert_eq!(look(&mut state, "", "a\na\na\n"), ["a"]);
    assert_eq!(state.tasks, 6);
    let kept = WatchState::of_bytes(&state.to_bytes()).unwrap();
    assert_eq!(kept, state);
}

#[test]
fn a_file_is_known_again_under_another_name_but_not_by_a_number_that_was_used_again() {
    let mut state = watch(WatchFormat::Lines, "{line}");
    let present = |files: &[(&str, &str)]| {
        let files = files
            .iter()
            .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
        files.collect::<BTreeMap<_, _>>()
    };
    assert!(state.notice(&present(&[("one", "1")])));
    assert!(!state.notice(&present(&[("one", "1")])));
    assert_eq!(look(&mut state, "one", "a\n"), ["a"]);
    state.notice(&present(&[("two", "1")]));
    assert!(look(&mut state, "two", "a\n").is_empty());
    // The old name is that of an editor that writes the file anew.
    state.notice(&present(&[("one", "2"), ("two", "1")]));
    assert_eq!(look(&mut state, "one", "a\nb\n"), ["b"]);
    state.notice(&present(&[]));
    state.notice(&present(&[("three", "1")]));
    assert_eq!(look(&mut state, "three", "a\n"), ["a"]);
}

#[test]
fn bad_lines_are_told_once_with_their_number_and_do_not_stop_the_rest() {
    let mut state = watch(WatchFormat::Csv, "{x}");
    assert_eq!(
        look(&mut state, "f", "x,y\n1,2\n3\n\"4\n5,6\n"),
        ["1 2|5 6"]
    );
    let expected = [
        "f:3: 1 columns, but the header has 2",
        "f:4: a quote is not closed",
    ];
    assert_eq!(faults(&state), expected);
    assert!(look(&mut state, "f", "x,y\n1,2\n3\n\"4\n5,6\n").is_empty());
    assert_eq!(faults(&state), expected);
    let mut state = watch(WatchFormat::Lines, "{line}");
    let (jobs, _) = state.step("", b"a\n\xff\nb\0\nc\n", &|_| Ok(()));
    assert_eq!(jobs[0].spec.tasks.count(), 2);
    assert_eq!(faults(&state), [":2: no UTF-8", ":3: has a NUL byte"]);
    let mut state = watch(WatchFormat::JsonLines, "{x}");
    assert_eq!(
        look(&mut state, "", "{\"x\":1}\n{\"y\":1}\n{\"y\":2,\"x\":3}\n"),
        ["1", "3 2"]
    );
    assert!(faults(&state)[0].starts_with(":2: program.argv[1]: unknown placeholder {x}"));
}

#[test]
fn lines_that_are_not_accepted_are_left_out_of_the_job() {
    let mut state = watch(WatchFormat::Lines, "{line}");
    let accepts = |job: &Job| {
        let rows = job.rows.as_ref().unwrap();
        let bad = (0..rows.count()).any(|row| rows.get(row).unwrap() == ["b"]);
        if bad { Err("no b".to_owned()) } else { Ok(()) }
    };
    let (jobs, _) = state.step("", b"a\nb\nc\n", &accepts);
    assert_eq!(jobs[0].rows.as_ref().unwrap().bytes(), b"a\0c\0");
    assert_eq!(faults(&state), [":2: no b"]);
}

#[test]
fn the_lines_of_an_older_cluster_become_jobs_by_priority() {
    let mut state = WatchState::new(WatchFormat::Hpc, String::new());
    let text = "# x\nalgoritmo,width,height,iteraciones,prioridad\nNumpy,1,2,3,2\nNumpy,1,2\n\nSecuencial,4,5,6,1\n";
    assert_eq!(look(&mut state, "", text), ["scalar 4 5 6", "vector 1 2 3"]);
    assert_eq!(faults(&state), [":4: 3 columns, expected 4 or 5"]);
}

#[test]
fn what_is_taken_at_once_and_remembered_has_limits() {
    let mut state = watch(WatchFormat::Lines, "{line}");
    let numbers: Vec<String> = (0..=LINES_AT_ONCE).map(|line| line.to_string()).collect();
    let text = numbers.join(
        "
",
    ) + "
";
    let (jobs, left) = state.step("", text.as_bytes(), &|_| Ok(()));
    assert!(left);
    assert_eq!(jobs[0].spec.tasks.count() as usize, LINES_AT_ONCE);
    assert_eq!(look(&mut state, "", &text), [LINES_AT_ONCE.to_string()]);
    let lines = (0..LINES_MAX).map(|line| (line.to_string(), 1));
    let file = WatchedFile {
        identity: String::new(),
        lines: lines.collect(),
    };
    state.files.insert("other".to_owned(), file);
    assert!(look(&mut state, "", "new\n").is_empty());
    assert!(faults(&state)[0].contains("at most 100000 lines"));
    for line in 0..2 * FAULTS_MAX as u64 {
        state.fault("", line, &"r".repeat(999));
    }
    assert_eq!(state.faults.len(), FAULTS_MAX);
    assert_eq!(state.faults[0].reason.len(), REASON_LENGTH_MAX);
}

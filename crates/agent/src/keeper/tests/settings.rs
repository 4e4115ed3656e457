//! Users, limits and guards with real processes. What only root can do is tried as root.

use std::os::unix::fs::{PermissionsExt, symlink};

use flota_engine::keeper::api::Guard;
use flota_model::{
    execution::{Bound, Execution, IoPriority, ResourceLimit},
    policy::Rule,
};

use super::*;
use crate::testing::is_root;

fn with(launch: Launch, execution: Execution) -> Launch {
    Launch {
        execution: Some(Box::new(execution)),
        ..launch
    }
}

fn as_nobody() -> Execution {
    Execution {
        user: Some("65534".to_owned()),
        group: Some("65534".to_owned()),
        ..Execution::default()
    }
}

/// Runs a script to its end and gives what it wrote.
fn output(bench: &Bench, client: &mut Client, sequence: u64, execution: Execution) -> String {
    let script = "umask; nice; ulimit -n; ulimit -Hc; cat /proc/self/oom_score_adj; \
                  grep NoNewPrivs /proc/self/status; ionice -p $$; echo $HOME";
    let (_, descriptors) = start(client, with(bench.script(sequence, script), execution));
    assert_eq!(status(client.wait_end(bench.attempt(sequence))).0, exit(0));
    read(&descriptors[1])
}

/// Starts what must fail, and gives step and `errno`.
fn failure(bench: &Bench, client: &mut Client, launch: Launch) -> (StartStage, i32) {
    let attempt = launch.attempt;
    client.start(launch);
    let (message, _) = client.next();
    let FromKeeper::NotStarted {
        attempt: failed,
        stage,
        errno,
    } = message
    else {
        panic!("{message:?}");
    };
    assert_eq!(failed, attempt);
    client.send(ToKeeper::Forget { attempt });
    assert!(bench.processes(attempt.sequence).is_empty());
    (stage, errno)
}

#[test]
fn a_program_gets_its_settings_and_the_keeper_keeps_its_own() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let plain = output(&bench, &mut client, 1, Execution::default());
    let keeper = format!("/proc/{}/oom_score_adj", bench.keeper.id());
    let before = fs::read_to_string(&keeper).unwrap();
    let execution = Execution {
        umask: Some(0o077),
        nice: Some(7),
        io_priority: Some(IoPriority::BestEffort(6)),
        resource_limits: BTreeMap::from([
            (ResourceLimit::OpenFiles, Bound::of(Some(99))),
            (ResourceLimit::Core, Bound::of(Some(0))),
        ]),
        oom_score_adjust: Some(700),
        new_privileges: true,
        ..Execution::default()
    };
    let expected = "0077\n7\n99\n0\n700\nNoNewPrivs:\t0\nbest-effort: prio 6\n\n";
    assert_eq!(output(&bench, &mut client, 2, execution), expected);
    assert_eq!(fs::read_to_string(&keeper).unwrap(), before);
    // The next one has nothing of that, and no new privileges.
    assert_eq!(output(&bench, &mut client, 3, Execution::default()), plain);
    assert!(plain.contains("NoNewPrivs:\t1\n"), "{plain}");
}

#[test]
fn a_program_of_another_user_has_all_its_ids_and_no_rights_of_ours() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let script = "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status; echo $HOME $USER $LOGNAME";
    let execution = Execution {
        groups: Some(vec!["65534".to_owned(), "4711".to_owned()]),
        ..as_nobody()
    };
    let (_, descriptors) = start(&mut client, with(bench.script(1, script), execution));
    client.wait_end(bench.attempt(1));
    let nobody = "65534\t65534\t65534\t65534";
    let written = read(&descriptors[1]);
    let expected = format!(
        "Uid:\t{nobody}\nGid:\t{nobody}\nGroups:\t4711 65534 \nCapEff:\t0000000000000000\n"
    );
    assert!(written.starts_with(&expected), "{written}");
    assert!(written.contains(" nobody nobody\n"), "{written}");
}

#[test]
fn what_the_user_may_not_read_or_enter_the_program_does_not_get() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let secret = bench.path("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let fine = |sequence| with(bench.launch(sequence, &["cat"]), as_nobody());
    let stdin = Some(secret.to_str().unwrap().to_owned());
    let reads = Launch { stdin, ..fine(1) };
    let expected = (StartStage::OpenStdin, libc::EACCES);
    assert_eq!(failure(&bench, &mut client, reads), expected);
    let folder = bench.path("closed");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let enters = Launch {
        working_directory: folder.to_str().unwrap().to_owned(),
        ..fine(2)
    };
    let expected = (StartStage::ChangeDirectory, libc::EACCES);
    assert_eq!(failure(&bench, &mut client, enters), expected);
}

#[test]
fn each_setting_that_cannot_be_is_told_with_its_step_and_errno() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let unknown = Execution {
        user: Some("no-such-user".to_owned()),
        ..Execution::default()
    };
    let small_stack = Execution {
        resource_limits: BTreeMap::from([(ResourceLimit::Stack, Bound::of(Some(1 << 17)))]),
        ..Execution::default()
    };
    let many = vec!["xxxx"; 16_000];
    let mut cases = vec![
        (
            with(bench.launch(1, &["true"]), unknown),
            (StartStage::Identity, libc::ENOENT),
        ),
        (
            with(bench.launch(2, &many), small_stack),
            (StartStage::Execute, libc::ENOENT),
        ),
    ];
    cases[1].0.argv[0] = "/bin/true".to_owned();
    cases[1].1 = (StartStage::Execute, libc::E2BIG);
    if !is_root() {
        let first = Execution {
            nice: Some(-20),
            ..Execution::default()
        };
        let launch = with(bench.launch(3, &["true"]), first);
        cases.push((launch, (StartStage::Prepare, libc::EACCES)));
        let root = Execution {
            user: Some("root".to_owned()),
            ..Execution::default()
        };
        let launch = with(bench.launch(4, &["true"]), root);
        cases.push((launch, (StartStage::Identity, libc::EPERM)));
    }
    for (launch, expected) in cases {
        assert_eq!(failure(&bench, &mut client, launch), expected);
    }
}

#[test]
fn a_shell_is_refused_under_whatever_name_and_so_is_what_is_not_listed() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let link = bench.path("innocent");
    symlink("/bin/sh", &link).unwrap();
    let no_shell = || Guard {
        no_shell: true,
        programs: None,
    };
    let name = link.to_str().unwrap();
    for (sequence, program) in (1..).zip(["/bin/sh", "sh", name]) {
        let launch = Launch {
            guard: no_shell(),
            ..bench.launch(sequence, &[program, "-c", "exit 0"])
        };
        let expected = (StartStage::Policy, Rule::Shell.number());
        assert_eq!(failure(&bench, &mut client, launch), expected, "{program}");
    }
    let real = |program: &str| {
        let path = fs::canonicalize(program).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (sleep, folder) = (real("/bin/sleep"), real("/usr/bin") + "/*");
    let guarded = |sequence, program: &str, listed: &str| Launch {
        guard: Guard {
            no_shell: true,
            programs: Some(vec![listed.to_owned()]),
        },
        ..bench.launch(sequence, &[program, "0"])
    };
    for (sequence, listed) in [(10, &sleep), (11, &folder)] {
        start(&mut client, guarded(sequence, "sleep", listed));
        let ended = client.wait_end(bench.attempt(sequence));
        assert_eq!(status(ended).0, exit(0), "{listed}");
    }
    let other = guarded(12, "true", &sleep);
    let expected = (StartStage::Policy, Rule::Programs.number());
    assert_eq!(failure(&bench, &mut client, other), expected);
    let missing = guarded(13, "/nonexistent", &sleep);
    let expected = (StartStage::Execute, libc::ENOENT);
    assert_eq!(failure(&bench, &mut client, missing), expected);
}

#[test]
fn a_fenced_program_of_another_user_dies_with_its_keeper_too() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new();
    let (mut client, _) = bench.agent();
    let launch = Launch {
        fence: Some(clock::moment() + Duration::from_mins(10)),
        ..with(bench.launch(1, &["sleep", "60"]), as_nobody())
    };
    let (pid, _) = start(&mut client, launch);
    let fenced = PidFd::open(pid).unwrap();
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    wait_readable(fenced.descriptor());
}

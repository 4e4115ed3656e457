use super::*;

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn refused(policy: &Policy, argv: &str) -> Option<Rule> {
    policy.admit(&words(argv), &Execution::default()).err()
}

#[test]
fn without_a_file_any_program_may_start_but_no_shell() {
    let policy = Policy::usual(false);
    for argv in [
        "true",
        "/usr/bin/python3 -c sh",
        "echo sh",
        "env A=/bin/sh printenv",
        "./sh.py",
    ] {
        assert_eq!(refused(&policy, argv), None, "{argv}");
    }
    for argv in [
        "sh -c x",
        "/bin/bash",
        "../zsh",
        "env sh -c x",
        "/usr/bin/env -i A=b /bin/dash",
        "busybox sh",
        "timeout 5 nice ksh",
    ] {
        assert_eq!(refused(&policy, argv), Some(Rule::Shell), "{argv}");
    }
    let split = ["env".to_owned(), "-S".to_owned(), "A=b sh -c x".to_owned()];
    assert_eq!(
        policy.admit(&split, &Execution::default()),
        Err(Rule::Shell)
    );
    assert!(
        policy
            .admit(&words("true"), &Execution::default())
            .unwrap()
            .guard
            .no_shell
    );
    assert_eq!(refused(&Policy::unrestricted(), "sh -c x"), None);
}

#[test]
fn only_listed_programs_with_listed_arguments_may_start() {
    let rule = |path: &str, arguments: Option<&str>| ProgramRule {
        path: path.to_owned(),
        arguments: arguments.map(words),
    };
    let policy = Policy {
        programs: Some(vec![
            rule("/usr/bin/sim", Some("run --seed=* ?")),
            rule("/usr/bin/render", Some("frame **")),
            rule("/opt/tools/*", Some("run **")),
        ]),
        ..Policy::usual(true)
    };
    let paths = |argv: &str| {
        let admission = policy.admit(&words(argv), &Execution::default());
        admission.map(|admission| admission.guard.programs.unwrap())
    };
    let tools = || "/opt/tools/*".to_owned();
    assert_eq!(
        paths("sim run --seed=5 x"),
        Ok(vec!["/usr/bin/sim".to_owned(), tools()])
    );
    assert_eq!(paths("sim run"), Ok(vec![tools()]));
    assert_eq!(paths("any frame"), Ok(vec!["/usr/bin/render".to_owned()]));
    assert_eq!(
        paths("any frame 1 2 3"),
        Ok(vec!["/usr/bin/render".to_owned()])
    );
    for argv in ["sim", "sim walk", "render fram"] {
        assert_eq!(paths(argv), Err(Rule::Programs), "{argv}");
    }
}

#[test]
fn patterns_match_as_in_a_shell() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "abc", true),
        ("a*c", "abbc", true),
        ("a*c", "abcb", false),
        ("a*b*c", "aXbYbZc", true),
        ("?", "", false),
        ("?b?", "abc", true),
        ("*.txt", "a.txt.txt", true),
        (
            "*a*a*a*a*a*b",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            false,
        ),
    ] {
        let result = matches(pattern.as_bytes(), text.as_bytes());
        assert_eq!(result, expected, "{pattern} {text}");
    }
}

#[test]
fn only_listed_users_and_groups_may_be_asked_for() {
    let policy = Policy {
        users: Some(vec!["ana".to_owned(), AGENT.to_owned()]),
        groups: Some(vec!["audio".to_owned()]),
        ..Policy::usual(true)
    };
    let admit = |user: Option<&str>, group: Option<&str>| {
        let execution = Execution {
            user: user.map(str::to_owned),
            groups: group.map(|group| vec![group.to_owned()]),
            ..Execution::default()
        };
        policy.admit(&words("true"), &execution).map(|_| ())
    };
    assert_eq!(admit(None, None), Ok(()));
    assert_eq!(admit(Some("ana"), Some("audio")), Ok(()));
    assert_eq!(admit(Some("root"), None), Err(Rule::Users));
    assert_eq!(admit(Some("0"), None), Err(Rule::Users));
    assert_eq!(admit(Some("ana"), Some("docker")), Err(Rule::Groups));
    let others = Policy {
        users: Some(vec!["ana".to_owned()]),
        ..policy.clone()
    };
    assert_eq!(refused(&others, "true"), Some(Rule::Users));
}

#[test]
fn a_ceiling_refuses_more_and_limits_who_asks_for_nothing() {
    let policy = Policy {
        ceilings: Ceilings {
            memory: Some(Bytes(100)),
            cpus: Some(Cpus(2_000)),
            pids: Some(10),
        },
        ..Policy::usual(true)
    };
    let admit = |limits: Limits| {
        let execution = Execution {
            limits,
            ..Execution::default()
        };
        let admission = policy.admit(&words("true"), &execution);
        admission.map(|admission| admission.limits)
    };
    let best_effort = Limits {
        best_effort: true,
        ..Limits::default()
    };
    let capped = Limits {
        memory: Some(Bytes(100)),
        cpus: Some(Cpus(2_000)),
        pids: Some(10),
        ..Limits::default()
    };
    assert_eq!(admit(best_effort), Ok(capped));
    let memory = |bytes| Limits {
        memory: Some(Bytes(bytes)),
        ..Limits::default()
    };
    assert_eq!(
        admit(memory(50)).map(|limits| limits.memory),
        Ok(Some(Bytes(50)))
    );
    assert_eq!(admit(memory(101)), Err(Rule::Memory));
    let (cpus, pids) = (Some(Cpus(2_001)), Some(11));
    assert_eq!(
        admit(Limits {
            cpus,
            ..Limits::default()
        }),
        Err(Rule::Cpus)
    );
    assert_eq!(
        admit(Limits {
            pids,
            ..Limits::default()
        }),
        Err(Rule::Pids)
    );
}

#[test]
fn processes_of_others_are_signalled_as_the_rule_says() {
    let target = |is_managed, user| Target {
        is_managed,
        user,
        own_user: 1000,
    };
    let usual = Policy::usual(false);
    assert_eq!(usual.signal(target(false, 1000)), Ok(()));
    assert_eq!(usual.signal(target(false, 1001)), Err(Rule::Signals));
    assert_eq!(usual.signal(target(true, 1001)), Ok(()));
    assert_eq!(Policy::usual(true).signal(target(false, 1001)), Ok(()));
    let none = Policy {
        foreign: Foreign::None,
        ..Policy::usual(true)
    };
    assert_eq!(none.signal(target(false, 1000)), Err(Rule::Signals));
    assert_eq!(none.signal(target(true, 1000)), Ok(()));
}

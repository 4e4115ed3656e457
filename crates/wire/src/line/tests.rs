use super::*;

#[test]
fn every_verb_has_its_synonyms_in_any_case() {
    let cases: [(&[&str], Command); 4] = [
        (LIST, Command::List),
        (MONITOR, Command::Monitor),
        (HELP, Command::Help),
        (EXIT, Command::Exit),
    ];
    for (words, command) in cases {
        for word in words {
            for text in [
                (*word).to_owned(),
                word.to_uppercase(),
                format!("  {word} \t"),
            ] {
                assert_eq!(parse(text.as_bytes()), Ok(command.clone()), "{text}");
            }
        }
    }
    for word in START {
        let started = Command::Start(vec!["sleep".to_owned(), "5".to_owned()]);
        assert_eq!(parse(format!("{word} sleep 5").as_bytes()), Ok(started));
    }
    for word in STOP {
        assert_eq!(
            parse(format!("{word}  4711 ").as_bytes()),
            Ok(Command::Stop(4711))
        );
    }
}

#[test]
fn arguments_are_quoted_as_in_a_shell_and_no_shell_runs() {
    let argv = |text: &str| match parse(text.as_bytes()) {
        Ok(Command::Start(argv)) => argv,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        argv("start printf '%s\\n' \"a b\" c\\ d"),
        ["printf", "%s\\n", "a b", "c d"]
    );
    assert_eq!(
        argv("start echo $HOME ; rm -rf /"),
        ["echo", "$HOME", ";", "rm", "-rf", "/"]
    );
}

#[test]
fn what_is_no_command_is_told_why() {
    let cases: [(&[u8], Misuse); 12] = [
        (b"", Misuse::Verb(String::new())),
        (b"dance", Misuse::Verb("dance".to_owned())),
        (b"\xff\xfe", Misuse::NoText),
        (b"start", Misuse::NoProgram),
        (b"start ''", Misuse::NoProgram),
        (b"start 'a", Misuse::Quotes),
        (b"stop", Misuse::NoPid),
        (b"stop abc", Misuse::Pid("abc".to_owned())),
        (b"stop 0", Misuse::Pid("0".to_owned())),
        (b"stop -7", Misuse::Pid("-7".to_owned())),
        (b"stop 99999999999", Misuse::Pid("99999999999".to_owned())),
        (b"stop 1", Misuse::First),
    ];
    for (text, misuse) in cases {
        assert_eq!(parse(text), Err(misuse.clone()));
        let said = trouble(&Trouble::Misused(misuse));
        assert!(
            said.starts_with("Error: ") && said.ends_with('\n'),
            "{said}"
        );
    }
    let many = format!("start {}", "a ".repeat(ARGUMENTS_MAX + 1));
    assert_eq!(parse(many.as_bytes()), Err(Misuse::Quotes));
    let said = trouble(&Trouble::Misused(Misuse::Verb("dance".to_owned())));
    assert!(
        ["LIST", "START", "STOP", "EXIT"]
            .iter()
            .all(|verb| said.contains(verb)),
        "{said}"
    );
}

#[test]
fn commands_end_at_newlines_or_at_a_silence() {
    let mut framer = Framer::default();
    let command = |text: &str| Some(Piece::Command(text.as_bytes().to_vec()));
    framer.push(b"LIST\r\nSTOP 5\nMONI");
    assert_eq!(framer.next_line(), command("LIST"));
    assert_eq!(framer.next_line(), command("STOP 5"));
    assert_eq!(framer.next_line(), None);
    assert!(framer.is_within());
    framer.push(b"TOR");
    assert_eq!(framer.next_line(), None);
    assert_eq!(framer.rest(), command("MONITOR"));
    assert!(!framer.is_within());
    assert_eq!(framer.rest(), None);
    framer.push(b"\n");
    assert_eq!(framer.next_line(), command(""));
}

#[test]
fn a_command_has_a_limit() {
    let mut framer = Framer::default();
    framer.push(&vec![b'a'; COMMAND_LENGTH_MAX]);
    assert_eq!(framer.next_line(), None);
    framer.push(b"\n");
    assert!(matches!(framer.next_line(), Some(Piece::Command(_))));
    framer.push(&vec![b'a'; COMMAND_LENGTH_MAX + 1]);
    assert_eq!(framer.next_line(), Some(Piece::TooLong));
    let mut framer = Framer::default();
    framer.push(&vec![b'a'; COMMAND_LENGTH_MAX + 1]);
    framer.push(b"\n");
    assert_eq!(framer.next_line(), Some(Piece::TooLong));
}

#[test]
fn a_browser_is_cut_off_at_its_first_line() {
    for line in [
        "GET / HTTP/1.1",
        "POST /start%20x HTTP/1.0",
        "start sleep 5 HTTP/1.1",
    ] {
        let mut framer = Framer::default();
        framer.push(format!("{line}\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(framer.next_line(), Some(Piece::Http), "{line}");
    }
    let mut framer = Framer::default();
    framer.push(b"help\nstart echo HTTP/1.1\n");
    assert_eq!(framer.next_line(), Some(Piece::Command(b"help".to_vec())));
    assert!(
        matches!(framer.next_line(), Some(Piece::Command(_))),
        "only the first line"
    );
}

#[test]
fn answers_are_those_that_the_older_clients_expect() {
    let rows = [(1, "init".to_owned()), (4711, "a\nb".to_owned())];
    let cases = [
        (
            Dialect::Posix,
            Done::Listed(&rows),
            "    PID COMMAND\n      1 init\n   4711 a?b\n",
        ),
        (
            Dialect::Gestor,
            Done::Listed(&rows),
            "1 - init\n4711 - a?b\n",
        ),
        (
            Dialect::Posix,
            Done::Started {
                command: "sleep 5",
                pid: 7,
            },
            "Proceso 'sleep 5' iniciado con PID 7\n",
        ),
        (
            Dialect::Gestor,
            Done::Started {
                command: "sleep 5",
                pid: 7,
            },
            "Exito: Proceso lanzado con PID 7\n",
        ),
        (
            Dialect::Posix,
            Done::Stopped(7),
            "Proceso 7 detenido exitosamente.\n",
        ),
        (
            Dialect::Gestor,
            Done::Stopped(7),
            "Exito: Proceso 7 terminado.\n",
        ),
        (
            Dialect::Gestor,
            Done::Monitored {
                cpu: Some(125),
                memory: Some(1_000),
            },
            "{'cpu': 12.5, 'ram': 100.0}\n",
        ),
        (
            Dialect::Posix,
            Done::Monitored {
                cpu: None,
                memory: Some(7),
            },
            "{'cpu': None, 'ram': 0.7}\n",
        ),
    ];
    for (dialect, done, expected) in cases {
        assert_eq!(answer(dialect, &done), expected);
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = crate::random::Random(7);
    for _ in 0..2_000 {
        let mut framer = Framer::default();
        for _ in 0..random.below(8) {
            let bytes: Vec<u8> = (0..random.below(40))
                .map(|_| b"LISTstart 'x\"\\\r\n\0\xc3\xb1HTP/1.07"[random.below(27)])
                .collect();
            framer.push(&bytes);
            while let Some(piece) = framer.next_line() {
                if let Piece::Command(command) = piece {
                    let _ = parse(&command);
                }
            }
        }
        if let Some(Piece::Command(command)) = framer.rest() {
            let _ = parse(&command);
        }
    }
}

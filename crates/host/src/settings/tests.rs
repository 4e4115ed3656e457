use super::*;

fn file(text: &str) -> Vec<Given> {
    of_file(Language::English, "f.toml", text).unwrap()
}

fn environment(variables: &[(&str, &str)]) -> Vec<Given> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    of_environment(Language::English, &variables.iter().map(own).collect())
}

fn flag(key: &str, value: &str) -> Given {
    Given {
        place: format!("option --{key}"),
        key: key.into(),
        value: Value::Text(value.into()),
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let mut given = file("timeout = 1\nname = \"f\"\nlisten = \"127.0.0.1:1\"\n");
    given.extend(environment(&[
        ("FLOTA_NAME", "e"),
        ("FLOTA_LISTEN", "127.0.0.1:2"),
    ]));
    given.push(flag("listen", "127.0.0.1:3"));
    let settings = merge(Language::English, &given).unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(1));
    assert_eq!(settings.name.as_deref(), Some("e"));
    assert_eq!(settings.listen.port(), 3);
}

#[test]
fn nothing_given_is_the_defaults() {
    assert_eq!(merge(Language::English, &[]), Ok(Settings::default()));
    assert_eq!(Settings::default().listen.to_string(), "127.0.0.1:7070");
}

#[test]
fn every_key_takes_its_value_from_a_file_and_from_the_environment() {
    let values = [
        ("server", "http://h:1"),
        ("token_file", "/t"),
        ("output", "jsonl"),
        ("color", "never"),
        ("timeout", "5s"),
        ("data", "/d"),
        ("policy", "/p"),
        ("cgroup", "/flota.slice"),
        ("listen", "[::1]:7071"),
        ("name", "n1"),
        ("cpus", "0.5"),
        ("memory", "4GiB"),
        ("labels", "a=1,b=x=y"),
        ("line_listen", "posix=127.0.0.1:5002,gestor=[::1]:0"),
        ("log", "info,flota_server=debug"),
        ("log_format", "json"),
        ("logs_size", "1GiB"),
        ("logs_age", "7d"),
        ("hpc_listen", "127.0.0.1:5001"),
        ("hpc_origins", "http://localhost:*,https://lab.example"),
        ("hpc_timeout", "1m"),
        ("hpc_retries", "2"),
        ("jobs_dir", "/jobs"),
        ("job_file", "sub/today.txt"),
        ("slave_listen", "127.0.0.1:5011"),
        ("memory_listen", "[::1]:5003"),
    ];
    assert_eq!(
        values.map(|(key, _)| key),
        KEYS,
        "a key without a case here"
    );
    let text: String = values
        .map(|(key, value)| format!("{key} = \"{value}\"\n"))
        .concat();
    let from_file = merge(Language::English, &file(&text)).unwrap();
    let variables = values.map(|(key, value)| (format!("FLOTA_{}", key.to_uppercase()), value));
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let from_environment = merge(Language::English, &environment(&variables)).unwrap();
    assert_eq!(from_file, from_environment);
    assert_eq!(from_file, of_every_key());
}

/// What the values of the test above mean.
fn of_every_key() -> Settings {
    let labels = BTreeMap::from([("a".into(), "1".into()), ("b".into(), "x=y".into())]);
    Settings {
        server: Some("http://h:1".into()),
        token_file: Some("/t".into()),
        output: Format::JsonLines,
        color: Color::Never,
        timeout: Duration::from_secs(5),
        data: Some("/d".into()),
        policy: Some("/p".into()),
        cgroup: GroupWish::Below("/flota.slice".into()),
        listen: "[::1]:7071".parse().unwrap(),
        name: Some("n1".into()),
        cpus: Some(Cpus(500)),
        memory: Some(Bytes(4 << 30)),
        labels,
        line_listen: vec![
            (Dialect::Posix, "127.0.0.1:5002".parse().unwrap()),
            (Dialect::Gestor, "[::1]:0".parse().unwrap()),
        ],
        hpc: Hpc {
            listen: Some("127.0.0.1:5001".parse().unwrap()),
            origins: Some(vec![
                "http://localhost:*".into(),
                "https://lab.example".into(),
            ]),
            timeout: Some(Duration::from_mins(1)),
            retries: Some(2),
            jobs_dir: Some("/jobs".into()),
            job_file: Some("sub/today.txt".into()),
            algorithms: BTreeMap::new(),
            slave_listen: Some("127.0.0.1:5011".parse().unwrap()),
            memory_listen: Some("[::1]:5003".parse().unwrap()),
        },
        log: Some("info,flota_server=debug".into()),
        log_as_json: true,
        logs_size: Some(Bytes(1 << 30)),
        logs_age: Some(Duration::from_hours(7 * 24)),
    }
}

#[test]
fn a_file_may_use_numbers_and_tables() {
    let text = "cpus = 2\ntimeout = 1.5\n[labels]\ngpu = \"yes\"\nrow = 3\n";
    let settings = merge(Language::English, &file(text)).unwrap();
    assert_eq!(settings.cpus, Some(Cpus(2000)));
    assert_eq!(settings.timeout, Duration::from_millis(1500));
    assert_eq!(settings.labels.len(), 2);
    assert_eq!(settings.labels["row"], "3");
}

#[test]
fn algorithms_are_tables_of_a_file() {
    let text = "[hpc.algorithms.mandel]\nargv = [\"/opt/mandel\", \"-q\"]\n";
    let settings = merge(Language::English, &file(text)).unwrap();
    let argv = vec!["/opt/mandel".to_owned(), "-q".to_owned()];
    assert_eq!(
        settings.hpc.algorithms,
        BTreeMap::from([("mandel".into(), argv)])
    );
    for wrong in [
        "hpc = 3\n",
        "[hpc]\nother = 1\n",
        "[hpc.algorithms]\nx = \"y\"\n",
        "[hpc.algorithms.x]\nargv = \"y\"\n",
        "[hpc.algorithms.x]\nargv = [1]\n",
        "[hpc.algorithms.x]\nargv = []\n",
        "[hpc.algorithms.x]\nargv = [\"y\"]\nmore = 1\n",
    ] {
        let faults = merge(Language::English, &file(wrong)).unwrap_err();
        assert!(
            faults[0].contains("[hpc.algorithms.NAME]"),
            "{wrong}: {faults:?}"
        );
    }
}

#[test]
fn what_has_no_credentials_stays_on_the_machine() {
    for (key, value) in [
        ("hpc_listen", "0.0.0.0:5001"),
        ("slave_listen", "10.0.0.1:5011"),
        ("memory_listen", "5003"),
        ("hpc_origins", "localhost"),
        ("jobs_dir", "jobs"),
        ("job_file", "../x"),
        ("job_file", "/x"),
        ("hpc_timeout", "0"),
        ("hpc_retries", "1001"),
    ] {
        let faults = merge(Language::English, &[flag(key, value)]).unwrap_err();
        assert!(faults[0].contains(value), "{key}: {faults:?}");
    }
}

#[test]
fn all_faults_are_told_together_each_with_its_place() {
    let mut given = file("# mine\nlisten = \"nowhere\"\n\nlisen = \"x\"\nlabels = [1]\n");
    given.extend(environment(&[
        ("FLOTA_CPUS", "none"),
        ("FLOTA_PORT", "80"),
        ("FLOTA_DATAS", "/d"),
        ("HOME", "/h"),
        ("FLOTA_JOB", "7"),
    ]));
    given.push(flag("name", "-x"));
    given.push(flag("output", "xml"));
    let faults = merge(Language::English, &given).unwrap_err();
    let expected = [
        "f.toml, line 2: `nowhere` is not a value for `listen`: write HOST:PORT, for instance 127.0.0.1:7070",
        "f.toml, line 4: unknown key `lisen`; did you mean `listen`?",
        "f.toml, line 5: `array` is not a value for `labels`: write a table of texts: labels = { gpu = \"yes\" }",
        "environment variable FLOTA_CPUS: `none` is not a value for `cpus`: write a number of cores, for instance 2 or 0.5",
        "environment variable FLOTA_DATAS: unknown key `datas`; did you mean `data`?",
        "environment variable FLOTA_PORT: unknown key `port`",
        "option --name: `-x` is not a value for `name`: a name has 1 to 63 letters, digits, `.`, `_` or `-`, and starts with a letter or digit",
        "option --output: `xml` is not a value for `output`: use one of: table, json, jsonl, csv, name",
    ];
    let mut found = faults;
    let mut wanted = expected.map(str::to_owned).to_vec();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

/// A value of 64 bytes.
const LONG_LABEL: &str = "a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn values_out_of_range_are_refused() {
    for (key, value) in [
        ("cpus", "0"),
        ("cpus", "0.0001"),
        ("cpus", "99999999"),
        ("timeout", "0"),
        ("memory", "4G"),
        ("log", "flota=loud"),
        ("log_format", "xml"),
        ("logs_size", "1kB"),
        ("logs_age", "1s"),
        ("labels", "=x"),
        ("labels", "a b=x"),
        ("labels", LONG_LABEL),
        ("server", ""),
    ] {
        assert!(
            merge(Language::English, &[flag(key, value)]).is_err(),
            "{key}={value}"
        );
    }
    assert!(merge(Language::English, &[flag("name", &"n".repeat(63))]).is_ok());
    assert!(merge(Language::English, &[flag("name", &"n".repeat(64))]).is_err());
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line_and_in_spanish_too() {
    let fault = of_file(Language::Spanish, "f.toml", "a = 1\nb = \n").unwrap_err();
    assert!(fault.starts_with("f.toml, línea 2: no es TOML:"), "{fault}");
}

#[test]
fn a_control_group_is_a_plain_path_or_a_word() {
    let parse = |text: &str| {
        let given = file(&format!("cgroup = \"{text}\"\n"));
        merge(Language::English, &given).map(|settings| settings.cgroup)
    };
    assert_eq!(parse("auto"), Ok(GroupWish::Auto));
    assert_eq!(parse("off"), Ok(GroupWish::Off));
    assert_eq!(parse("/a/b"), Ok(GroupWish::Below("/a/b".to_owned())));
    for wrong in ["on", "a/b", "/", "/a/", "/a/../b", "//a"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

//! Jobs on a fleet of one machine, from `submit` to results.

use std::fs;

use rustix::process::Signal;

use crate::home::{Home, eventually};

#[test]
fn programs_run_and_what_they_leave_comes_back() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);

    home.line("submit --wait --array 3-5 -- echo hello {index}")
        .succeeded();
    assert_eq!(
        home.line("job logs last").succeeded().out,
        "hello 3\nhello 4\nhello 5\n"
    );
    assert_eq!(
        home.line("job logs last --task 4").succeeded().out,
        "hello 4\n"
    );
    let results = home.line("job results last").succeeded().out;
    let first: serde_json::Value = serde_json::from_str(results.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["task"], &first["stdout"]),
        (&3.into(), &"hello 3\n".into())
    );
    home.line("job results last -d out").succeeded();
    assert_eq!(
        fs::read_to_string(home.path().join("out/5.stdout")).unwrap(),
        "hello 5\n"
    );

    let job = home
        .line("submit -q --kernel arithmetic -p operation=sum -p a=2 -p b=3")
        .succeeded();
    let job = job.out.trim();
    home.line(&format!("job wait {job}")).succeeded();
    let result = home.line(&format!("job logs {job}")).succeeded().out;
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["result"], 5.0);

    // What standard output and standard error get is what the program wrote there.
    home.run(&["submit", "--wait", "--", "sh", "-c", "echo a; echo b >&2"])
        .succeeded();
    let told = home.line("job logs last").succeeded();
    assert_eq!((told.out.as_str(), told.err.as_str()), ("a\n", "b\n"));
    assert_eq!(
        home.line("job logs last --stream stderr").succeeded().err,
        "b\n"
    );

    let tasks = home.json("job tasks 1 -o json");
    assert!(
        tasks
            .as_array()
            .unwrap()
            .iter()
            .all(|task| task["state"] == "succeeded")
    );
    let ls = home.line("job ls -o csv --no-headers").succeeded().out;
    assert_eq!(ls.lines().count(), 3, "{ls}");
    assert_eq!(home.json("job show 1 -o json")["spec"]["tasks"]["last"], 5);
    let nodes = home.line("node ls -q").succeeded().out;
    let mut nodes: Vec<&str> = nodes.lines().collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["n1", "n2"]);
    assert!(home.line("kernel ls -q").succeeded().out.contains("julia"));
    dev.stop().succeeded();
}

#[test]
fn what_goes_wrong_in_a_job_ends_the_wait_with_5_and_says_where() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    home.line("submit --wait -- /no/such/program").failed(
        5,
        &[
            "error[E-JOB-FAILED]: job 1: 1 of 1 tasks did not succeed",
            "not started on n1: stage execute: No such file or directory (os error 2)",
        ],
    );
    home.line("submit --wait --cwd /no/such -- true").failed(
        5,
        &["stage change_directory: No such file or directory (os error 2)"],
    );
    home.line("submit --wait --stdin /no/such -- true")
        .failed(5, &["stage open_stdin"]);
    let script = "for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 3";
    let told = home
        .run(&["submit", "--wait", "--", "sh", "-c", script])
        .failed(
            5,
            &[
                "exited with 3 on n1",
                "  last lines of its stderr:\n    line 3\n",
                "line 7",
                "hint: flota job logs 4 --task 0",
            ],
        );
    assert!(!told.err.contains("line 2"), "{told:?}");
    home.run(&["submit", "--wait", "--", "sh", "-c", "kill -9 $$"])
        .failed(5, &["signal 9 (SIGKILL)"]);
    home.line("submit --wait --timeout 100ms --grace 100ms -- sleep 1000")
        .failed(5, &["time limit"]);
    // The seventh job: 777,777,777 ms is more than a week, which only the kernel can see.
    home.line("submit --wait --kernel sleep -p milliseconds={job}{job}{job}{job}{job}{job}{job}{job}{job}")
        .failed(5, &["milliseconds"]);
    // The same again in Spanish.
    home.line("--lang es job wait 1")
        .failed(5, &["no arrancó en n1: etapa execute"]);
    dev.stop().succeeded();
}

#[test]
fn wrong_requests_are_refused_with_the_code_of_their_kind() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    home.line("submit --kernel nop")
        .failed(2, &["E-KERNEL-UNKNOWN", "did you mean `noop`?"]);
    home.line("submit --kernel sleep -p miliseconds=1").failed(
        2,
        &[
            "E-KERNEL-PARAMETER",
            "kernel.parameters.milliseconds: is missing",
            "did you mean it by `miliseconds`?",
        ],
    );
    home.line("--lang es submit --kernel sleep -p milliseconds=x --array 1-2")
        .failed(2, &["no admite esos parámetros", "not `x` (task 1)"]);
    home.line("submit --node n9 -- true")
        .failed(2, &["E-NODE-NOTFOUND", "`n9`"]);
    home.line("node show n11")
        .failed(3, &["E-NODE-NOTFOUND", "did you mean `n1`?"]);
    home.line("node show zzzzzz").failed(3, &["flota node ls"]);
    home.line("job show 99")
        .failed(3, &["E-JOB-NOTFOUND", "flota job ls"]);
    home.line("--lang es job show 99")
        .failed(3, &["no existe ese trabajo"]);
    home.line("submit --wait --idempotency-key k -- true")
        .succeeded();
    home.line("submit --idempotency-key k -- false")
        .failed(6, &["E-KEY-REUSED"]);
    let again = home.line("submit --idempotency-key k -- true").succeeded();
    assert!(
        again.out.contains("job 1 was submitted before"),
        "{again:?}"
    );
    home.line("job cancel 1").failed(6, &["E-JOB-FINISHED"]);
    home.line("job logs 1 --task 7")
        .failed(3, &["E-TASK-NOTFOUND"]);
    home.line("submit --array 1-2 -- sleep 1000").succeeded();
    home.line("job logs last -f")
        .failed(2, &["one can be followed at a time"]);
    home.line("job cancel last").succeeded();

    // Over TCP a token is needed; over the socket the user is known.
    let addresses = fs::read_to_string(home.data().join("dev/addresses.json")).unwrap();
    let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
    let url = format!("http://{}", addresses["http"].as_str().unwrap());
    home.line(&format!("--server {url} node ls")).succeeded();
    let wrong = home.path().join("wrong");
    fs::write(&wrong, "0".repeat(64)).unwrap();
    home.line(&format!(
        "--server {url} --token-file {} node ls",
        wrong.display()
    ))
    .failed(4, &["E-CREDENTIALS-WRONG"]);
    home.line("--token-file /no/such node ls")
        .failed(4, &["E-TOKEN-UNREADABLE"]);
    dev.stop().succeeded();
}

#[test]
fn a_wait_can_be_given_up_and_the_job_goes_on() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let job = home.line("submit -q -- sleep 1000").succeeded().out;
    let job = job.trim();
    home.line(&format!("job wait {job} --timeout 200ms"))
        .failed(8, &["E-WAIT-TIMEOUT"]);
    let waiting = home.start(&["submit", "--wait", "--", "sleep", "1000"], "submitted");
    waiting
        .stop()
        .failed(130, &["job 2 goes on; stop it with: flota job cancel 2"]);
    assert_eq!(home.json("job show 2 -o json")["phase"], "active");
    home.line("job cancel 1").succeeded();
    home.line("job wait 1").failed(5, &["cancelled"]);
    dev.stop().succeeded();
}

#[test]
fn the_output_of_a_running_task_is_followed_to_its_end_through_a_retry() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let path = |name: &str| home.path().join(name).display().to_string();
    let script = format!(
        "echo first $FLOTA_NODE $FLOTA_NODE_ID; while [ ! -e {gate} ]; do sleep 0.05; done; \
         echo last; if [ ! -e {again} ]; then touch {again}; exit 4; fi; \
         while [ ! -e {end} ]; do sleep 0.05; done",
        gate = path("gate"),
        again = path("again"),
        end = path("end")
    );
    let submit = ["submit", "--retries", "1", "--backoff", "10ms", "--"];
    home.run(&[&submit[..], &["sh", "-c", &script]].concat())
        .succeeded();
    let file = home.path().join("followed");
    let following = home
        .command(&["job", "logs", "last", "--follow"])
        .stdout(fs::File::create(&file).unwrap())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let read = || fs::read_to_string(&file).unwrap();
    eventually("the first line is there", || {
        (read() == "first n1 1\n").then_some(())
    });
    fs::write(path("gate"), "").unwrap();
    // While the second attempt runs, it is the one that is meant.
    let both = "first n1 1\nlast\nfirst n1 1\nlast\n";
    eventually("the second attempt is followed", || {
        (read() == both).then_some(())
    });
    let told = home.line("job logs last").succeeded();
    assert_eq!(told.out, "first n1 1\nlast\n");
    assert_eq!(home.json("job tasks last -o json")[0]["state"], "granted");
    fs::write(path("end"), "").unwrap();
    let told = crate::home::Told::from(following.wait_with_output().unwrap());
    assert_eq!(read(), both);
    let told = told.succeeded();
    assert!(told.err.contains("a new attempt"), "{told:?}");
    assert!(told.err.contains("task 0: succeeded"), "{told:?}");
    dev.signal(Signal::TERM);
    dev.end().succeeded();
}

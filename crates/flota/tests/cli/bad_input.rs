//! What people and machines do wrong: each is refused with its code, what is wrong, and what to do.
//!
//! Ports, folders and names that are in use are in `hosts`, settings and languages in `words`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::home::{Home, Told, eventually};

#[test]
fn a_command_line_that_is_wrong_is_refused_before_anything_is_sent() {
    let home = Home::new();
    let check = |line: &str, texts: &[&str]| {
        home.line(line).failed(2, texts);
    };
    check(
        "job ls --bogus",
        &[
            "[E-USAGE-INVALID]: unknown option `--bogus`",
            "hint: see `flota job ls --help`",
        ],
    );
    check(
        "jbo ls",
        &[
            "[E-USAGE-INVALID]: unknown command `jbo`",
            "hint: did you mean `job`?",
        ],
    );
    check(
        "submit --array 9-1 -- true",
        &[
            "[E-USAGE-INVALID]: `9-1`",
            "did you mean 1-9?",
            "hint: see `flota submit --help`",
        ],
    );
    check(
        "submit --array 0-10000000 -- true",
        &[
            "[E-USAGE-INVALID]: `0-10000000`",
            "at most 10000000 tasks",
            "hint: ",
        ],
    );
    fs::write(
        home.path().join("job.toml"),
        "nmae = \"x\"\nprogram = { argv = [\"true\"] }\n",
    )
    .unwrap();
    check(
        "submit --file job.toml",
        &[
            "[E-SPEC-INVALID]: the job of job.toml is wrong",
            "nmae: unknown field (did you mean `name`?)",
        ],
    );
    fs::write(home.path().join("long.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    check(
        "submit --file long.toml",
        &[
            "[E-FILE-TOO-LONG]: long.toml is longer than 1048576 bytes",
            "hint: ",
            "--sweep",
        ],
    );
}

#[test]
fn a_program_that_cannot_start_is_told_with_the_step_that_failed() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let plain = home.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let check = |options: &str, program: &str, text: &str| {
        let told = home.line(&format!("submit --wait {options} -- {program}"));
        told.failed(5, &["[E-JOB-FAILED]: ", text, "hint: flota job tasks "]);
    };
    check(
        "",
        "/no/such/program",
        "stage execute: No such file or directory",
    );
    check(
        "",
        &plain.display().to_string(),
        "stage execute: Permission denied",
    );
    check(
        "",
        &home.path().display().to_string(),
        "stage execute: Permission denied",
    );
    check(
        "--cwd /no/such",
        "true",
        "stage change_directory: No such file or directory",
    );
    check(
        "--stdin /no/such",
        "true",
        "stage open_stdin: No such file or directory",
    );
    dev.stop().succeeded();
}

/// The store of a server that was stopped.
fn store_of(home: &Home) -> PathBuf {
    let server = home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    home.line("submit -q -- true").succeeded();
    server.stop().succeeded();
    home.data().join("flota.db")
}

#[test]
fn a_damaged_store_is_told_and_left_as_it_is() {
    let home = Home::new();
    let store = store_of(&home);
    let damaged = b"these are the notes of somebody, and no database".repeat(200);
    fs::write(&store, &damaged).unwrap();
    home.line("server --listen 127.0.0.1:0").failed(
        1,
        &[
            "[E-STORE-DAMAGED]: ",
            "flota.db is no whole store",
            "caused by: ",
            "hint: ",
            "flota restore",
        ],
    );
    assert_eq!(fs::read(&store).unwrap(), damaged);
}

#[test]
fn a_store_of_a_newer_version_is_told_and_left_as_it_is() {
    let home = Home::new();
    let store = store_of(&home);
    let connection = rusqlite::Connection::open(&store).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                 VALUES (99, 'later', '2099-01-01T00:00:00Z', '1')";
    connection.execute(newer, []).unwrap();
    connection.close().unwrap();
    let before = fs::read(&store).unwrap();
    home.line("server --listen 127.0.0.1:0").failed(
        6,
        &[
            "[E-STORE-NEWER]: ",
            "a newer version of Flota",
            "schema 99",
            "hint: use that version",
        ],
    );
    assert_eq!(fs::read(&store).unwrap(), before);
}

/// A file system of 64 MiB in memory, which only the processes of one script see.
#[test]
fn a_full_disk_refuses_submissions_with_507_and_what_to_do() {
    let home = Home::new();
    let (data, flota) = (home.data(), env!("CARGO_BIN_EXE_flota"));
    fs::create_dir(&data).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64m tmpfs {data} || exit 99\n\
         {flota} server --quiet --listen 127.0.0.1:0 & server=$!\n\
         while [ ! -e {data}/addresses.json ]; do kill -0 $server || exit 98; sleep 0.05; done\n\
         {flota} submit -- true; told=$?\n\
         {flota} job ls -q; {flota} fleet show -q\n\
         kill $server; wait $server; exit $told",
        data = data.display()
    );
    let told = in_own_namespace(&home, &script);
    if told.code == Some(99) {
        // No container engine lets its guests mount by default; the server's own tests fill a disk
        // by measure (`a_nearly_full_disk_refuses_submissions_only`).
        return;
    }
    told.failed(
        6,
        &[
            "[E-STORE-FULL]: the disk of the server is nearly full",
            "hint: ",
        ],
    );
}

fn in_own_namespace(home: &Home, script: &str) -> Told {
    #[expect(clippy::disallowed_methods, reason = "only its children see the disk")]
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .env("FLOTA_CONFIG", home.path().join("none.toml"))
        .env("FLOTA_DATA", home.data())
        .env("HOME", home.path());
    match command.output() {
        Ok(output) if output.status.code() == Some(1) && output.stdout.is_empty() => {
            let told = Told::from(output);
            // `unshare` itself may not.
            let code = if told.err.starts_with("unshare: ") {
                Some(99)
            } else {
                told.code
            };
            Told { code, ..told }
        }
        Ok(output) => output.into(),
        Err(_) => Told {
            code: Some(99),
            out: String::new(),
            err: String::new(),
        },
    }
}

/// Stands before the C library of the server: syncs of the log fail while the file that the variable
/// names is there.
const FAILING_SYNCS: &str = r#"
    #include <errno.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    static int sync_file(int descriptor) {
        char link[64], path[4096] = {0};
        const char *gate = getenv("FAILING_SYNCS");
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, "flota.db-wal")
            && gate && access(gate, F_OK) == 0) {
            errno = EIO;
            return -1;
        }
        return (int)syscall(SYS_fsync, descriptor);
    }

    int fsync(int descriptor) { return sync_file(descriptor); }
    int fdatasync(int descriptor) { return sync_file(descriptor); }
"#;

/// Builds it with the compiler that SQLite itself was built with.
fn failing_syncs(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("failing.c"), folder.join("failing.so"));
    fs::write(&source, FAILING_SYNCS).unwrap();
    #[expect(clippy::disallowed_methods, reason = "builds what the test needs")]
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.unwrap().success());
    library
}

#[test]
fn a_sync_that_fails_ends_the_server_and_what_was_acknowledged_is_there() {
    let home = Home::new();
    let gate = home.path().join("fails");
    let mut command = home.command(&["server", "--listen", "127.0.0.1:0"]);
    command
        .env("LD_PRELOAD", failing_syncs(home.path()))
        .env("FAILING_SYNCS", &gate);
    let server = home.watch(command, "flota submit");
    let kept = home.line("submit -q -- true").succeeded().out;
    fs::write(&gate, "").unwrap();
    let refused = home.line("submit -- false");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    server.end().failed(
        1,
        &[
            "[E-SERVER-FAILED]: the server failed",
            "caused by: failed to commit",
            "hint: the disk of the data folder fails or is full",
        ],
    );
    let server = home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    let known = eventually("the server answers", || {
        let told = home.line("job ls -q");
        (told.code == Some(0)).then_some(told.out)
    });
    assert!(known.lines().any(|job| job == kept.trim()), "{known}");
    server.stop().succeeded();
}

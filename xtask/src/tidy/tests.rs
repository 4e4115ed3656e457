use std::{fs, path::Path};

use super::{decisions, documents, errors, layers, manifests, sources};

/// A repository of the given files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a new folder");
        fs::write(path, text).expect("a new file");
    }
    root
}

fn check(rule: fn(&Path) -> Vec<String>, files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(rule(tree(files).path()), expected);
}

#[test]
fn the_repository_is_tidy() {
    let problems = super::problems(crate::repository());
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_forbidden_dependency_is_found_at_any_depth() {
    let tree = layers::parse("0flota-kernels v0.1.0 (/x)\n1png v0.18.1\n2crc32fast v1.5.4\n");
    assert!(layers::problems_of("flota-kernels", &tree).is_empty());

    let tree = layers::parse("0flota-kernels v0.1.0 (/x)\n1png v0.18.1\n12flota-model v0.1.0\n");
    let expected = ["flota-kernels may not depend on flota-model"];
    assert_eq!(layers::problems_of("flota-kernels", &tree), expected);
}

#[test]
fn what_only_a_dependency_uses_is_allowed_where_direct_use_is_forbidden() {
    let tree =
        layers::parse("0flota-agent v0.1.0\n1flota-link v0.1.0\n2tonic v0.14.9\n3axum v0.8\n");
    assert!(layers::problems_of("flota-agent", &tree).is_empty());

    let tree = layers::parse("0flota-agent v0.1.0\n1axum v0.8.9\n");
    let expected = ["flota-agent may not depend on axum"];
    assert_eq!(layers::problems_of("flota-agent", &tree), expected);
}

#[test]
fn a_crate_with_a_list_may_use_nothing_else() {
    let tree =
        layers::parse("0flota-engine v0.1.0\n1crc32fast v1.5.4\n2cfg-if v1.0.5\n1serde v1\n");
    let expected = ["flota-engine may not depend on serde"];
    assert_eq!(layers::problems_of("flota-engine", &tree), expected);
}

#[test]
fn a_workspace_that_cargo_cannot_read_is_a_problem() {
    let problems = layers::problems(tree(&[]).path());
    assert!(
        problems[0].starts_with("cargo tree fails for flota-model"),
        "{problems:?}"
    );
}

#[test]
fn a_crate_without_the_lints_is_found() {
    let files = [
        (
            "crates/good/Cargo.toml",
            "[package]\n\n[lints]\nworkspace = true\n",
        ),
        ("crates/bad/Cargo.toml", "[package]\nworkspace = true\n"),
        ("xtask/Cargo.toml", "[lints]\n[dependencies]\n"),
    ];
    let expected = [
        "crates/bad/Cargo.toml: needs `[lints] workspace = true`",
        "xtask/Cargo.toml: needs `[lints] workspace = true`",
    ];
    check(manifests::problems, &files, &expected);
}

#[test]
fn a_long_file_and_a_mod_file_are_found() {
    let (full, long) = (
        "\n".repeat(sources::LINES_MAX),
        "\n".repeat(sources::LINES_MAX + 1),
    );
    let files = [
        ("crates/a/src/full.rs", full.as_str()),
        ("crates/a/src/long.rs", long.as_str()),
        ("crates/a/src/x/mod.rs", ""),
    ];
    let expected = [
        "crates/a/src/long.rs: 601 lines, at most 600",
        "crates/a/src/x/mod.rs: modules are named after themselves, x.rs beside x/",
    ];
    check(sources::problems, &files, &expected);
}

#[test]
fn a_binary_that_holds_more_than_it_must_is_found() {
    let half = "\n".repeat(sources::BINARY_LINES_MAX / 2);
    let main = ("crates/flota/src/main.rs", half.as_str());
    let other = ("crates/flota/src/other.rs", half.as_str());
    check(sources::problems, &[main, other], &[]);
    let more = ("crates/flota/src/more.rs", "\n");
    let expected = ["crates/flota/src: 1001 lines, at most 1000"];
    check(sources::problems, &[main, other, more], &expected);
}

#[test]
fn unsafe_code_is_found_outside_its_places() {
    let block = "fn f() { unsafe { g() } } // unsafe\n";
    let files = [
        ("crates/agent/src/sys.rs", block),
        ("crates/agent/src/sys/clone.rs", block),
        ("crates/kernels/src/simd.rs", block),
        ("crates/store/tests/sync_failure.rs", block),
        ("crates/agent/src/system.rs", block),
        (
            "crates/server/src/a.rs",
            "// unsafe\n#[expect(unsafe_code, reason = \"\")]\n",
        ),
    ];
    let places = "crates/agent/src/sys or crates/kernels/src/simd";
    let expected = [
        format!("crates/agent/src/system.rs:1: unsafe code belongs in {places}"),
        format!("crates/server/src/a.rs:2: unsafe code belongs in {places}"),
    ];
    check(
        sources::problems,
        &files,
        &expected.each_ref().map(String::as_str),
    );
}

#[test]
fn codes_and_pages_that_miss_each_other_are_found() {
    let source = "/// `E-NOUN-REASON`\nconst A: &str = \"E-JOB-UNKNOWN\"; // E-X-Y\n\"E-PORT-USED\" \"E-no-1\"\n";
    let files = [
        ("crates/a/src/a.rs", source),
        ("crates/a/src/a/tests.rs", "\"E-TEST-ONLY\""),
        ("docs/errors/README.md", "# Errors"),
        ("docs/errors/E-JOB-UNKNOWN.md", "# E-JOB-UNKNOWN\n"),
        ("docs/errors/E-OLD-PAGE.md", "# Old\n"),
    ];
    let expected = [
        "crates/a/src/a.rs:3: the error code E-PORT-USED has no page docs/errors/E-PORT-USED.md",
        "docs/errors/E-OLD-PAGE.md: nothing raises E-OLD-PAGE",
        "docs/errors/E-OLD-PAGE.md: the first line must be `# E-OLD-PAGE`",
    ];
    check(errors::problems, &files, &expected);
}

#[test]
fn a_gap_between_decisions_is_found() {
    let files = [
        ("docs/decisions/0001-first.md", "# 0001. First\n"),
        ("docs/decisions/0003-third.md", "# 0003. Third\n"),
    ];
    let expected = [
        "docs/decisions/0003-third.md: the number should be 0002",
        "docs/decisions/0003-third.md: the first line must begin `# 0002. `",
    ];
    check(decisions::problems, &files, &expected);
}

#[test]
fn a_decision_longer_than_a_page_is_found() {
    let long = format!("# 0001. First\n{}", "\n".repeat(60));
    let expected = ["docs/decisions/0001-first.md: 61 lines, at most 60"];
    check(
        decisions::problems,
        &[("docs/decisions/0001-first.md", &long)],
        &expected,
    );
}

#[test]
fn commands_and_links_that_lead_nowhere_are_found() {
    let files = [
        (
            "Makefile",
            "PREFIX := /usr\n.PHONY: nothing\ntest check: setup\n\tcargo nextest run\n",
        ),
        (
            "README.md",
            "`make test` and `make tset`\n\n    make check\n    ONCE=1 make demo\nmake it so\n",
        ),
        (
            "ARCHITECTURE.md",
            "[a](README.md#top) [b](docs/none.md) [c](https://example.org)",
        ),
        ("CONTRIBUTING.md", "we make sense"),
    ];
    let expected = [
        "CHANGELOG.md: is missing",
        "README.md: the Makefile has no target `tset`",
        "README.md: the Makefile has no target `it`",
        "ARCHITECTURE.md: the link docs/none.md leads nowhere",
    ];
    check(documents::problems, &files, &expected);
}

#[test]
fn a_promise_that_names_no_test_is_found() {
    let files = [
        ("README.md", ""),
        ("ARCHITECTURE.md", ""),
        ("CONTRIBUTING.md", ""),
        ("CHANGELOG.md", ""),
        (
            "crates/a/src/tests.rs",
            "#[test]\nfn a_job_is_not_lost() {}\n",
        ),
        (
            "docs/guarantees.md",
            "`a_job_is_not_lost`, `a_job_is_never_lost`, `retry = never`",
        ),
    ];
    let expected = ["docs/guarantees.md: there is no test `a_job_is_never_lost`"];
    check(documents::problems, &files, &expected);
}

#[test]
fn an_error_of_the_api_without_its_text_is_found() {
    let files = [
        (
            "crates/server/src/problem.rs",
            "\"E-JOB-LIMIT\" \"E-TASK-LIMIT\"\n",
        ),
        (
            "crates/client/src/catalogue/problems.rs",
            "\"E-JOB-LIMIT\"\n\"E-JOBS-MANY\"\n",
        ),
        ("docs/errors/E-JOB-LIMIT.md", "# E-JOB-LIMIT\n"),
        ("docs/errors/E-TASK-LIMIT.md", "# E-TASK-LIMIT\n"),
    ];
    let text = "crates/client/src/catalogue/problems.rs";
    let expected = [
        format!("crates/server/src/problem.rs:1: E-TASK-LIMIT has no text in {text}"),
        format!("{text}:2: nothing raises E-JOBS-MANY"),
    ];
    check(
        errors::problems,
        &files,
        &expected.each_ref().map(String::as_str),
    );
}

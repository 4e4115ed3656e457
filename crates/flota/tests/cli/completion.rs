//! The script that a shell loads, in that shell.

use std::process::Command;

use crate::home::Home;

/// What bash offers for the last of `words` when it has loaded the script.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let script = format!(
        "source <(flota completion bash); COMP_WORDS=({}); COMP_CWORD={last}; \
         function=$(complete -p flota | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
         $function flota {:?} {:?}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words[last],
        words[last - 1],
    );
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_flota"));
    let folder = binary.parent().unwrap().display();
    let path = std::env::var("PATH").unwrap();
    #[expect(clippy::disallowed_methods, reason = "a real shell loads the script")]
    let output = Command::new("bash")
        .args(["--norc", "-c", &script])
        .env("PATH", format!("{folder}:{path}"))
        .env("HOME", home.path())
        .env("FLOTA_CONFIG", home.path().join("none.toml"))
        .output()
        .unwrap();
    let told = crate::home::Told::from(output).succeeded();
    assert_eq!(told.err, "", "{script}");
    told.out.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_words() {
    let home = Home::new();
    assert_eq!(offered(&home, &["flota", "back"]), ["backup"]);
    assert_eq!(offered(&home, &["flota", "job", "l"]), ["ls", "logs"]);
    let kernel = offered(&home, &["flota", "submit", "--ker"]);
    assert_eq!(kernel, ["--kernel"]);
    let shells = offered(&home, &["flota", "completion", "f"]);
    assert_eq!(shells, ["fish"]);
}

#[test]
fn other_shells_have_a_script_with_the_texts_of_the_language() {
    let home = Home::new();
    for (shell, mark) in [("zsh", "#compdef flota"), ("fish", "complete -c flota")] {
        let told = home
            .line(&format!("completion {shell} --lang es"))
            .succeeded();
        assert!(told.out.contains(mark), "{shell}");
        assert!(told.out.contains("Lista los nodos"), "{shell}");
    }
    home.line("completion tcsh")
        .failed(2, &["`tcsh` is not a value"]);
}

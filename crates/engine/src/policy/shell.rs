//! Which programs are shells, by their names.

/// Names of shells (`/etc/shells` of the common systems).
pub const SHELLS: [&str; 17] = [
    "ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "lksh", "mksh", "nu", "pwsh",
    "rbash", "sh", "tcsh", "yash", "zsh",
];

/// Programs that execute what their arguments name.
const CARRIERS: [&str; 22] = [
    "busybox", "chroot", "chrt", "doas", "env", "flock", "ionice", "nice", "nohup", "nsenter",
    "prlimit", "runuser", "script", "setpriv", "setsid", "stdbuf", "su", "sudo", "taskset",
    "timeout", "toybox", "unshare",
];

/// Whether an argument list starts a shell, at once or through a program that starts others. Not
/// found: shells under other names (the child looks at the file itself), and what interpreters and
/// scripts do.
pub(super) fn is_call_of_shell(argv: &[String]) -> bool {
    let Some((program, arguments)) = argv.split_first() else {
        return false;
    };
    if is_shell(program) {
        return true;
    }
    // Any argument that is a shell's name: which of them is the program, each carrier says in its
    // own way, and `env -S` has it inside of one.
    CARRIERS.contains(&name(program))
        && arguments
            .iter()
            .flat_map(|argument| argument.split_ascii_whitespace())
            .any(|word| !word.contains('=') && is_shell(word))
}

fn is_shell(path: &str) -> bool {
    SHELLS.contains(&name(path))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

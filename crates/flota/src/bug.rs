//! A panic is a bug of ours: told once, with its place, and exit code 70.

use std::{
    io::Write as _,
    panic::{self, PanicHookInfo, UnwindSafe},
};

use flota_client::{Exit, Language};

/// Runs `work`; a panic in it becomes [`Exit::Bug`].
pub(crate) fn guard(language: Language, work: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    panic::set_hook(Box::new(move |panic| tell(language, panic)));
    panic::catch_unwind(work).unwrap_or(Exit::Bug)
}

/// Also told for panics of other threads, which their owners survive or not.
fn tell(language: Language, panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let cause = panic.payload_as_str().unwrap_or_default();
    let text = format!(
        "{}[E-PROGRAM-BUG]: {}\n  {}: {cause}\n  {}: {}",
        language.word_error(),
        language.error_bug(place),
        language.word_caused_by(),
        language.word_hint(),
        language.hint_bug(),
    );
    // Nobody may be reading; a second panic here would end the process at once.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_as_a_bug_and_has_its_own_exit_code() {
        let exit = guard(Language::English, || {
            panic!("{} contradicts itself", "this")
        });
        assert_eq!(exit.code(), 70);
        let _ = panic::take_hook();
    }
}

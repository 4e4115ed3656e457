//! Signals by name.

use flota_model::process::SIGNAL_MAX;

/// Numbers and names of x86 and ARM, without those that have no name of their own (`man 7 signal`).
const NAMES: [(u8, &str); 31] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (7, "BUS"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (17, "CHLD"),
    (18, "CONT"),
    (19, "STOP"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (23, "URG"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
    (31, "SYS"),
];

/// A signal by its number (1 to [`SIGNAL_MAX`]) or its name, with or without `SIG`, in any case.
pub fn parse(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        return Some(number).filter(|number| plain && (1..=SIGNAL_MAX).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = NAMES.iter().find(|(_, name)| *name == bare);
    found.map(|(number, _)| *number)
}

/// Its name, without `SIG`, or its number where it has none.
pub fn name(signal: u8) -> String {
    let found = NAMES.iter().find(|(number, _)| *number == signal);
    found.map_or_else(|| signal.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        for text in ["15", "TERM", "SIGTERM", "term", "sigTerm"] {
            assert_eq!(parse(text), Some(15), "{text}");
        }
        assert_eq!(parse("64"), Some(64));
        for text in ["", "0", "65", "-9", "+9", "256", "SIG", "NONE", "9 "] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for number in 1..=SIGNAL_MAX {
            assert_eq!(parse(&name(number)), Some(number));
        }
        assert_eq!((name(9).as_str(), name(40).as_str()), ("KILL", "40"));
    }
}

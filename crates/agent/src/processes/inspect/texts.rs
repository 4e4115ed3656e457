//! Arguments and variables: texts with a NUL behind each.

use flota_model::inspect::{Part, TEXTS_BYTES_MAX, TEXTS_MAX, Variable};

use super::Values;

pub(super) fn arguments(bytes: &[u8]) -> Part<String> {
    texts(bytes, str::to_owned)
}

/// A text without `=` has no value that could be masked, and is not shown unless values are.
pub(super) fn variables(bytes: &[u8], values: Values) -> Part<Variable> {
    texts(bytes, |text| match text.split_once('=') {
        Some((name, value)) => Variable {
            name: name.to_owned(),
            value: (values == Values::Shown).then(|| value.to_owned()),
        },
        None if values == Values::Shown => Variable {
            name: text.to_owned(),
            value: Some(String::new()),
        },
        None => Variable {
            name: String::new(),
            value: None,
        },
    })
}

/// As many as fit. What was read is at most as long as an answer may be, so that the last one may be
/// cut.
fn texts<T>(bytes: &[u8], make: impl Fn(&str) -> T) -> Part<T> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let mut part = Part::default();
    if bytes.is_empty() {
        return part;
    }
    let mut length = 0;
    for text in bytes.split(|byte| *byte == 0) {
        part.total += 1;
        let text = String::from_utf8_lossy(text);
        length += text.len();
        if part.rows.len() < TEXTS_MAX && length <= TEXTS_BYTES_MAX {
            part.rows.push(make(&text));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_apart_and_empty_ones_count() {
        assert_eq!(arguments(b"a\0\0b c\0").rows, ["a", "", "b c"]);
        assert_eq!(arguments(b"title without end").rows, ["title without end"]);
        assert_eq!(arguments(b"").total, 0);
    }

    #[test]
    fn values_are_masked_unless_they_are_asked_for() {
        let bytes = b"A=1=2\0SECRET\0B=\0";
        let shown = |values| {
            let variable = |variable: Variable| (variable.name, variable.value);
            let rows = variables(bytes, values).rows.into_iter();
            rows.map(variable).collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("A".to_owned(), some("1=2")),
            ("SECRET".to_owned(), some("")),
            ("B".to_owned(), some("")),
        ];
        assert_eq!(shown(Values::Shown), expected);
        let masked = [
            ("A".to_owned(), None),
            (String::new(), None),
            ("B".to_owned(), None),
        ];
        assert_eq!(shown(Values::Masked), masked);
    }

    #[test]
    fn more_than_an_answer_holds_is_counted() {
        let many = b"x\0".repeat(TEXTS_MAX + 5);
        let part = arguments(&many);
        assert_eq!((part.rows.len(), part.total), (TEXTS_MAX, 1_029));
        let long = [vec![b'x'; TEXTS_BYTES_MAX], b"\0y\0".to_vec()].concat();
        let part = arguments(&long);
        assert_eq!((part.rows.len(), part.total), (1, 2));
        // Bytes that are no text grow when they are shown.
        let broken = vec![0xff; TEXTS_BYTES_MAX];
        assert_eq!(arguments(&broken).rows.len(), 0);
    }
}

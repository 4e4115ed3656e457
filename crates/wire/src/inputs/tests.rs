use super::*;

fn shown(text: &[u8], format: InputFormat) -> String {
    match read(text, format) {
        Ok(table) => {
            let rows = String::from_utf8(table.rows).unwrap().replace('\0', "|");
            format!("{} x{} {rows}", table.columns.join(","), table.count)
        }
        Err(fault) => fault.to_string(),
    }
}

#[track_caller]
fn check(format: InputFormat, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(shown(text.as_bytes(), format), *expected, "{text:?}");
    }
}

#[test]
fn every_line_is_a_row_with_or_without_its_end() {
    check(
        InputFormat::Lines,
        &[
            ("a\nb c\n", "line x2 a|b c|"),
            ("a\r\n\r\nb", "line x3 a||b|"),
            ("\u{feff}é", "line x1 é|"),
            ("", "line 1: there is no row"),
            ("a\nb\0c\n", "line 2: has a NUL byte"),
        ],
    );
    assert_eq!(
        shown(b"a\nb\n\xffc\n", InputFormat::Lines),
        "line 3: no UTF-8"
    );
}

#[test]
fn csv_has_a_header_and_quotes() {
    check(
        InputFormat::Csv,
        &[
            ("x,y\n1,2\n3,4\n", "x,y x2 1|2|3|4|"),
            ("x, y \r\n1,\"a,\"\"b\"\"\"\r\n\r\n", "x,y x1 1|a,\"b\"|"),
            ("x\n\"two\nlines\"\nb", "x x2 two\nlines|b|"),
            ("x,y\n,\n", "x,y x1 ||"),
            (
                "x,y\n1,2\n\n1,2,3\n",
                "line 4: 3 columns, but the header has 2",
            ),
            (
                "x,y\n\"a\n\n\",2\n1\n",
                "line 5: 1 columns, but the header has 2",
            ),
            (
                "x\na\"b\n",
                "line 2: a quote stands within a value that has none around it",
            ),
            ("x\n\"a\"b\n", "line 2: a quote ends within a value"),
            ("x\n\"a\n", "line 2: a quote is not closed"),
            ("x,y\n", "line 1: there is no row"),
            ("", "line 1: there is no header"),
        ],
    );
    assert_eq!(
        csv_record("a,\"b\""),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
    assert!(csv_record("a\nb").is_err());
}

#[test]
fn lines_of_json_have_the_same_names() {
    check(
        InputFormat::JsonLines,
        &[
            (
                "{\"x\": 1, \"a\": \"é\"}\n\n{\"a\": true, \"x\": 0.5}\n",
                "a,x x2 é|1|true|0.5|",
            ),
            (
                "{\"x\":1}\n{\"y\":1}\n",
                "line 2: has the names y, but the first line has x",
            ),
            ("[1]\n", "line 1: expected an object, found a list"),
            (
                "{\"x\":[1]}\n",
                "line 1: `x` is a list, expected a string, a number or a boolean",
            ),
            (
                "{\"x\":1,\"x\":2}\n",
                "line 1: no valid JSON: the field `x` is given twice at line 1 column 13",
            ),
            ("{}\n", "line 1: an object without names"),
            ("\n", "line 1: there is no row"),
        ],
    );
}

#[test]
fn rows_have_limits_and_the_line_that_passes_them_is_named() {
    let long = "x".repeat(ROW_LENGTH_MAX);
    assert_eq!(
        shown(format!("a\n{long}\n").as_bytes(), InputFormat::Lines),
        "line 2: 65537 bytes, at most 65536"
    );
    let almost = "x".repeat(ROW_LENGTH_MAX - 1);
    let many = format!("{almost}\n").repeat(ROWS_LENGTH_MAX / ROW_LENGTH_MAX);
    assert_eq!(
        read(many.as_bytes(), InputFormat::Lines).unwrap().count,
        1_024
    );
    assert_eq!(
        shown(format!("{many}a\n").as_bytes(), InputFormat::Lines),
        "line 1025: more than 67108864 bytes of values up to here"
    );
}

#[test]
fn as_many_lines_are_taken_as_a_job_has_tasks_and_not_one_more() {
    for format in [InputFormat::Lines, InputFormat::Csv, InputFormat::JsonLines] {
        let (header, line) = match format {
            InputFormat::Lines => ("", "a\n"),
            InputFormat::Csv => ("x\n", "a\n"),
            InputFormat::JsonLines => ("", "{\"x\": 1}\n"),
        };
        let text = format!("{header}{}", line.repeat(1_000));
        assert_eq!(
            read_at_most(text.as_bytes(), format, 1_000).unwrap().count,
            1_000
        );
        let fault = read_at_most(text.as_bytes(), format, 999).unwrap_err();
        assert_eq!(fault.what, "a job has at most 999 tasks");
        assert_eq!(fault.line, 1_000 + u64::from(!header.is_empty()));
    }
}

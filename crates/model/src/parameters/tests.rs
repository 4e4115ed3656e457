use super::*;

fn rows(lines: &[&[&str]]) -> Rows {
    let mut writer = RowsWriter::default();
    for line in lines {
        writer.push(line.iter().copied());
    }
    Rows::parse(writer.finish().into(), lines[0].len()).unwrap()
}

fn axis(name: &str, values: &[&str]) -> Axis {
    Axis {
        name: name.to_owned(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
    }
}

#[test]
fn the_last_axis_of_a_sweep_changes_fastest() {
    let axes = [
        axis("x", &["a", "b"]),
        axis("y", &["1", "2", "3"]),
        axis("z", &["!"]),
    ];
    let all: Vec<String> = (0..6)
        .map(|offset| combination(&axes, offset).concat())
        .collect();
    assert_eq!(all, ["a1!", "a2!", "a3!", "b1!", "b2!", "b3!"]);
    let sweep = Parameters::Sweep(axes.to_vec());
    assert_eq!(sweep.count(), Some(6));
    assert_eq!(sweep.names(), ["x", "y", "z"]);
    let values: Vec<String> = (0..70_000).map(|value| value.to_string()).collect();
    let long = |name: &str| Axis {
        name: name.to_owned(),
        values: values.clone(),
    };
    assert_eq!(Parameters::Sweep(vec![long("a"), long("b")]).count(), None);
}

#[test]
fn every_row_is_found_across_the_marks_and_in_parts() {
    let lines: Vec<Vec<String>> = (0..1_000_u32)
        .map(|row| vec![row.to_string(), "é".repeat(row as usize % 7)])
        .collect();
    let lines: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.iter().map(String::as_str).collect())
        .collect();
    let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    let rows = rows(&lines);
    assert_eq!(rows.count(), 1_000);
    for (row, line) in (0..).zip(&lines) {
        assert_eq!(rows.get(row).unwrap(), *line, "{row}");
    }
    assert_eq!(rows.get(1_000), None);
    for (first, count) in [(0, 1), (63, 2), (64, 64), (900, 200), (1_000, 1)] {
        let part = rows.part(first, count);
        assert_eq!(part.count(), count.min(1_000 - first));
        assert_eq!(part.get(0), rows.get(first), "{first}");
        assert_eq!(part.get(part.count()), None);
        let copy = Rows::parse(part.bytes().into(), 2).unwrap();
        assert_eq!(copy, part);
        if part.count() > 1 {
            assert_eq!(part.part(1, 5).get(0), rows.get(first + 1));
        }
    }
}

#[test]
fn as_many_rows_fit_as_their_bytes_allow_and_always_one() {
    let rows = rows(&[&["aaaa"], &["b"], &["cc"], &["d"]]);
    let fit: Vec<u32> = [0, 5, 6, 7, 9, 10, 99]
        .iter()
        .map(|most| rows.that_fit(0, 99, *most))
        .collect();
    assert_eq!(fit, [1, 1, 1, 2, 2, 3, 4]);
    assert_eq!(rows.that_fit(0, 3, 99), 3);
    assert_eq!(rows.that_fit(3, 99, 99), 1);
    assert_eq!(rows.that_fit(4, 99, 99), 0);
}

#[test]
fn bytes_that_are_no_rows_are_refused_with_the_row() {
    let parse = |bytes: &[u8], columns| Rows::parse(bytes.into(), columns).map(|rows| rows.count());
    assert_eq!(parse(b"", 1), Ok(0));
    assert_eq!(parse(b"\0\0", 1), Ok(2));
    assert_eq!(parse(b"a\0b\0", 2), Ok(1));
    assert_eq!(parse(b"a\0b", 1), Err(RowsFault::Torn));
    assert_eq!(parse(b"a\0b\0c\0", 2), Err(RowsFault::Torn));
    assert_eq!(parse(b"a\0", 0), Err(RowsFault::Torn));
    assert_eq!(parse(b"a\0\xff\0", 1), Err(RowsFault::Encoding(1)));
    let long = [&b"a\0"[..], &vec![b'x'; ROW_LENGTH_MAX - 1], b"\0"].concat();
    assert_eq!(parse(&long, 1), Ok(2));
    let longer = [&b"a\0"[..], &vec![b'x'; ROW_LENGTH_MAX], b"\0"].concat();
    assert_eq!(parse(&longer, 1), Err(RowsFault::RowTooLong(1)));
    let most = [vec![b'x'; ROWS_LENGTH_MAX], vec![0]].concat();
    assert_eq!(parse(&most, 1), Err(RowsFault::TooLong));
}

//! What is printed, letter by letter.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

use flota_model::units::Timestamp;
use serde::Serialize;

use super::{
    Details, Field, Format, Listing, Screen, Style,
    text::{age, clean, count, cpus, duration, seconds_ago, utc},
};
use crate::exit::Exit;

/// One stream of a screen, to read back.
#[derive(Clone, Default)]
pub(crate) struct Paper(Rc<RefCell<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A screen with its standard output and standard error.
pub(crate) fn screen(style: Style) -> (Screen, Paper, Paper) {
    let (out, err) = (Paper::default(), Paper::default());
    let screen = Screen::new(style, Box::new(out.clone()), Box::new(err.clone()));
    (screen, out, err)
}

#[derive(Serialize)]
struct Thing {
    name: &'static str,
    state: &'static str,
    size: u32,
}

const THINGS: [Thing; 3] = [
    Thing {
        name: "naïve",
        state: "up",
        size: 5,
    },
    Thing {
        name: "東京",
        state: "lost",
        size: 1000,
    },
    Thing {
        name: "a,\"b\"\u{1b}[2J",
        state: "",
        size: 7,
    },
];

fn fields() -> Vec<Field<Thing>> {
    vec![
        Field::text("name", "NAME".into(), |thing: &Thing| thing.name.into()),
        Field::number("size", "SIZE".into(), |thing: &Thing| {
            format!("{} B", thing.size)
        })
        .raw(|thing| thing.size.to_string()),
        Field::state("state", "STATE".into(), |thing: &Thing| thing.state.into()),
    ]
}

fn printed(style: Style) -> String {
    let (mut screen, out, _) = screen(style);
    let listing = Listing {
        items: &THINGS,
        fields: fields(),
        name: |thing| thing.name.into(),
    };
    listing.print(&mut screen).unwrap();
    out.text()
}

fn style(format: Format) -> Style {
    Style {
        format,
        headers: true,
        ..Style::default()
    }
}

#[test]
fn a_table_aligns_by_the_columns_of_the_terminal_and_escapes_control_characters() {
    let expected = "\
NAME              SIZE  STATE
naïve              5 B  up
東京            1000 B  lost
a,\"b\"\\u{1b}[2J     7 B
";
    assert_eq!(printed(style(Format::Table)), expected);
}

#[test]
fn colours_do_not_move_columns() {
    let text = printed(Style {
        color_out: true,
        ..style(Format::Table)
    });
    let mut plain = text;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m"] {
        assert!(plain.contains(code), "{code:?}");
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, printed(style(Format::Table)));
}

#[test]
fn csv_quotes_what_needs_it_and_keeps_raw_values() {
    let expected = "name,size,state\nnaïve,5,up\n東京,1000,lost\n\"a,\"\"b\"\"\u{1b}[2J\",7,\n";
    assert_eq!(printed(style(Format::Csv)), expected);
    let without = Style {
        headers: false,
        ..style(Format::Csv)
    };
    assert!(printed(without).starts_with("naïve,5"));
}

#[test]
fn json_is_one_document_and_jsonl_one_for_each() {
    let whole: serde_json::Value = serde_json::from_str(&printed(style(Format::Json))).unwrap();
    assert_eq!(whole.as_array().unwrap().len(), 3);
    let lines = printed(style(Format::JsonLines));
    let first = lines.lines().next().unwrap();
    assert_eq!(first, r#"{"name":"naïve","state":"up","size":5}"#);
    assert_eq!(lines.lines().count(), 3);
}

#[test]
fn quiet_prints_names() {
    let quiet = Style {
        quiet: true,
        ..style(Format::Json)
    };
    assert_eq!(printed(quiet), printed(style(Format::Name)));
    assert!(printed(quiet).starts_with("naïve\n東京\n"));
}

#[test]
fn an_empty_list_has_no_header_in_a_table_and_is_json_all_the_same() {
    let print = |format| {
        let (mut screen, out, _) = screen(style(format));
        let listing = Listing {
            items: &[],
            fields: fields(),
            name: |_| String::new(),
        };
        listing.print(&mut screen).unwrap();
        out.text()
    };
    assert_eq!(print(Format::Table), "");
    assert_eq!(print(Format::Json), "[]\n");
    assert_eq!(print(Format::Csv), "name,size,state\n");
}

#[test]
fn details_are_one_field_a_line() {
    let (mut screen, out, _) = screen(style(Format::Table));
    let details = Details {
        item: &THINGS[0],
        fields: fields(),
        name: |thing| thing.name.into(),
    };
    details.print(&mut screen).unwrap();
    assert_eq!(out.text(), "NAME   naïve\nSIZE   5 B\nSTATE  up\n");
}

struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure_but_a_full_disk_is() {
    let check = |kind, expected, told: bool| {
        let err = Paper::default();
        let style = Style::default();
        let mut screen = Screen::new(style, Box::new(Closed(kind)), Box::new(err.clone()));
        let failure = screen.print("x").unwrap_err();
        assert_eq!(failure.exit(), expected);
        failure.tell(&mut screen);
        assert_eq!(!err.text().is_empty(), told, "{kind:?}");
    };
    check(io::ErrorKind::BrokenPipe, Exit::Ok, false);
    check(io::ErrorKind::StorageFull, Exit::Failed, true);
}

#[test]
fn durations_are_short_and_honest() {
    let check = |seconds, expected| assert_eq!(duration(seconds), expected);
    check(-1.0, "0ms");
    check(0.0123, "12ms");
    check(4.24, "4.2s");
    check(185.9, "3m 05s");
    check(7_800.0, "2h 10m");
    check(443_000.0, "5d 3h");
    assert_eq!(
        [59.0, 60.0, 3600.0, 86_400.0].map(age),
        ["59s", "1m", "1h", "1d"]
    );
}

#[test]
fn dates_follow_the_calendar() {
    let check = |seconds, expected| assert_eq!(utc(seconds), expected);
    check(0.0, "1970-01-01 00:00:00 UTC");
    check(951_782_400.0, "2000-02-29 00:00:00 UTC");
    check(1_795_237_052.9, "2026-11-21 04:57:32 UTC");
    check(4_107_542_399.0, "2100-02-28 23:59:59 UTC");
    check(4_107_542_400.0, "2100-03-01 00:00:00 UTC");
}

#[test]
fn small_texts() {
    assert_eq!(clean("a\tb\u{7f}"), "a\\tb\\u{7f}");
    assert_eq!(
        [0, 999, 1000, 1_234_567].map(count),
        ["0", "999", "1 000", "1 234 567"]
    );
    assert_eq!([1.0, 0.5, 2.125, 0.0].map(cpus), ["1", "0.5", "2.125", "0"]);
    let now = Timestamp(100_000_000);
    assert!((seconds_ago(90.0, now) - 10.0).abs() < 1e-9);
    assert!(seconds_ago(100.5, now) < 1e-9, "a clock ahead of ours");
}

use super::*;

const MINUTE: u64 = 60_000_000;

fn limits() -> Limits {
    Limits {
        segment_bytes: 1 << 20,
        segment_age: Duration::from_mins(10),
        segments_max: 3,
        age_max: Duration::from_hours(1),
        node_bytes_max: 100 << 20,
    }
}

fn open(length: u64) -> Open {
    Open {
        length,
        index_length: 0,
        since: Timestamp(MINUTE),
        ends_line: true,
    }
}

#[test]
fn a_segment_ends_at_its_length_age_or_index_and_at_the_end_of_a_line() {
    let now = Timestamp(2 * MINUTE);
    let ends = |open| limits().ends(open, 1, now);
    assert!(!ends(open((1 << 20) - 1)));
    assert!(ends(open(1 << 20)));
    let inside = Open {
        ends_line: false,
        ..open(1 << 20)
    };
    assert!(!ends(inside), "a line goes on");
    let endless = Open {
        length: (1 << 20) + LINE_NEAR_MAX,
        ..inside
    };
    assert!(ends(endless), "a line without end");
    let indexed = Open {
        index_length: INDEX_BYTES_MAX,
        ..open(5)
    };
    assert!(ends(indexed));
    let later = Timestamp(11 * MINUTE);
    assert!(limits().ends(open(5), 1, later));
    assert!(!limits().ends(open(0), 1, later), "nothing is in it");
}

#[test]
fn open_segments_of_many_streams_take_at_most_half_of_the_node() {
    assert_eq!(limits().segment_bytes(0), 1 << 20);
    assert_eq!(limits().segment_bytes(50), 1 << 20);
    assert_eq!(limits().segment_bytes(100), 512 << 10);
    assert_eq!(limits().segment_bytes(1_000_000), SEGMENT_BYTES_MIN);
}

#[test]
fn surplus_and_old_segments_go_but_not_the_one_that_is_written() {
    let at = |minutes: &[u64]| -> Vec<Timestamp> {
        minutes.iter().map(|at| Timestamp(at * MINUTE)).collect()
    };
    let surplus =
        |minutes: &[u64], is_open| limits().surplus(&at(minutes), is_open, Timestamp(100 * MINUTE));
    assert_eq!(surplus(&[], false), 0);
    assert_eq!(surplus(&[97, 98, 99], true), 0);
    assert_eq!(surplus(&[96, 97, 98, 99], true), 1);
    assert_eq!(surplus(&[10, 20, 99], true), 2);
    assert_eq!(surplus(&[10, 20], true), 1, "the last one is written");
    assert_eq!(surplus(&[10, 20], false), 2);
}

#[test]
fn a_full_node_gives_up_its_oldest_segments_and_no_more_than_needed() {
    let segment = |name, bytes, at| Removable {
        name,
        bytes,
        written_at: Timestamp(at),
    };
    let all = vec![
        segment("b", 10, 5),
        segment("a", 10, 5),
        segment("c", 10, 1),
    ];
    let names = |bytes_max| -> Vec<&str> {
        let victims = victims(all.clone(), 100, bytes_max);
        victims.into_iter().map(|victim| victim.name).collect()
    };
    assert!(names(100).is_empty());
    assert_eq!(names(95), ["c"]);
    assert_eq!(names(85), ["c", "a"]);
    assert_eq!(names(0), ["c", "a", "b"]);
}

#[test]
fn a_reader_goes_on_behind_a_gap_and_knows_it() {
    let extent = |start, length| Extent { start, length };
    let segments = [
        extent(100, 50),
        extent(150, 10),
        extent(200, 0),
        extent(200, 5),
    ];
    let here = |segment, offset| Place::Here { segment, offset };
    assert_eq!(resume(&segments, 0), here(0, 100), "older ones are gone");
    assert_eq!(resume(&segments, 149), here(0, 149));
    assert_eq!(resume(&segments, 150), here(1, 150));
    assert_eq!(
        resume(&segments, 160),
        here(3, 200),
        "40 bytes were dropped"
    );
    assert_eq!(resume(&segments, 205), Place::End { offset: 205 });
    assert_eq!(resume(&segments, 999), Place::End { offset: 205 });
    assert_eq!(resume(&[], 7), Place::End { offset: 0 });
}

#[test]
fn times_are_found_within_the_interval_of_marks() {
    let mark = |offset, at| Mark {
        offset,
        at: Timestamp(at),
    };
    let marks = [mark(0, 1_000_000), mark(10, 2_000_000), mark(20, 3_000_000)];
    assert_eq!(since(&marks, Timestamp(0), 30), 0);
    assert_eq!(since(&marks, Timestamp(1_099_999), 30), 0);
    assert_eq!(since(&marks, Timestamp(1_100_000), 30), 10);
    assert_eq!(since(&marks, Timestamp(9_000_000), 30), 30);
    assert_eq!(until(&marks, Timestamp(2_000_000)), Some(20));
    assert_eq!(until(&marks, Timestamp(3_000_000)), None);
    assert!(needs_mark(None, Timestamp(5)));
    assert!(!needs_mark(Some(marks[0]), Timestamp(1_099_999)));
    assert!(needs_mark(Some(marks[0]), Timestamp(1_100_000)));
    assert!(needs_mark(Some(marks[0]), Timestamp(999_999)), "set back");
}

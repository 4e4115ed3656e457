use flota_model::{
    frame::{DownBody, GrantOrder},
    ids::{AttemptRange, TaskIndex},
};

use super::bench::{Bench, Kind, attempt, closes, completed, forgotten, order, range, starts};
use crate::{
    journal::Record,
    node::api::{Event, Settings},
};

#[test]
fn a_range_is_one_record_and_its_spec_is_journalled_once() {
    let mut bench = Bench::ready();
    let turn = bench.grant(Kind::Noop, 1, 10_000);
    let blob = Kind::Noop.sealed().blob;
    let spec = Record::Spec {
        hash: Kind::Noop.hash(),
        blob,
    };
    assert_eq!(
        turn.records,
        [spec, Record::Granted(order(Kind::Noop, 1, 10_000))]
    );
    assert!(
        !turn.sync,
        "a power cut that takes it away takes what it started, too"
    );
    let turn = bench.grant(Kind::Noop, 20_000, 1);
    assert_eq!(
        turn.records,
        [Record::Granted(order(Kind::Noop, 20_000, 1))]
    );
}

#[test]
fn an_order_without_its_spec_or_out_of_range_closes_the_connection() {
    let cases = [
        order(Kind::Program, 1, 1),
        GrantOrder {
            attempts: range(1, 0),
            ..order(Kind::Noop, 1, 1)
        },
        GrantOrder {
            attempts: range(u64::MAX, 2),
            ..order(Kind::Noop, 1, 1)
        },
        GrantOrder {
            first_task: TaskIndex(u32::MAX),
            ..order(Kind::Noop, 1, 2)
        },
    ];
    for order in cases {
        let mut bench = Bench::ready();
        let specs = vec![Kind::Noop.sealed()];
        let turn = bench.say(DownBody::Grants {
            specs,
            orders: vec![order.clone()],
        });
        assert!(closes(&turn), "{order:?}");
        assert_eq!(turn.records, []);
    }
}

#[test]
fn a_range_that_cannot_be_closes_the_connection() {
    let unsound: AttemptRange = range(u64::MAX, 3);
    let bodies = [
        DownBody::Forget(vec![unsound]),
        DownBody::Cancel(vec![unsound]),
        DownBody::Acknowledge(vec![unsound]),
    ];
    for body in bodies {
        assert!(closes(&Bench::ready().say(body)));
    }
}

#[test]
fn attempts_beyond_the_limit_are_refused_by_tombstone() {
    let mut bench = Bench::ready_with(Settings {
        attempts_max: 5,
        ..Settings::default()
    });
    let turn = bench.grant(Kind::Noop, 1, 8);
    assert!(
        turn.records
            .contains(&Record::Granted(order(Kind::Noop, 1, 5)))
    );
    assert!(turn.records.contains(&Record::Refused(vec![range(6, 3)])));
    assert_eq!(forgotten(&turn), [range(6, 3)]);
    bench.turn(vec![completed(1)]);
    assert_eq!(
        forgotten(&bench.grant(Kind::Noop, 20, 1)),
        [range(20, 1)],
        "ended ones count"
    );
    bench.say(DownBody::Acknowledge(vec![range(1, 1)]));
    assert_eq!(forgotten(&bench.grant(Kind::Noop, 21, 1)), []);
}

#[test]
fn what_can_never_fit_is_refused() {
    let turn = Bench::ready().grant(Kind::Huge, 1, 2);
    assert_eq!(turn.records, [Record::Refused(vec![range(1, 2)])]);
    assert_eq!(forgotten(&turn), [range(1, 2)]);
}

#[test]
fn while_the_disk_is_full_grants_are_refused_and_nothing_starts() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Noop, 1, 3);
    bench.turn(vec![Event::DiskFull]);
    assert_eq!(forgotten(&bench.grant(Kind::Noop, 10, 2)), [range(10, 2)]);
    let turn = bench.turn(vec![completed(1)]);
    assert_eq!(starts(&turn.at_once), []);
    let turn = bench.turn(vec![Event::DiskFree]);
    assert_eq!(starts(&turn.at_once), [3]);
    assert_eq!(forgotten(&bench.grant(Kind::Noop, 12, 1)), []);
}

#[test]
fn what_is_held_or_was_refused_is_not_taken_twice() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Noop, 10, 3);
    bench.turn(vec![completed(10)]);
    bench.say(DownBody::Forget(vec![range(20, 1)]));
    // 10 ended, 11 and 12 run, 20 was refused; 13 to 19 and 21 are new.
    let turn = bench.grant(Kind::Noop, 10, 12);
    let expected = [
        Record::Granted(order(Kind::Noop, 13, 7)),
        Record::Granted(order(Kind::Noop, 21, 1)),
    ];
    assert_eq!(turn.records, expected);
    let again = bench.grant(Kind::Noop, 14, 3);
    assert_eq!(again.records, []);
    assert_eq!(attempt(14), range(14, 1).first);
}

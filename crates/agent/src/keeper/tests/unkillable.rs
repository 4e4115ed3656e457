//! What was killed and does not die.

use flota_model::sample::{Remnant, Unkillable};

use super::*;
use crate::testing::Frozen;

fn next_unkillable(client: &mut Client) -> Unkillable {
    let (message, _) = client.next();
    let FromKeeper::Unkillable(unkillable) = message else {
        panic!("{message:?}");
    };
    unkillable
}

#[test]
fn what_does_not_die_is_told_to_each_agent_that_understands_it_until_it_is_gone() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let (pid, _) = start(&mut client, bench.launch(1, &["/bin/sleep", "600"]));
    let Some(frozen) = Frozen::new("keeper", pid) else {
        return;
    };
    let killed_at = clock::now().wall;
    let attempt = bench.attempt(1);
    client.send(ToKeeper::Stop {
        attempt,
        signal: 15,
        grace: Duration::ZERO,
        reason: StopReason::Cancelled,
    });
    let unkillable = next_unkillable(&mut client);
    assert_eq!((unkillable.attempt, unkillable.count), (attempt, 1));
    assert_eq!(unkillable.remnants, [Remnant { pid, state: b'D' }]);
    assert!(unkillable.since >= killed_at && unkillable.since <= clock::now().wall);

    let (mut next, listed) = bench.agent();
    assert!(matches!(listed[0].state, ChildState::Running { .. }));
    assert_eq!(next_unkillable(&mut next), unkillable);
    // Of an older version: it hears nothing that it does not know, and the end.
    let (mut old, listed) = bench.agent_speaking(1);
    assert!(matches!(listed[0].state, ChildState::Running { .. }));
    frozen.thaw();
    let (message, _) = old.next();
    let FromKeeper::Ended { end, .. } = message else {
        panic!("{message:?}");
    };
    assert_eq!(status(end).0, libc::SIGKILL);
    let (_, listed) = bench.agent();
    assert!(matches!(listed[0].state, ChildState::Ended(_)));
}

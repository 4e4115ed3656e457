use std::{collections::VecDeque, sync::mpsc as threads, thread};

use flota_link::direct;
use flota_model::{
    change::{Batch, Change, Counters, Snapshot},
    command::{Ask, Command, Principal, Reply},
    ids::{Authority, Epoch, JobId, Term},
    state::JobPhase,
    units::Timestamp,
};
use flota_store::{Cause, memory::MemoryStore};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::shell::FleetHandle;

/// A real store that fails as it is told, before or after it has done its work.
struct Faulty {
    store: MemoryStore,
    faults: VecDeque<Fault>,
    /// How many batches each call brought.
    calls: Vec<usize>,
}

enum Fault {
    None,
    /// Nothing was written.
    Full,
    /// It was written, but the answer says that the disk is full.
    FullAfterAll,
    Sync,
}

impl Faulty {
    fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let (store, faults) = (MemoryStore::default(), faults.into_iter().collect());
        Self {
            store,
            faults,
            calls: Vec::new(),
        }
    }
}

impl Journal for Faulty {
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault> {
        self.calls.push(batches.len());
        let full = || ApplyFault::DiskFull {
            source: Cause::from("full"),
        };
        match self.faults.pop_front().unwrap_or(Fault::None) {
            Fault::None => self.store.apply(batches),
            Fault::Full => Err(full()),
            Fault::FullAfterAll => self.store.apply(batches).and(Err(full())),
            Fault::Sync => Err(ApplyFault::Sync {
                source: Cause::from("gone"),
            }),
        }
    }

    fn load(&mut self) -> Result<Snapshot, LoadFault> {
        self.store.load()
    }

    fn last_batch(&mut self) -> Result<BatchNumber, LoadFault> {
        self.store.last_batch()
    }
}

/// The first batch takes the authority, the others count jobs.
fn batch(number: u64) -> Batch {
    let authority = Authority {
        term: Term(1),
        epoch: Epoch(1),
    };
    let change = match number {
        1 => Change::AuthorityTaken {
            authority,
            salt: 1,
            at: Timestamp(1),
            recovered: false,
        },
        _ => Change::CountersWritten(Counters {
            job: JobId(number),
            ..Counters::default()
        }),
    };
    Batch {
        number: BatchNumber(number),
        authority,
        changes: vec![change],
    }
}

fn reserve() -> (TempDir, Reserve) {
    let folder = TempDir::new().unwrap();
    let reserve = Reserve::beside(&folder.path().join("flota.db"));
    (folder, reserve)
}

#[test]
fn a_full_disk_gets_the_reserve_and_the_same_batches_once_more() {
    let (_folder, reserve) = reserve();
    assert!(reserve.restore().unwrap());
    let mut journal = Faulty::new([Fault::Full]);
    commit(&mut journal, &reserve, &[batch(1), batch(2)]).unwrap();
    assert_eq!(journal.calls, [2, 2]);
    assert!(!reserve.is_held());
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(2));
}

#[test]
fn a_disk_that_is_full_without_the_reserve_ends_the_server() {
    let (_folder, reserve) = reserve();
    let mut journal = Faulty::new([Fault::Full, Fault::Full]);
    let fault = commit(&mut journal, &reserve, &[batch(1)]).unwrap_err();
    assert!(matches!(fault, CommitFault::DiskFull(_)), "{fault:?}");
    assert_eq!(journal.calls, [1, 1], "no third attempt");
}

#[test]
fn a_commit_whose_answer_was_lost_is_looked_up() {
    let (_folder, reserve) = reserve();
    let mut journal = Faulty::new([Fault::FullAfterAll]);
    commit(&mut journal, &reserve, &[batch(1), batch(2)]).unwrap();
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(2));

    // Batches of somebody else under the same numbers are not ours.
    let mut journal = Faulty::new([Fault::None, Fault::Full]);
    commit(&mut journal, &reserve, &[batch(1), batch(2), batch(3)]).unwrap();
    let fault = commit(&mut journal, &reserve, &[batch(2)]).unwrap_err();
    assert!(matches!(fault, CommitFault::Apply { .. }), "{fault:?}");
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let (_folder, reserve) = reserve();
    let mut journal = Faulty::new([Fault::Sync]);
    let fault = commit(&mut journal, &reserve, &[batch(1)]).unwrap_err();
    let CommitFault::Apply {
        source: ApplyFault::Sync { .. },
        ..
    } = fault
    else {
        panic!("{fault:?}")
    };
    assert_eq!(journal.calls, [1]);
}

/// A real store in which each commit waits for a word.
struct Gated {
    store: MemoryStore,
    entered: threads::Sender<Vec<u64>>,
    go: threads::Receiver<()>,
}

impl Gated {
    fn wait(&self, batches: &[Batch]) {
        let numbers = batches.iter().map(|batch| batch.number.0).collect();
        self.entered.send(numbers).unwrap();
        self.go.recv().unwrap();
    }
}

impl Journal for Gated {
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault> {
        self.wait(batches);
        self.store.apply(batches)
    }

    fn load(&mut self) -> Result<Snapshot, LoadFault> {
        self.store.load()
    }

    fn last_batch(&mut self) -> Result<BatchNumber, LoadFault> {
        self.store.last_batch()
    }
}

/// A turn that answers `request`, with or without something to commit.
async fn turn(
    inbox: &mut mpsc::Receiver<crate::shell::Inbound>,
    batch: Option<Batch>,
) -> NumberedTurn {
    let crate::shell::Inbound { request, asker } = inbox.recv().await.unwrap();
    let request = request.id;
    let reply = Ok(Reply::Cancelling {
        job: JobId(1),
        phase: JobPhase::Finished,
    });
    NumberedTurn {
        batch,
        effects: vec![Effect::Reply { request, reply }],
        askers: vec![(request, asker)],
    }
}

#[expect(
    clippy::significant_drop_tightening,
    reason = "the handle lives as long as the test"
)]
#[tokio::test(flavor = "multi_thread")]
async fn replies_wait_for_all_earlier_commits_and_commits_gather_meanwhile() {
    let (inbox, mut asked) = mpsc::channel(8);
    let (turns, decided) = mpsc::channel(TURNS_IN_FLIGHT_MAX);
    let (entered, commits) = threads::channel();
    let (go, gate) = threads::channel();
    let (_folder, reserve) = reserve();
    let settings = direct::ServerSettings::default();
    let (_router, link) = direct::server("127.0.0.1:0".parse().unwrap(), settings).unwrap();
    let handle = FleetHandle::new(inbox, 8);
    let journal = Gated {
        store: MemoryStore::default(),
        entered,
        go: gate,
    };
    let committer = Committer::new(
        Box::new(journal),
        reserve,
        link.sender(),
        handle.publisher().clone(),
        mpsc::channel(1).0,
    );
    let thread = thread::spawn(move || committer.run(decided));

    let ask = || {
        let handle = handle.clone();
        tokio::spawn(async move {
            let principal = Principal {
                name: "local".into(),
            };
            handle
                .ask(principal, Ask::Command(Command::Recover))
                .await
                .unwrap()
                .unwrap()
        })
    };
    let first = ask();
    turns
        .send(turn(&mut asked, Some(batch(1))).await)
        .await
        .unwrap();
    assert_eq!(commits.recv().unwrap(), [1], "no timer: it starts at once");
    // Decided while the first commit is on its way: one reads only, two write.
    let reads = ask();
    turns.send(turn(&mut asked, None).await).await.unwrap();
    let second = ask();
    turns
        .send(turn(&mut asked, Some(batch(2))).await)
        .await
        .unwrap();
    let third = ask();
    turns
        .send(turn(&mut asked, Some(batch(3))).await)
        .await
        .unwrap();
    assert!(!first.is_finished() && !reads.is_finished());

    go.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(
        commits.recv().unwrap(),
        [2, 3],
        "what gathered goes in one commit"
    );
    assert!(
        !reads.is_finished() && !second.is_finished(),
        "the same commit carries them"
    );
    go.send(()).unwrap();
    reads.await.unwrap();
    second.await.unwrap();
    third.await.unwrap();
    drop(turns);
    thread.join().unwrap().unwrap();
}

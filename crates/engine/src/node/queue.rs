//! Attempts that are granted and not started, lazily: a grant of 10,000 attempts is one piece.

use std::{collections::BTreeMap, sync::Arc};

use flota_model::{
    frame::GrantOrder,
    ids::{AttemptId, AttemptRange},
    spec::SealedSpec,
};

use crate::node::{
    classes::{ClassId, Classes},
    ranges::{distance, last, overlap},
};

/// What is left of a grant.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The attempts that are left.
    pub(super) order: GrantOrder,
    /// What they run.
    pub(super) spec: Arc<SealedSpec>,
    /// The turn whose batch carries the grant to the journal.
    pub(super) turn: u64,
    arrival: u64,
    /// Granted before the agent's restart, and the server has not had its say yet.
    gated: bool,
    /// Where it is in line; `None` while it is gated.
    class: Option<ClassId>,
}

/// All pieces, by the first attempt that each had when it was inserted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: BTreeMap<AttemptId, Piece>,
    attempts: u64,
    arrivals: u64,
    /// Their classes, and those of running attempts.
    pub(super) classes: Classes,
}

impl Queue {
    /// Appends a grant that may start.
    pub(super) fn push(&mut self, order: GrantOrder, spec: Arc<SealedSpec>, turn: u64) {
        self.arrivals += 1;
        let gated = false;
        self.insert(Piece {
            order,
            spec,
            turn,
            arrival: self.arrivals,
            gated,
            class: None,
        });
    }

    /// Appends a grant of before the agent's restart, which waits for [`Self::open_gate`].
    pub(super) fn push_gated(&mut self, order: GrantOrder, spec: Arc<SealedSpec>) {
        self.arrivals += 1;
        let (turn, gated) = (0, true);
        self.insert(Piece {
            order,
            spec,
            turn,
            arrival: self.arrivals,
            gated,
            class: None,
        });
    }

    /// Lets all attempts start that were granted before the agent's restart.
    pub(super) fn open_gate(&mut self) {
        for (key, piece) in &mut self.pieces {
            if std::mem::take(&mut piece.gated) {
                let class = self.classes.of(&piece.spec.spec);
                piece.class = Some(class);
                self.classes.enqueue(class, (piece.arrival, *key));
            }
        }
    }

    /// How many attempts wait.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts
    }

    /// All pieces, by attempt.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.values()
    }

    /// The piece inserted as `key`.
    pub(super) fn piece(&self, key: AttemptId) -> &Piece {
        self.pieces
            .get(&key)
            .expect("the classes name pieces that exist")
    }

    /// Takes the first `count` attempts of a piece, and their tasks.
    pub(super) fn take(&mut self, key: AttemptId, count: u32) -> Piece {
        let piece = self
            .pieces
            .get_mut(&key)
            .expect("the classes name pieces that exist");
        let mut taken = piece.clone();
        self.attempts -= u64::from(count);
        if count < piece.order.attempts.count {
            taken.order = part(&piece.order, 0, count);
            let left = piece.order.attempts.count - count;
            piece.order = part(&piece.order, count, left);
        } else {
            self.remove(key);
        }
        taken
    }

    /// The waiting attempts within `range`.
    pub(super) fn within(&self, range: AttemptRange) -> Vec<AttemptRange> {
        self.keys_near(range)
            .filter_map(|key| overlap(self.pieces.get(&key)?.order.attempts, range))
            .collect()
    }

    /// Removes the waiting attempts within `range` and returns them.
    pub(super) fn carve(&mut self, range: AttemptRange) -> Vec<Piece> {
        let keys: Vec<AttemptId> = self.keys_near(range).collect();
        keys.into_iter()
            .filter_map(|key| self.carve_piece(key, range))
            .collect()
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> Vec<Piece> {
        let keys: Vec<AttemptId> = self.pieces.keys().copied().collect();
        self.attempts = 0;
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .collect()
    }

    fn carve_piece(&mut self, key: AttemptId, range: AttemptRange) -> Option<Piece> {
        let attempts = self.pieces.get(&key)?.order.attempts;
        let hit = overlap(attempts, range)?;
        let piece = self.remove(key)?;
        self.attempts -= u64::from(attempts.count);
        let before = distance(attempts.first, hit.first);
        let behind = attempts.count - before - hit.count;
        for (offset, count) in [(0, before), (before + hit.count, behind)] {
            if count > 0 {
                self.insert(Piece {
                    order: part(&piece.order, offset, count),
                    ..piece.clone()
                });
            }
        }
        Some(Piece {
            order: part(&piece.order, before, hit.count),
            ..piece
        })
    }

    /// Keys of pieces that may have attempts within `range`: those inserted within it, and the one
    /// before, since pieces do not overlap.
    fn keys_near(&self, range: AttemptRange) -> impl Iterator<Item = AttemptId> + '_ {
        let before = self.pieces.range(..range.first).next_back();
        before
            .into_iter()
            .chain(self.pieces.range(range.first..=last(range)))
            .map(|(key, _)| *key)
    }

    fn insert(&mut self, mut piece: Piece) {
        self.rekey_near(piece.order.attempts);
        let key = piece.order.attempts.first;
        self.attempts += u64::from(piece.order.attempts.count);
        if !piece.gated {
            let class = self.classes.of(&piece.spec.spec);
            piece.class = Some(class);
            self.classes.enqueue(class, (piece.arrival, key));
        }
        self.pieces.insert(key, piece);
    }

    /// Moves pieces of which the front was taken to the key of what is left, where a piece for
    /// `range` would come to lie between both: a server that grants a settled attempt again must
    /// not confuse us.
    fn rekey_near(&mut self, range: AttemptRange) {
        let keys: Vec<AttemptId> = self.keys_near(range).collect();
        for key in keys {
            if self.piece(key).order.attempts.first != key
                && let Some(piece) = self.remove(key)
            {
                self.attempts -= u64::from(piece.order.attempts.count);
                self.insert(piece);
            }
        }
    }

    fn remove(&mut self, key: AttemptId) -> Option<Piece> {
        let piece = self.pieces.remove(&key)?;
        if let Some(class) = piece.class {
            self.classes.dequeue(class, (piece.arrival, key));
        }
        Some(piece)
    }
}

/// `count` attempts of `order` from `offset` on.
pub(super) fn part(order: &GrantOrder, offset: u32, count: u32) -> GrantOrder {
    let first = order.attempts.first.plus(offset);
    let attempts = AttemptRange { first, count };
    GrantOrder {
        attempts,
        job: order.job,
        first_task: order.task(offset),
        spec_hash: order.spec_hash,
        rows: order.rows.as_ref().map(|rows| rows.part(offset, count)),
    }
}

//! Values drawn from a seed, for the tests of the formats.

use flota_model::{
    frame::GrantOrder,
    ids::{
        AttemptId, AttemptRange, Authority, BootId, Epoch, JobId, NodeId, Nonce, SessionNumber,
        SpecHash, TaskIndex, Term,
    },
    outcome::{Outcome, Output, Report, StartStage, Stream, Usage},
    parameters::{Rows, RowsWriter},
    service::RunEnd,
    units::{Moment, Timestamp},
};

use crate::journal::{Record, Rest};

/// Numbers from a seed (splitmix64: Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Of any length in bits, so that short and long varints are met.
    pub(crate) fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    pub(crate) fn small(&mut self) -> u32 {
        u32::try_from(self.number() >> 32).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(crate) fn bytes(&mut self, length_max: u64) -> Vec<u8> {
        (0..self.below(length_max + 1))
            .map(|_| self.byte())
            .collect()
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes(40)).into_owned()
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| make(self))
    }

    pub(crate) fn attempt(&mut self) -> AttemptId {
        AttemptId {
            epoch: Epoch(self.small()),
            salt: self.next(),
            sequence: self.number() >> 1,
        }
    }

    pub(crate) fn range(&mut self) -> AttemptRange {
        AttemptRange {
            first: self.attempt(),
            count: 1 + self.small() / 2,
        }
    }

    pub(crate) fn ranges(&mut self) -> Vec<AttemptRange> {
        (0..self.below(4)).map(|_| self.range()).collect()
    }

    pub(crate) fn usage(&mut self) -> Usage {
        Usage {
            user_micros: self.number(),
            system_micros: self.number(),
            memory_bytes_max: self.maybe(Self::number),
        }
    }

    pub(crate) fn stage(&mut self) -> StartStage {
        StartStage::ALL[usize::try_from(self.below(6)).unwrap()]
    }

    pub(crate) fn errno(&mut self) -> i32 {
        self.small().cast_signed()
    }

    fn outcome(&mut self) -> Outcome {
        match self.below(10) {
            0 => Outcome::Completed,
            1 => Outcome::Exited { code: self.byte() },
            2 => Outcome::Signalled {
                signal: self.byte(),
            },
            3 => Outcome::OutOfMemory,
            4 => Outcome::TimedOut,
            5 => Outcome::Cancelled,
            6 => Outcome::NotStarted {
                stage: self.stage(),
                errno: self.errno(),
            },
            7 => Outcome::Failed {
                message: self.text(),
            },
            8 => Outcome::Lost,
            _ => Outcome::Unknown,
        }
    }

    fn stream(&mut self) -> Stream {
        match self.below(3) {
            0 => Stream::Empty,
            1 => Stream::Inline(self.bytes(100)),
            _ => Stream::OnNode {
                length: self.number(),
                truncated: self.below(2) == 1,
            },
        }
    }

    pub(crate) fn report(&mut self) -> Report {
        Report {
            attempt: self.attempt(),
            job: JobId(self.number()),
            task: TaskIndex(self.small()),
            spec_hash: SpecHash(self.next()),
            outcome: self.outcome(),
            started_at: self.maybe(|random| Timestamp(random.number())),
            ended_at: Timestamp(self.number()),
            usage: self.usage(),
            output: self.maybe(|random| {
                Box::new(Output {
                    stdout: random.stream(),
                    stderr: random.stream(),
                    result: random.stream(),
                })
            }),
        }
    }

    fn order(&mut self) -> GrantOrder {
        let mut order = GrantOrder {
            attempts: self.range(),
            job: JobId(self.number()),
            first_task: TaskIndex(self.small() / 2),
            spec_hash: SpecHash(self.next()),
            rows: None,
        };
        if self.below(3) == 0 {
            order.attempts.count = order.attempts.count.min(30);
            let mut writer = RowsWriter::default();
            for row in 0..order.attempts.count {
                writer.push([row.to_string().as_str(), ""]);
            }
            order.rows = Rows::parse(writer.finish().into(), 2).ok();
        }
        order
    }

    fn rest(&mut self) -> Rest {
        Rest {
            attempt: self.attempt(),
            last: RunEnd {
                run: self.small(),
                outcome: self.outcome(),
                unhealthy: self.below(2) == 1,
                ended_at: Timestamp(self.number()),
            },
            streak: self.small(),
            failures: (0..self.below(5)).map(|_| Moment(self.number())).collect(),
            until: Moment(self.number()),
            is_crash_loop: self.below(2) == 1,
        }
    }

    pub(crate) fn record(&mut self) -> Record {
        match self.below(15) {
            14 => Record::Stopping {
                attempt: self.attempt(),
                is_forgotten: self.below(2) == 1,
            },
            12 => Record::RunEnded(Box::new(self.rest())),
            13 => Record::RunStarting {
                attempt: self.attempt(),
                run: self.small(),
                at: Timestamp(self.number()),
            },
            0 => Record::Created {
                journal: Nonce(self.next()),
            },
            1 => Record::Opened {
                nonce: Nonce(self.next()),
                boot: BootId(u128::from(self.next()) << 64 | u128::from(self.next())),
            },
            2 => Record::Session(SessionNumber(self.number())),
            3 => Record::Joined(NodeId(self.small())),
            4 => Record::Obeyed(Authority {
                term: Term(self.number()),
                epoch: Epoch(self.small()),
            }),
            5 => Record::Spec {
                hash: SpecHash(self.next()),
                blob: self.bytes(200).into(),
            },
            6 => Record::Granted(self.order()),
            7 => Record::Starting {
                attempt: self.attempt(),
                at: Timestamp(self.number()),
            },
            8 => Record::Done(self.report()),
            9 => Record::Acknowledged(self.ranges()),
            10 => Record::Refused(self.ranges()),
            _ => Record::Reset,
        }
    }
}

//! Records to store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    change::{
        AttemptRecord, AuditRecord, Batch, Change, Grace, GrantRecord, IdempotencyKey, JobRecord,
        KeyRecord, Left, NodeRecord, RevisionRecord, Revival, ServiceRecord, UpdateRecord,
    },
    control::JobControl,
    ids::{
        AttemptId, AttemptRange, Authority, BatchNumber, BootId, Epoch, GrantId, JobId, NodeId,
        Nonce, SessionNumber, SpecHash, TaskIndex, Term,
    },
    outcome::{Outcome, Output, Stream, Usage},
    resources::Resources,
    revision::{RevisionCause, ServiceVersion},
    service::Service,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Retry, SealedSpec, TaskRange,
        Work,
    },
    state::{Counts, JobPhase},
    units::{Bytes, Cpus, Moment, Timestamp},
};

pub(crate) const SALT: u64 = 0xFEDC_BA98_7654_3210;

pub(crate) fn authority(epoch: u32) -> Authority {
    Authority {
        term: Term(1),
        epoch: Epoch(epoch),
    }
}

pub(crate) fn batch(number: u64, epoch: u32, changes: Vec<Change>) -> Batch {
    Batch {
        number: BatchNumber(number),
        authority: authority(epoch),
        changes,
    }
}

/// The first batch of every store here: the first server starts.
pub(crate) fn first(mut changes: Vec<Change>) -> Batch {
    changes.insert(0, taken(1, SALT));
    batch(1, 1, changes)
}

pub(crate) fn taken(epoch: u32, salt: u64) -> Change {
    Change::AuthorityTaken {
        authority: authority(epoch),
        salt,
        at: Timestamp(1_700_000_000_000_000),
        recovered: false,
    }
}

pub(crate) fn range(first: u32, last: u32) -> TaskRange {
    TaskRange {
        first: TaskIndex(first),
        last: TaskIndex(last),
    }
}

/// The spec of a job, with bytes that [`decode`] understands.
pub(crate) fn spec(name: &str, tasks: TaskRange) -> SealedSpec {
    let blob = format!("{name} {} {}", tasks.first, tasks.last);
    let spec = decode(blob.as_bytes()).unwrap();
    SealedSpec {
        spec: Arc::new(spec),
        blob: blob.as_bytes().into(),
        hash: SpecHash(u64::MAX - 7),
    }
}

/// Begins the names of specs of services.
pub(crate) const SERVICE: &str = "service-";

pub(crate) fn decode(blob: &[u8]) -> Option<JobSpec> {
    let text = std::str::from_utf8(blob).ok()?;
    let mut words = text.split(' ');
    let name = words.next()?.to_owned();
    let service = name
        .starts_with(SERVICE)
        .then(|| Box::new(Service::default()));
    let mut index = || words.next()?.parse().ok().map(TaskIndex);
    Some(JobSpec {
        name,
        tasks: TaskRange {
            first: index()?,
            last: index()?,
        },
        work: Work::Kernel(KernelCall::default()),
        priority: Priority::LOW,
        resources: Resources::default(),
        constraints: Constraints::default(),
        retry: Retry::default(),
        timeout: None,
        grace: Duration::from_secs(10),
        on_disconnect: OnDisconnect::default(),
        rules: Box::default(),
        service,
        parameters: None,
    })
}

pub(crate) fn job(number: u64) -> JobRecord {
    JobRecord {
        job: JobId(number),
        spec: spec(&format!("job-{number}"), range(100, 199_999)),
        principal: "local".to_owned(),
        submitted_at: Timestamp(1_700_000_000_000_000 + number),
        phase: JobPhase::Active,
        counts: Counts([199_900, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        finished_at: None,
        rows: None,
        control: JobControl::default(),
    }
}

pub(crate) fn service(name: &str, is_updating: bool) -> ServiceRecord {
    ServiceRecord {
        name: name.to_owned(),
        spec: spec(name, range(0, 9_999)),
        principal: "local".to_owned(),
        replicas: 7,
        job: JobId(1 << 40),
        update: is_updating.then(|| UpdateRecord {
            from: JobId(3),
            spec: spec("before", range(0, 9_999)),
            left: [(2, 3, 3), (6, 1, 9)]
                .map(|(first, count, job)| Left {
                    first,
                    count,
                    job: JobId(job),
                })
                .to_vec(),
            goes_back: true,
            halted: true,
            parallel: Some(4),
        }),
        stopped: !is_updating,
        revival: Revival {
            nodes: if is_updating {
                Vec::new()
            } else {
                vec![NodeId(2), NodeId(70_000)]
            },
            due: !is_updating,
        },
        completed: is_updating,
        changed_at: Timestamp(1_700_000_000_000_001),
        version: ServiceVersion {
            born: JobId(3),
            count: u64::MAX,
        },
    }
}

/// A revision of a service.
pub(crate) fn revision(job: u64) -> RevisionRecord {
    RevisionRecord {
        job: JobId(job),
        spec: spec(&format!("{SERVICE}{job}"), range(0, 9_999)),
        principal: "ana".to_owned(),
        at: Timestamp(1_700_000_000_000_000 + job),
        cause: if job.is_multiple_of(2) {
            RevisionCause::Applied
        } else {
            RevisionCause::RolledBack
        },
    }
}

pub(crate) fn revised(service: &str, job: u64) -> Change {
    Change::RevisionWritten {
        service: service.to_owned(),
        revision: Box::new(revision(job)),
    }
}

pub(crate) fn added(number: u64) -> Change {
    Change::JobAdded(Box::new(job(number)))
}

pub(crate) fn progressed(number: u64, phase: JobPhase) -> Change {
    let finished_at = (phase == JobPhase::Finished).then_some(Timestamp(1_700_000_009_000_000));
    let counts = Counts([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    Change::JobProgressed {
        job: JobId(number),
        phase,
        counts,
        finished_at,
    }
}

pub(crate) fn grant(number: u64, job: u64) -> GrantRecord {
    GrantRecord {
        grant: GrantId(number),
        job: JobId(job),
        first_task: TaskIndex(100),
        attempts: AttemptRange {
            first: attempt_id(number * 100),
            count: 10,
        },
        node: NodeId(3),
        boot: BootId(u128::MAX - 1),
        journal: Nonce(u64::MAX - 2),
        granted_at: Timestamp(1_700_000_001_000_000),
        unsettled: vec![0xFF, 0x03],
        suspect: vec![0x00, 0x00],
    }
}

pub(crate) fn attempt_id(sequence: u64) -> AttemptId {
    AttemptId {
        epoch: Epoch(1),
        salt: SALT,
        sequence,
    }
}

pub(crate) fn attempt(job: u64, task: u32, sequence: u64) -> AttemptRecord {
    AttemptRecord {
        attempt: attempt_id(sequence),
        job: JobId(job),
        task: TaskIndex(task),
        node: NodeId(3),
        outcome: Outcome::Exited { code: 0 },
        counted: true,
        granted_at: Timestamp(1_700_000_001_000_000),
        started_at: Some(Timestamp(1_700_000_001_000_500)),
        ended_at: Timestamp(1_700_000_001_002_500 + sequence),
        usage: Usage {
            user_micros: 1_200,
            system_micros: 300,
            memory_bytes_max: Some(1 << 20),
        },
        output: None,
    }
}

pub(crate) fn ended(record: AttemptRecord) -> Change {
    Change::AttemptEnded(Box::new(record))
}

pub(crate) fn stdout(text: &str) -> Output {
    let stdout = Stream::Inline(text.as_bytes().to_vec());
    Output {
        stdout,
        ..Output::default()
    }
}

pub(crate) fn node(number: u32) -> NodeRecord {
    NodeRecord {
        node: NodeId(number),
        name: format!("node-{number}"),
        nonce: Nonce(u64::MAX),
        boot: BootId(77),
        journal: Nonce(5),
        session: SessionNumber(9),
        capacity: Resources {
            cpus: Cpus::whole(8),
            memory: Bytes(u64::MAX),
            counters: BTreeMap::from([("gpu".to_owned(), 2), ("licence".to_owned(), u64::MAX)]),
        },
        labels: BTreeMap::from([
            ("room".to_owned(), "a \"quoted\"\nñ".to_owned()),
            ("zone".to_owned(), String::new()),
        ]),
        joined_at: Timestamp(1),
        last_heard_at: Timestamp(2),
        leased: true,
        grace: Some(Grace {
            boot: BootId(6),
            until: Moment(u64::MAX),
        }),
    }
}

pub(crate) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        principal: "local".to_owned(),
        key: name.to_owned(),
    }
}

pub(crate) fn made(job: u64) -> KeyRecord {
    KeyRecord {
        job: JobId(job),
        spec_hash: SpecHash(u64::MAX - 7),
        at: Timestamp(4),
    }
}

pub(crate) fn audited(object: &str, refused: Option<&'static str>) -> Change {
    Change::Audited(AuditRecord {
        at: Timestamp(5),
        principal: "local".to_owned(),
        verb: "job.submit",
        object: object.to_owned(),
        reason: refused.is_none().then(|| "not needed any more".to_owned()),
        refused,
    })
}

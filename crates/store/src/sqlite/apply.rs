//! Batches into rows, in one transaction.

use flota_model::{
    change::{
        AuditRecord, Batch, Change, Counters, GrantRecord, IdempotencyKey, JobRecord, KeyRecord,
        NodeRecord, TaskHistory,
    },
    control::JobControl,
    ids::{Authority, BatchNumber, Epoch, GrantId, JobId, TaskIndex, Term},
    state::{Counts, JobKind, JobPhase},
    units::Timestamp,
};
use rusqlite::{Connection, Params, TransactionBehavior, params};

use super::{
    attempts::AttemptWriter,
    columns::{Columns, boot_bytes, phase_number},
    controls,
    fault::is_constraint,
    notes, rows, services,
};
use crate::{head::Head, journal::ApplyFault};

/// Commits all or nothing.
pub(super) fn commit(connection: &mut Connection, batches: &[Batch]) -> Result<(), ApplyFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut head = read_head(&transaction)?;
    let mut attempts = AttemptWriter::new(&transaction)?;
    for batch in batches {
        head.follow(batch)?;
        let mut writer = Writer {
            connection: &transaction,
            attempts: &mut attempts,
            number: batch.number,
        };
        for change in &batch.changes {
            writer.write(change)?;
        }
    }
    drop(attempts);
    write_head(&transaction, &head)?;
    Ok(transaction.commit()?)
}

pub(super) fn read_head(connection: &Connection) -> rusqlite::Result<Head> {
    const SQL: &str = "SELECT term, epoch, salt, taken_at, restored, batch FROM authority";
    connection.prepare_cached(SQL)?.query_row([], |row| {
        let mut columns = Columns::of(row);
        Ok(Head {
            authority: Authority {
                term: Term(columns.bits()?),
                epoch: Epoch(columns.take()?),
            },
            salt: columns.bits()?,
            taken_at: columns.time()?,
            restored: columns.take()?,
            batch: BatchNumber(columns.bits()?),
        })
    })
}

fn write_head(connection: &Connection, head: &Head) -> rusqlite::Result<()> {
    const SQL: &str = "UPDATE authority SET term = ?1, epoch = ?2, salt = ?3, taken_at = ?4, \
                       restored = ?5, batch = ?6";
    connection.prepare_cached(SQL)?.execute(params![
        head.authority.term.0.cast_signed(),
        head.authority.epoch.0,
        head.salt.cast_signed(),
        micros(head.taken_at),
        head.restored,
        head.batch.0.cast_signed(),
    ])?;
    Ok(())
}

pub(super) fn micros(time: Timestamp) -> i64 {
    time.0.cast_signed()
}

/// Writes the changes of one batch.
struct Writer<'apply, 'transaction> {
    connection: &'transaction Connection,
    attempts: &'apply mut AttemptWriter<'transaction>,
    number: BatchNumber,
}

impl Writer<'_, '_> {
    fn write(&mut self, change: &Change) -> Result<(), ApplyFault> {
        match change {
            // Written with the head, at the end of the transaction.
            Change::AuthorityTaken { .. } => Ok(()),
            Change::JobAdded(record) => self.add_job(record),
            Change::JobProgressed {
                job,
                phase,
                counts,
                finished_at,
            } => self.progress_job(*job, *phase, counts, *finished_at),
            Change::JobControlled { job, control } => {
                Ok(controls::write(self.connection, *job, control)?)
            }
            Change::QueueControlled(pause) => {
                Ok(controls::write_queue(self.connection, pause.as_ref())?)
            }
            Change::TasksRetried { job, tasks } => Ok(self.attempts.uncount(*job, *tasks)?),
            Change::ChunkWritten { job, number, bytes } => self.write_chunk(*job, *number, bytes),
            Change::TaskHistoryWritten { job, task, history } => {
                self.write_history(*job, *task, *history)
            }
            Change::GrantAdded(record) => self.add_grant(record),
            Change::GrantWritten {
                grant,
                unsettled,
                suspect,
            } => self.write_grant(*grant, unsettled, suspect),
            Change::GrantRemoved(grant) => self.remove_grant(*grant),
            Change::AttemptEnded(record) => Ok(self.attempts.end(record)?),
            Change::AttemptCorrected(record) => Ok(self.attempts.correct(record)?),
            Change::NodeWritten(record) => self.write_node(record),
            Change::KeyAdded { key, made } => self.add_key(key, made),
            Change::KeyRemoved(key) => self.remove_key(key),
            Change::ServiceWritten(record) => services::write(self.connection, record),
            Change::ServiceRemoved(name) => services::remove(self.connection, name),
            Change::RevisionWritten { service, revision } => {
                services::write_revision(self.connection, service, revision)
            }
            Change::RevisionRemoved { service, job } => {
                services::remove_revision(self.connection, service, *job)
            }
            Change::NoteWritten(record) => notes::write(self.connection, record),
            Change::NoteRemoved { kind, name } => notes::remove(self.connection, *kind, name),
            Change::Audited(record) => self.audit(record),
            Change::CountersWritten(counters) => self.write_counters(counters),
        }
    }

    /// Executes one of our few statements; gives the number of rows that it changed.
    fn execute(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(values)
    }

    /// A new row; one that is there already is a bug.
    fn insert(
        &self,
        sql: &str,
        values: impl Params,
        what: impl FnOnce() -> String,
    ) -> Result<(), ApplyFault> {
        match self.execute(sql, values) {
            Err(error) if is_constraint(&error) => Err(self.unfit(what() + " is already there")),
            other => Ok(other.map(drop)?),
        }
    }

    /// A change of a row; one that is not there is a bug.
    fn update(
        &self,
        sql: &str,
        values: impl Params,
        what: impl FnOnce() -> String,
    ) -> Result<(), ApplyFault> {
        match self.execute(sql, values)? {
            0 => Err(self.unfit(what() + " is not there")),
            _ => Ok(()),
        }
    }

    fn unfit(&self, what: String) -> ApplyFault {
        ApplyFault::Unfit {
            number: self.number,
            what,
        }
    }

    fn add_job(&self, record: &JobRecord) -> Result<(), ApplyFault> {
        const JOB: &str = "INSERT INTO jobs (job, name, priority, first, last, spec_hash, principal, \
             submitted_at, phase, finished_at, waiting, parked, granted, succeeded, failed, cancelled, \
             dead, unknown, blocked, skipped, is_service) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
        const SPEC: &str = "INSERT INTO specs VALUES (?1, ?2)";
        let job = record.job.0.cast_signed();
        let spec = &record.spec.spec;
        let counts = record.counts.0;
        self.insert(
            JOB,
            params![
                job,
                spec.name,
                spec.priority.0,
                spec.tasks.first.0,
                spec.tasks.last.0,
                record.spec.hash.0.cast_signed(),
                record.principal,
                micros(record.submitted_at),
                phase_number(record.phase),
                record.finished_at.map(micros),
                counts[0],
                counts[1],
                counts[2],
                counts[3],
                counts[4],
                counts[5],
                counts[6],
                counts[7],
                counts[8],
                counts[9],
                spec.kind() == JobKind::Service,
            ],
            || format!("job {job}"),
        )?;
        self.insert(SPEC, params![job, &*record.spec.blob], || {
            format!("the spec of job {job}")
        })?;
        if record.control != JobControl::default() {
            controls::write(self.connection, record.job, &record.control)?;
        }
        match &record.rows {
            Some(block) => rows::add(self.connection, record.job, 0, block),
            None => Ok(()),
        }
    }

    fn progress_job(
        &self,
        job: JobId,
        phase: JobPhase,
        counts: &Counts,
        finished_at: Option<Timestamp>,
    ) -> Result<(), ApplyFault> {
        const SQL: &str = "UPDATE jobs SET phase = ?2, finished_at = ?3, \
             waiting = ?4, parked = ?5, granted = ?6, succeeded = ?7, failed = ?8, \
             cancelled = ?9, dead = ?10, unknown = ?11, blocked = ?12, skipped = ?13 WHERE job = ?1";
        let counts = counts.0;
        self.update(
            SQL,
            params![
                job.0.cast_signed(),
                phase_number(phase),
                finished_at.map(micros),
                counts[0],
                counts[1],
                counts[2],
                counts[3],
                counts[4],
                counts[5],
                counts[6],
                counts[7],
                counts[8],
                counts[9],
            ],
            || format!("job {job}"),
        )
    }

    fn write_chunk(&self, job: JobId, number: u32, bytes: &[u8]) -> Result<(), ApplyFault> {
        // An update in place where it is there: see the table.
        const SQL: &str = "INSERT INTO chunks (job, number, bytes) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (job, number) DO UPDATE SET bytes = excluded.bytes";
        self.execute(SQL, params![job.0.cast_signed(), number, bytes])?;
        Ok(())
    }

    fn write_history(
        &self,
        job: JobId,
        task: TaskIndex,
        history: Option<TaskHistory>,
    ) -> Result<(), ApplyFault> {
        const WRITE: &str = "INSERT OR REPLACE INTO task_histories VALUES (?1, ?2, ?3, ?4, ?5)";
        const REMOVE: &str = "DELETE FROM task_histories WHERE job = ?1 AND task = ?2";
        let job = job.0.cast_signed();
        match history {
            Some(TaskHistory {
                failures,
                losses,
                apart,
            }) => self.execute(WRITE, params![job, task.0, failures, losses, apart])?,
            None => self.execute(REMOVE, params![job, task.0])?,
        };
        Ok(())
    }

    fn add_grant(&self, record: &GrantRecord) -> Result<(), ApplyFault> {
        const SQL: &str = "INSERT INTO grants VALUES \
                           (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let first = record.attempts.first;
        self.insert(
            SQL,
            params![
                record.grant.0.cast_signed(),
                record.job.0.cast_signed(),
                record.first_task.0,
                first.epoch.0,
                first.salt.cast_signed(),
                first.sequence.cast_signed(),
                record.attempts.count,
                record.node.0,
                boot_bytes(record.boot),
                record.journal.0.cast_signed(),
                micros(record.granted_at),
                record.unsettled,
                record.suspect,
            ],
            || format!("grant {}", record.grant),
        )
    }

    fn write_grant(
        &self,
        grant: GrantId,
        unsettled: &[u8],
        suspect: &[u8],
    ) -> Result<(), ApplyFault> {
        const SQL: &str = "UPDATE grants SET unsettled = ?2, suspect = ?3 WHERE grant = ?1";
        self.update(
            SQL,
            params![grant.0.cast_signed(), unsettled, suspect],
            || format!("grant {grant}"),
        )
    }

    fn remove_grant(&self, grant: GrantId) -> Result<(), ApplyFault> {
        self.execute(
            "DELETE FROM grants WHERE grant = ?1",
            [grant.0.cast_signed()],
        )?;
        Ok(())
    }

    fn write_node(&self, record: &NodeRecord) -> Result<(), ApplyFault> {
        const NODE: &str = "INSERT OR REPLACE INTO nodes VALUES \
                            (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        self.execute(
            NODE,
            params![
                record.node.0,
                record.name,
                record.nonce.0.cast_signed(),
                boot_bytes(record.boot),
                record.journal.0.cast_signed(),
                record.session.0.cast_signed(),
                record.capacity.cpus.0,
                record.capacity.memory.0.cast_signed(),
                micros(record.joined_at),
                micros(record.last_heard_at),
                record.leased,
                record.grace.map(|grace| boot_bytes(grace.boot)),
                record.grace.map(|grace| grace.until.0.cast_signed()),
            ],
        )?;
        self.write_node_maps(record)
    }

    fn write_node_maps(&self, record: &NodeRecord) -> Result<(), ApplyFault> {
        let node = record.node.0;
        self.execute("DELETE FROM node_labels WHERE node = ?1", [node])?;
        for (name, value) in &record.labels {
            let sql = "INSERT INTO node_labels VALUES (?1, ?2, ?3)";
            self.execute(sql, params![node, name, value])?;
        }
        self.execute("DELETE FROM node_counters WHERE node = ?1", [node])?;
        for (name, amount) in &record.capacity.counters {
            let sql = "INSERT INTO node_counters VALUES (?1, ?2, ?3)";
            self.execute(sql, params![node, name, amount.cast_signed()])?;
        }
        Ok(())
    }

    fn add_key(&self, key: &IdempotencyKey, made: &KeyRecord) -> Result<(), ApplyFault> {
        const SQL: &str = "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5)";
        let job = made.job.0.cast_signed();
        let hash = made.spec_hash.0.cast_signed();
        self.insert(
            SQL,
            params![key.principal, key.key, job, hash, micros(made.at)],
            || format!("key `{}` of `{}`", key.key, key.principal),
        )
    }

    fn remove_key(&self, key: &IdempotencyKey) -> Result<(), ApplyFault> {
        const SQL: &str = "DELETE FROM keys WHERE principal = ?1 AND key = ?2";
        self.execute(SQL, params![key.principal, key.key])?;
        Ok(())
    }

    fn audit(&self, record: &AuditRecord) -> Result<(), ApplyFault> {
        const SQL: &str = "INSERT INTO audit (at, principal, verb, object, refused, reason) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let AuditRecord {
            at,
            principal,
            verb,
            object,
            reason,
            refused,
        } = record;
        let values = params![micros(*at), principal, verb, object, refused, reason];
        self.execute(SQL, values)?;
        Ok(())
    }

    fn write_counters(&self, counters: &Counters) -> Result<(), ApplyFault> {
        const SQL: &str = "UPDATE counters SET next_job = ?1, next_node = ?2, next_grant = ?3";
        let Counters { job, node, grant } = counters;
        self.execute(
            SQL,
            params![job.0.cast_signed(), node.0, grant.0.cast_signed()],
        )?;
        Ok(())
    }
}

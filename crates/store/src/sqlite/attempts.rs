//! The hot rows: ended attempts and their outputs.

use flota_model::{
    change::AttemptRecord,
    ids::JobId,
    outcome::{Output, Stream},
    spec::TaskRange,
};
use rusqlite::{CachedStatement, Connection, Result, params};

use super::{
    apply::micros,
    columns::{OutcomeColumns, OutputColumns, stream_number, streams},
};

/// Where an ended attempt is named by its key.
const KEY: &str = "job = ?1 AND task = ?2 AND epoch = ?3 AND salt = ?4 AND sequence = ?5";

/// Writes ended attempts with statements that are prepared once per transaction.
pub(super) struct AttemptWriter<'transaction> {
    connection: &'transaction Connection,
    insert: CachedStatement<'transaction>,
}

impl<'transaction> AttemptWriter<'transaction> {
    pub(super) fn new(connection: &'transaction Connection) -> Result<Self> {
        const SQL: &str = "INSERT INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
             ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) ON CONFLICT DO NOTHING";
        Ok(Self {
            connection,
            insert: connection.prepare_cached(SQL)?,
        })
    }

    /// The first record of an attempt stays.
    pub(super) fn end(&mut self, record: &AttemptRecord) -> Result<()> {
        let is_new = self.insert(record)?;
        match &record.output {
            Some(output) if is_new => self.insert_outputs(record, output),
            _ => Ok(()),
        }
    }

    /// Replaces the record of the same attempt, outputs included.
    pub(super) fn correct(&mut self, record: &AttemptRecord) -> Result<()> {
        for table in ["attempts", "outputs"] {
            let sql = format!("DELETE FROM {table} WHERE {KEY}");
            let [job, task, epoch, salt, sequence] = key(record);
            self.connection
                .prepare_cached(&sql)?
                .execute(params![job, task, epoch, salt, sequence])?;
        }
        self.end(record)
    }

    /// What counted of these tasks is history only.
    pub(super) fn uncount(&self, job: JobId, tasks: TaskRange) -> Result<()> {
        const SQL: &str = "UPDATE attempts SET counted = 0 \
                           WHERE job = ?1 AND task BETWEEN ?2 AND ?3 AND counted = 1";
        let values = params![job.0.cast_signed(), tasks.first.0, tasks.last.0];
        self.connection.prepare_cached(SQL)?.execute(values)?;
        Ok(())
    }

    fn insert(&mut self, record: &AttemptRecord) -> Result<bool> {
        let [job, task, epoch, salt, sequence] = key(record);
        let outcome = OutcomeColumns::from(&record.outcome);
        let output = record
            .output
            .as_deref()
            .map(OutputColumns::from)
            .unwrap_or_default();
        let rows = self.insert.execute(params![
            job,
            task,
            epoch,
            salt,
            sequence,
            record.node.0,
            outcome.number,
            outcome.detail,
            outcome.errno,
            outcome.message,
            record.counted,
            micros(record.granted_at),
            record.started_at.map(micros),
            micros(record.ended_at),
            record.usage.user_micros.cast_signed(),
            record.usage.system_micros.cast_signed(),
            record.usage.memory_bytes_max.map(u64::cast_signed),
            output.lengths[0],
            output.lengths[1],
            output.lengths[2],
            output.on_node,
            output.truncated,
        ])?;
        Ok(rows == 1)
    }

    fn insert_outputs(&self, record: &AttemptRecord, output: &Output) -> Result<()> {
        const SQL: &str = "INSERT INTO outputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let [job, task, epoch, salt, sequence] = key(record);
        for (name, stream) in streams(output) {
            if let Stream::Inline(bytes) = stream {
                let number = stream_number(name);
                self.connection
                    .prepare_cached(SQL)?
                    .execute(params![job, task, epoch, salt, sequence, number, bytes])?;
            }
        }
        Ok(())
    }
}

/// The columns of the key of an ended attempt.
fn key(record: &AttemptRecord) -> [i64; 5] {
    [
        record.job.0.cast_signed(),
        i64::from(record.task.0),
        i64::from(record.attempt.epoch.0),
        record.attempt.salt.cast_signed(),
        record.attempt.sequence.cast_signed(),
    ]
}

//! What a migration leaves to the program, because SQL cannot read specs.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::{DecodeSpec, journal::LoadFault};

/// V4 took revisions of services that were over for batch jobs.
const KINDS: &str = "kinds of jobs";

/// Does what is left, in one transaction with the note that it is done.
pub(super) fn all(connection: &mut Connection, decode: DecodeSpec) -> Result<(), LoadFault> {
    let left = connection
        .query_row("SELECT 1 FROM mends WHERE name = ?1", [KINDS], |_| Ok(()))
        .optional()?;
    if left.is_none() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    kinds_of_jobs(&transaction, decode)?;
    transaction.execute("DELETE FROM mends WHERE name = ?1", [KINDS])?;
    Ok(transaction.commit()?)
}

/// Looks only at specs that have the word in them: to decode all jobs of a large store would take
/// minutes.
fn kinds_of_jobs(transaction: &Transaction<'_>, decode: DecodeSpec) -> Result<(), LoadFault> {
    const SUSPECTS: &str = "SELECT jobs.job, blob FROM jobs CROSS JOIN specs ON specs.job = jobs.job \
                            WHERE is_service = 0 AND instr(blob, CAST('service' AS BLOB)) > 0";
    let mut statement = transaction.prepare(SUSPECTS)?;
    let mut rows = statement.query([])?;
    let mut revisions: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()? {
        let blob: Vec<u8> = row.get(1)?;
        // One that cannot be read is told when its job is.
        if decode(&blob).is_some_and(|spec| spec.service.is_some()) {
            revisions.push(row.get(0)?);
        }
    }
    let mut mend = transaction.prepare("UPDATE jobs SET is_service = 1 WHERE job = ?1")?;
    for job in revisions {
        mend.execute(params![job])?;
    }
    Ok(())
}

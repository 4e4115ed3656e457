//! Rows beside a spec: their hash, and whether they are those that the spec names.

use std::sync::Arc;

use flota_model::{
    parameters::{Parameters, ROW_LENGTH_MAX, ROWS_LENGTH_MAX, Rows, RowsFault, RowsHash},
    spec::JobSpec,
};
use sha2::{Digest, Sha256};

use super::{
    check::check_with,
    fault::{Faults, SpecFaults},
};

/// A spec with the rows that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The spec.
    pub spec: JobSpec,
    /// Its rows; `None` exactly where it names none.
    pub rows: Option<Rows>,
}

/// The type of a body that is a job in one line of JSON, and behind that line its rows.
pub const JOB_WITH_ROWS: &str = "application/vnd.flota.job";

/// The body of a job with its rows.
pub fn with_rows(job: &Job) -> Vec<u8> {
    let mut body = super::to_value(&job.spec).to_string().into_bytes();
    body.push(b'\n');
    if let Some(rows) = &job.rows {
        body.extend_from_slice(rows.bytes());
    }
    body
}

/// The two parts of such a body; everything is the first one where no line ends.
pub fn split_rows(body: &[u8]) -> (&[u8], &[u8]) {
    match body.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&body[..end], &body[end + 1..]),
        None => (body, &[]),
    }
}

/// The hash of the bytes of rows.
pub fn hash_of_rows(bytes: &[u8]) -> RowsHash {
    RowsHash(Sha256::digest(bytes).into())
}

/// A hash as 64 hexadecimal digits.
pub(super) fn hash_text(hash: RowsHash) -> String {
    use std::fmt::Write as _;
    hash.0.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hash that 64 hexadecimal digits say.
pub(super) fn hash_of_text(text: &str) -> Option<RowsHash> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(RowsHash(hash))
}

/// Puts a spec and the bytes that came with it together, and checks both.
///
/// # Errors
/// All faults together: other bytes than the spec names, none, or too many.
pub fn join(spec: JobSpec, bytes: Option<Arc<[u8]>>) -> Result<Job, SpecFaults> {
    let mut faults = Faults::default();
    let rows = match (&spec.parameters, bytes) {
        (Some(Parameters::Rows(named)), Some(bytes)) => {
            if hash_of_rows(&bytes) != named.hash {
                faults.add("parameters.rows", "the rows are not those of this hash");
            }
            let rows = Rows::parse(bytes, named.columns.len());
            match rows {
                Ok(rows) if rows.count() != named.count => {
                    let what = format!("{}, but there are {} rows", named.count, rows.count());
                    faults.add("parameters.count", what);
                    None
                }
                Ok(rows) => Some(rows),
                Err(fault) => {
                    of_rows(fault, &mut faults);
                    None
                }
            }
        }
        (Some(Parameters::Rows(_)), None) => {
            let hint = "send them behind the job, or write them as a list of lists";
            faults.add_with_hint("parameters.rows", "the rows themselves are missing", hint);
            None
        }
        (Some(Parameters::Sweep(_)) | None, Some(_)) => {
            faults.add("parameters", "rows came with a job that names none");
            None
        }
        (Some(Parameters::Sweep(_)) | None, None) => None,
    };
    faults.or(())?;
    check_with(&spec, rows.as_ref())?;
    Ok(Job { spec, rows })
}

/// What is wrong with bytes that are no rows.
pub(super) fn of_rows(fault: RowsFault, faults: &mut Faults) {
    let field = "parameters.rows";
    match fault {
        RowsFault::TooLong => {
            let what = format!("more than {ROWS_LENGTH_MAX} bytes");
            faults.add_with_hint(field, what, "submit several jobs");
        }
        RowsFault::RowTooLong(row) => {
            let hint = "put the value into a file and pass its path";
            let what = format!("more than {ROW_LENGTH_MAX} bytes");
            faults.add_with_hint(&format!("{field}[{row}]"), what, hint);
        }
        RowsFault::Torn => faults.add(field, "they end within a row"),
        RowsFault::Encoding(row) => faults.add(&format!("{field}[{row}]"), "no UTF-8"),
    }
}

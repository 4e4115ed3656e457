//! The job spec as text and bytes: one form for REST bodies, job files and the stored blob.
//!
//! ```json
//! {"name": "sim", "tasks": {"first": 1, "last": 1000},
//!  "program": {"argv": ["./sim", "{index}"], "environment": {}, "working_directory": "/x"},
//!  "priority": 2, "resources": {"cpus": 1.0, "memory": "512MiB", "counters": {}},
//!  "constraints": {"node": "n1", "labels": {}},
//!  "retry": {"retries": 3, "backoff": "1s", "backoff_max": "1m"},
//!  "timeout": "10s", "grace": "10s", "on_disconnect": {"keep": "10m"}}
//! ```
//!
//! Only `name` and one of `program` and `kernel` must be given. Unknown fields are faults. With a
//! table `service` the job is a service. Files of services are shorter ([`parse_services`]).

mod check;
mod difference;
pub mod document;
mod env_file;
mod fault;
mod form;
mod parameters;
mod read;
mod services;
mod template;
mod tree;

use std::{collections::BTreeMap, sync::Arc};

pub use difference::changed_fields;
use flota_model::{
    ids::SpecHash,
    parameters::Parameters,
    spec::{JobSpec, SPEC_LENGTH_MAX, SealedSpec, Work},
};
use sha2::{Digest, Sha256};

pub use self::{
    check::{
        ARGUMENT_LIST_LENGTH_MAX, CPUS_MAX, ENTRIES_MAX, MEMORY_MAX, PARAMETERS_LENGTH_MAX,
        PATH_LENGTH_MAX, check, check_with, is_label_value, is_name,
    },
    env_file::{ENVIRONMENT_FILE_LENGTH_MAX, EnvironmentFault, parse_environment},
    fault::{SpecFault, SpecFaults},
    parameters::{JOB_WITH_ROWS, Job, hash_of_rows, join, split_rows, with_rows},
    read::{
        GRACE_DEFAULT,
        file::{DeclaredService, ENVIRONMENT_FILES_MAX, SERVICES_MAX},
        parse_bound, parse_cause, parse_io_priority, parse_max_fails, parse_umask,
    },
    services::{Notation, parse_services},
};
use self::{
    fault::{Faults, nearest, of_text, quoted},
    form::Form,
    tree::Tree,
};

/// Parses and checks the body of `POST /api/v1/jobs` or a job file in JSON.
///
/// # Errors
/// All faults together, each with the path of its field.
pub fn parse_json(text: &[u8]) -> Result<JobSpec, SpecFaults> {
    if text.len() > SPEC_LENGTH_MAX {
        return Err(of_text(format!("longer than {SPEC_LENGTH_MAX} bytes")));
    }
    let tree: Tree = serde_json::from_slice(text)
        .map_err(|source| of_text(format!("no valid JSON: {source}")))?;
    parse_tree(tree)
}

/// Parses and checks a job file in TOML.
///
/// # Errors
/// All faults together, each with the path of its field.
pub fn parse_toml(text: &str) -> Result<JobSpec, SpecFaults> {
    if text.len() > SPEC_LENGTH_MAX {
        return Err(of_text(format!("longer than {SPEC_LENGTH_MAX} bytes")));
    }
    parse_tree(toml_tree(text)?)
}

/// Parses a job file without checking its bounds: for whoever adds to it what is missing.
///
/// # Errors
/// All faults of form together, each with the path of its field.
pub fn read_job(text: &str, notation: Notation) -> Result<Job, SpecFaults> {
    if text.len() > SPEC_LENGTH_MAX {
        return Err(of_text(format!("longer than {SPEC_LENGTH_MAX} bytes")));
    }
    let tree = services::tree(text, notation)?;
    let mut faults = Faults::default();
    let (spec, rows) = read::job(tree, &mut faults);
    faults.or(Job { spec, rows })
}

/// Parses and checks a job file, with the rows that are written out in it, or that came with it as
/// `attached`.
///
/// # Errors
/// All faults together, each with the path of its field.
pub fn parse_job(
    text: &str,
    notation: Notation,
    attached: Option<Arc<[u8]>>,
) -> Result<Job, SpecFaults> {
    if text.len() > SPEC_LENGTH_MAX {
        return Err(of_text(format!("longer than {SPEC_LENGTH_MAX} bytes")));
    }
    let tree = services::tree(text, notation)?;
    let mut faults = Faults::default();
    let (spec, rows) = read::job(tree, &mut faults);
    if rows.is_some() || !matches!(spec.parameters, Some(Parameters::Rows(_))) {
        check::bounds(&spec, rows.as_ref(), &mut faults);
        if rows.is_some() && attached.is_some() {
            faults.add(
                "parameters.rows",
                "given twice: written out, and sent behind the job",
            );
        }
        if rows.is_some() || attached.is_none() {
            return faults.or(Job { spec, rows });
        }
    }
    let spec = faults.or(spec)?;
    join(spec, attached)
}

fn toml_tree(text: &str) -> Result<Tree, SpecFaults> {
    toml::from_str(text).map_err(|source| {
        let place = source.span().map_or_else(String::new, |span| {
            let line = text
                .bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1;
            format!(" in line {line}")
        });
        of_text(format!("no valid TOML: {}{place}", source.message()))
    })
}

fn parse_tree(tree: Tree) -> Result<JobSpec, SpecFaults> {
    let mut faults = Faults::default();
    let spec = read::spec(tree, &mut faults);
    check::bounds(&spec, None, &mut faults);
    faults.or(spec)
}

/// The names and values of a JSON object of strings, numbers and booleans, all as text.
pub(crate) fn scalars_of_json(text: &str) -> Result<BTreeMap<String, String>, String> {
    let tree: Tree =
        serde_json::from_str(text).map_err(|source| format!("no valid JSON: {source}"))?;
    let kind = tree.kind();
    let Tree::Table(fields) = tree else {
        return Err(format!("expected an object, found {kind}"));
    };
    let scalar = |(name, tree): (String, Tree)| {
        let kind = tree.kind();
        let value = tree.scalar().ok_or_else(|| {
            let name = quoted(&name);
            format!("{name} is {kind}, expected a string, a number or a boolean")
        });
        Ok((name, value?))
    };
    fields.into_iter().map(scalar).collect()
}

/// Checks that a kernel of the spec is one of `known`.
///
/// # Errors
/// One fault, with the nearest known name.
pub fn check_kernels(spec: &JobSpec, known: &[&str]) -> Result<(), SpecFaults> {
    let mut faults = Faults::default();
    match &spec.work {
        Work::Kernel(call) if !known.contains(&call.name.as_str()) => {
            let hint = match nearest(&call.name, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known: {}", known.join(", ")),
            };
            let what = format!("there is no kernel {}", quoted(&call.name));
            faults.add_with_hint("kernel.name", what, hint);
        }
        Work::Kernel(_) | Work::Program(_) => {}
    }
    faults.or(())
}

/// Makes the bytes of a checked spec that are stored and sent, and their hash.
///
/// Durations are cut to whole microseconds, as [`parse_json`] gives them.
///
/// # Panics
/// Never: strings, numbers and maps with text keys are always JSON.
pub fn seal(spec: JobSpec) -> SealedSpec {
    let blob =
        serde_json::to_vec(&Form::of(&spec)).expect("strings, numbers and maps are always JSON");
    SealedSpec {
        hash: hash_of(&blob),
        blob: blob.into(),
        spec: Arc::new(spec),
    }
}

/// Reads the bytes of [`seal`], of this version or an older one.
///
/// Bounds are not checked again, so that a spec that was accepted once stays readable when they
/// change; a field that is missing takes its default.
///
/// # Errors
/// When the bytes were not made by [`seal`].
pub fn unseal(blob: &[u8]) -> Result<JobSpec, UnsealFault> {
    if blob.len() > SPEC_LENGTH_MAX {
        return Err(UnsealFault::TooLong { length: blob.len() });
    }
    let tree: Tree = serde_json::from_slice(blob).map_err(|source| UnsealFault::Json { source })?;
    let mut faults = Faults::default();
    let spec = read::spec(tree, &mut faults);
    faults
        .or(spec)
        .map_err(|source| UnsealFault::Form { source })
}

/// As [`unseal`], for a blob that came with its hash.
///
/// # Errors
/// When the bytes are not those that were hashed, or were not made by [`seal`].
pub fn unseal_hashed(blob: Arc<[u8]>, hash: SpecHash) -> Result<SealedSpec, UnsealFault> {
    let actual = hash_of(&blob);
    if actual != hash {
        return Err(UnsealFault::Hash {
            expected: hash,
            actual,
        });
    }
    Ok(SealedSpec {
        spec: Arc::new(unseal(&blob)?),
        blob,
        hash,
    })
}

/// The hash of a sealed spec: the first eight bytes of its SHA-256, big-endian.
pub fn hash_of(blob: &[u8]) -> SpecHash {
    let digest = Sha256::digest(blob);
    SpecHash(u64::from_be_bytes(std::array::from_fn(|index| {
        digest[index]
    })))
}

/// The normal form for REST: all that has a default is given.
///
/// # Panics
/// Never: strings, numbers and maps with text keys are always JSON.
pub fn to_value(spec: &JobSpec) -> serde_json::Value {
    serde_json::to_value(Form::of(spec)).expect("strings, numbers and maps are always JSON")
}

/// Why a stored or received spec cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnsealFault {
    /// Longer than any sealed spec.
    #[error("sealed spec has {length} bytes, more than {SPEC_LENGTH_MAX}")]
    TooLong {
        /// Bytes that were given.
        length: usize,
    },
    /// Another spec, or a damaged one.
    #[error("sealed spec has the hash {actual:?} instead of {expected:?}")]
    Hash {
        /// What it came with.
        expected: SpecHash,
        /// What its bytes have.
        actual: SpecHash,
    },
    /// No JSON.
    #[error("sealed spec is no JSON")]
    Json {
        /// Where.
        source: serde_json::Error,
    },
    /// JSON of another form, e.g. of a newer version.
    #[error("sealed spec has an unknown form")]
    Form {
        /// What is unknown.
        source: SpecFaults,
    },
}

#[cfg(test)]
mod tests;

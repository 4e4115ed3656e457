//! Schemas of other versions, and what the queries of this one cost.

use std::fs;

use flota_model::change::Change;
use refinery::{Migration, Runner};
use rusqlite::Connection;

use super::stored;
use crate::{
    conformance::sample::{SERVICE, added, batch, decode, first, job, range, spec},
    journal::{Journal, LoadFault},
    sqlite::{
        checkpoint::Thresholds,
        open,
        open::{Fitting, OpenFault, newest, open_with, shipped},
    },
};

/// The shipped migrations and one more.
fn with_next(sql: &str) -> Runner {
    let mut migrations = shipped().get_migrations().clone();
    let next = newest(&shipped()) + 1;
    migrations.push(Migration::unapplied(&format!("V{next}__next"), sql).unwrap());
    Runner::new(&migrations)
}

fn fitting() -> Fitting {
    Fitting {
        decode,
        thresholds: Thresholds::default(),
    }
}

#[test]
fn a_newer_store_is_refused_unchanged() {
    let (_folder, path) = stored();
    drop(open_with(&path, fitting(), &with_next("CREATE TABLE later (x)")).unwrap());
    let before = fs::read(&path).unwrap();
    let fault = open(&path, decode).err().expect("it was opened");
    let OpenFault::Load {
        source: LoadFault::Newer { found, known },
        ..
    } = fault
    else {
        panic!("{fault}");
    };
    assert_eq!(found, known + 1);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_older_store_is_copied_and_then_brought_up_to_date() {
    let (_folder, path) = stored();
    let next = with_next("ALTER TABLE jobs ADD COLUMN colour TEXT");
    let mut opened = open_with(&path, fitting(), &next).unwrap();
    assert_eq!(opened.journal.load().unwrap().jobs.len(), 1);
    let copy = opened.backup.expect("no copy was made");
    let expected = format!("store.schema-{}", newest(&shipped()));
    assert_eq!(copy.file_name().unwrap(), expected.as_str());
    // The copy is a store of the old version.
    let mut old = open(&copy, decode).unwrap();
    assert_eq!(old.journal.load().unwrap().jobs.len(), 1);
    drop(opened.journal);
    // Opened again, there is nothing to do.
    assert_eq!(open_with(&path, fitting(), &next).unwrap().backup, None);
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let (_folder, path) = stored();
    let next = with_next("CREATE TABLE half (x); INSERT INTO missing VALUES (1)");
    for suffix in ["", "-2"] {
        let expected = format!("store.schema-{}{suffix}", newest(&shipped()));
        let fault = open_with(&path, fitting(), &next)
            .err()
            .expect("it was opened");
        let OpenFault::Migrate {
            backup: Some(copy), ..
        } = fault
        else {
            panic!("{fault}")
        };
        assert_eq!(copy.file_name().unwrap(), expected.as_str());
    }
    let mut opened = open(&path, decode).unwrap();
    assert_eq!(opened.journal.load().unwrap().jobs.len(), 1);
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    // As far as the table of the migrations, but not the first of them.
    let connection = Connection::open(&path).unwrap();
    let table = "CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY, \
                 name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))";
    connection.execute_batch(table).unwrap();
    drop(connection);
    let mut opened = open(&path, decode).unwrap();
    assert_eq!(opened.backup, None);
    opened
        .journal
        .apply(&[first(vec![added(1)]), batch(2, 1, vec![])])
        .unwrap();
    assert_eq!(opened.journal.load().unwrap().jobs.len(), 1);
}

/// What stands in a store of V4, whose migration could not read specs.
#[test]
fn revisions_that_were_taken_for_batch_jobs_are_mended_once() {
    let (_folder, path) = stored();
    let mut opened = open(&path, decode).unwrap();
    let mut revision = job(2);
    revision.spec = spec(&format!("{SERVICE}old"), range(0, 9));
    // The word alone makes no service.
    let mut named = job(3);
    named.spec = spec("my-service-of-batch", range(0, 9));
    let changes = [revision, named].map(|job| Change::JobAdded(Box::new(job)));
    let number = opened.journal.load().unwrap().batch.0 + 1;
    opened
        .journal
        .apply(&[batch(number, 1, changes.to_vec())])
        .unwrap();
    drop(opened);
    let connection = Connection::open(&path).unwrap();
    let as_before = "UPDATE jobs SET is_service = 0; INSERT INTO mends VALUES ('kinds of jobs')";
    connection.execute_batch(as_before).unwrap();
    let services = || -> Vec<i64> {
        let sql = "SELECT job FROM jobs WHERE is_service = 1";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    drop(open(&path, decode).unwrap());
    assert_eq!(services(), [2]);
    // It is done once: what is changed later stays.
    connection
        .execute_batch("UPDATE jobs SET is_service = 0")
        .unwrap();
    drop(open(&path, decode).unwrap());
    assert_eq!(services(), [0_i64; 0]);
}

/// How SQLite would answer each of the queries that must not read whole tables.
#[test]
fn hot_queries_use_a_key_and_never_read_a_table_from_end_to_end() {
    let (_folder, path) = stored();
    let connection = Connection::open(&path).unwrap();
    let live = crate::sqlite::load::LIVE;
    let queries = [
        format!("{live} SELECT * FROM live CROSS JOIN chunks ON chunks.job = live.job"),
        "SELECT node FROM attempts WHERE job = 1 AND task <= 9 \
         AND (task, epoch, salt, sequence) > (5, -1, 0, 0) \
         ORDER BY task, epoch, salt, sequence LIMIT 9"
            .to_owned(),
        "SELECT job FROM jobs INDEXED BY jobs_unfinished WHERE job < 9 AND phase <> 2 AND phase = 0 \
         ORDER BY job DESC LIMIT 9"
            .to_owned(),
        "SELECT job FROM jobs INDEXED BY jobs_ill WHERE failed + dead + unknown > 0 AND dead > 0 \
         AND job <= 9 ORDER BY job DESC LIMIT 9"
            .to_owned(),
        "UPDATE attempts SET counted = 0 WHERE job = 1 AND task BETWEEN 2 AND 3 AND counted = 1"
            .to_owned(),
        "SELECT number FROM audit WHERE number < 9 ORDER BY number DESC LIMIT 9".to_owned(),
    ];
    for query in queries {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
            .unwrap();
        let steps: Vec<String> = statement
            .query_map([], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for step in &steps {
            // The index holds only unfinished jobs, and the grants only unsettled ones.
            let is_small = step.contains("jobs_unfinished")
                || step.contains("jobs_ill")
                || step == "SCAN grants";
            let is_ours = step == "SCAN live";
            assert!(
                is_small || is_ours || !step.starts_with("SCAN"),
                "{query}: {steps:?}"
            );
        }
        // The grants are put into the order of their jobs; nothing else is sorted.
        let sorts = steps
            .iter()
            .filter(|step| step.ends_with("TEMP B-TREE FOR ORDER BY"))
            .count();
        assert!(
            sorts <= usize::from(query.contains("live")),
            "{query}: {steps:?}"
        );
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'attempts'";
    let indexes: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(indexes, 0, "every further index costs the hot table");
}

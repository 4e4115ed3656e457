//! What every store must do, run on each of them.

mod cases;
mod crash;
mod pages;
mod random;
pub(crate) mod sample;

use tempfile::TempDir;

use crate::{history::History, journal::Journal, memory::MemoryStore, sqlite};

type Store = (Box<dyn Journal>, Box<dyn History>);

/// A kind of store; what it holds stays from one opening to the next.
trait Subject: Default {
    fn open(&self) -> Store;
}

#[derive(Default)]
struct Memory(MemoryStore);

impl Subject for Memory {
    fn open(&self) -> Store {
        (Box::new(self.0.clone()), Box::new(self.0.clone()))
    }
}

struct Sqlite(TempDir);

impl Default for Sqlite {
    fn default() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Subject for Sqlite {
    fn open(&self) -> Store {
        let opened = sqlite::open(&self.0.path().join("store"), sample::decode).unwrap();
        (Box::new(opened.journal), Box::new(opened.history))
    }
}

/// Makes a test of every case for every kind of store.
macro_rules! suite {
    ($($module:ident: $($case:ident)*;)*) => {
        mod in_memory {
            $($(
                #[test]
                fn $case() {
                    super::$module::$case(&super::Memory::default());
                }
            )*)*
        }

        mod in_sqlite {
            $($(
                #[test]
                fn $case() {
                    super::$module::$case(&super::Sqlite::default());
                }
            )*)*
        }
    };
}

suite! {
    cases:
        a_new_store_is_empty
        everything_applied_comes_back_after_reopening
        what_was_removed_does_not_come_back
        the_last_write_of_a_record_stands
        a_finished_job_is_loaded_only_while_it_has_grants
        rows_come_back_with_their_live_job_and_not_to_readers
        no_batches_are_no_commit
        batch_numbers_must_follow_on
        only_the_stored_authority_may_write
        authority_is_only_raised
        a_server_that_drew_the_same_epoch_is_refused
        a_refused_batch_leaves_nothing_of_the_call
        changes_of_what_is_not_there_are_refused
        what_is_there_already_is_not_added_again
        the_first_record_of_an_attempt_stays
        a_corrected_attempt_is_replaced_with_its_outputs
        every_outcome_and_stream_comes_back
        numbers_of_64_bits_come_back;
    pages:
        jobs_come_newest_first_and_page_to_the_end
        jobs_are_filtered_by_phase
        jobs_that_succeeded_are_counted_by_principal
        revisions_of_services_are_told_from_batch_jobs
        attempts_page_through_ranges_of_tasks
        a_cursor_outside_the_ranges_is_understood
        limits_are_brought_into_their_range
        chunks_are_those_of_the_tasks
        an_output_is_that_of_the_attempt_that_counts
        summaries_tell_the_sizes_of_outputs
        the_audit_pages_newest_first
        what_is_not_there_is_answered_as_nothing;
}

//! Every rule that can be broken is missed by the simulator.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is one")]
#![expect(
    clippy::print_stdout,
    reason = "a failing seed is told to whoever runs the tests"
)]

use flota_engine::sabotage::Rule;
use flota_testkit::{Options, Switch, simulate};

/// Within this many seeds a broken rule must be noticed.
const SEEDS: u64 = 200;

fn check(switch: Switch) {
    let options = Options {
        sabotage: Some(switch),
        lines: std::env::var("FLOTA_LINES").map_or(0, |lines| lines.parse().expect("a number")),
    };
    let caught = (0..SEEDS).find_map(|seed| simulate(seed, options).err());
    if let Some(failure) = caught.as_ref().filter(|_| options.lines > 0) {
        println!("{failure}");
    }
    let failure = caught.unwrap_or_else(|| panic!("{switch:?} is not noticed in {SEEDS} seeds"));
    println!(
        "{switch:?}: seed {}: {:?}: {}",
        failure.seed, failure.invariant, failure.detail
    );
}

#[test]
fn a_keeper_that_does_not_fence_is_noticed() {
    check(Switch::Rule(Rule::Fencing));
}

#[test]
fn a_forgotten_idempotency_key_is_noticed() {
    check(Switch::Rule(Rule::IdempotencyKey));
}

#[test]
fn an_epoch_without_salt_is_noticed() {
    check(Switch::Rule(Rule::SaltedEpoch));
}

#[test]
fn frames_of_another_session_are_noticed() {
    check(Switch::Rule(Rule::SessionCheck));
}

#[test]
fn a_grant_elsewhere_before_the_tombstone_is_noticed() {
    check(Switch::Rule(Rule::Tombstone));
}

#[test]
fn a_lease_that_runs_from_the_receipt_is_noticed() {
    check(Switch::Rule(Rule::LeaseFromSending));
}

#[test]
fn an_update_of_all_replicas_at_once_is_noticed() {
    check(Switch::Rule(Rule::UpdatePace));
}

#[test]
fn a_service_that_does_not_wait_for_others_is_noticed() {
    check(Switch::Rule(Rule::Dependencies));
}

#[test]
fn two_revisions_that_hold_the_same_replica_are_noticed() {
    check(Switch::Rule(Rule::OneOfANumber));
}

#[test]
fn a_program_that_runs_again_without_a_rest_is_noticed() {
    check(Switch::Rule(Rule::BackOff));
}

#[test]
fn a_boot_that_starts_what_should_stay_stopped_is_noticed() {
    check(Switch::Rule(Rule::StaysStopped));
}

#[test]
fn rows_of_other_tasks_are_noticed() {
    check(Switch::Rule(Rule::OwnRows));
}

#[test]
fn a_finished_job_that_is_taken_up_as_it_once_was_is_noticed() {
    check(Switch::Rule(Rule::RetryTicket));
}

#[test]
fn a_job_that_outlives_its_deadline_is_noticed() {
    check(Switch::Rule(Rule::Deadline));
}

#[test]
fn a_job_that_goes_on_after_too_many_failures_is_noticed() {
    check(Switch::Rule(Rule::MaxFails));
}

#[test]
fn a_paused_job_that_starts_something_is_noticed() {
    check(Switch::Rule(Rule::Paused));
}

#[test]
fn a_reply_before_its_commit_is_noticed() {
    check(Switch::ReplyBeforeCommit);
}

#[test]
fn a_reply_before_the_commit_of_an_earlier_batch_is_noticed() {
    check(Switch::ReplyBeforeEarlierCommit);
}

#[test]
fn a_journal_that_is_written_after_the_effects_is_noticed() {
    check(Switch::JournalAfterSend);
}
